"""The attempt that a thread or a task is making: how long it has, and the connection that it uses."""

import threading
from contextvars import ContextVar
from typing import Protocol


class Stoppable(Protocol):
    """A connection that is being used."""

    def stop(self) -> None: ...


class Attempt:
    """The attempt that a thread or a task is making."""

    __slots__ = ("_lock", "connected", "connection", "ends")

    def __init__(self, ends: float) -> None:
        self.ends = ends
        """`time.monotonic()` when it has to be over."""
        self.connected = False
        """Whether it made a connection of its own, rather than take a kept one."""
        self.connection: Stoppable | None = None
        """What it reads from and writes to, blocking."""
        self._lock = threading.Lock()

    def over(self) -> None:
        """Let go of the connection, which others may use now."""
        with self._lock:
            self.ends = 0.0
            self.connection = None

    def stop(self) -> None:
        """End the attempt, from another thread."""
        with self._lock:
            self.ends = 0.0
            if self.connection is not None:
                self.connection.stop()


ATTEMPT: ContextVar[Attempt] = ContextVar("hosted_rerank_attempt")
