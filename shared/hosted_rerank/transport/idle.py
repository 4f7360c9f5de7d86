"""Connections that wait for their next request."""

import threading
from collections import deque
from typing import Generic, Protocol, TypeVar

from hosted_rerank.transport.route import Origin

KEEP_ALIVE = 90.0
"""Seconds that an idle connection is kept: users pause for a minute, and a new one costs several round trips."""


class Closable(Protocol):
    """A connection."""

    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class Idle(Generic[C]):
    """Connections by origin, the latest used first; the others end after a while. Used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Origin, deque[tuple[float, C]]] = {}
        self._over = False

    def take(self, origin: Origin, now: float) -> C | None:
        """Take the latest out, if there is one."""
        kept = self._kept.get(origin)
        while kept:
            with self._lock:
                since, connection = kept.pop() if kept else (now, None)
            if connection is None or since + KEEP_ALIVE >= now:
                return connection
            connection.close()
        return None

    def give(self, origin: Origin, connection: C, now: float) -> None:
        """Put one in, and close what has waited for too long."""
        with self._lock:
            old: list[C] = []
            for kept in self._kept.values():
                while kept and kept[0][0] + KEEP_ALIVE < now:
                    old.append(kept.popleft()[1])
            if self._over:
                old.append(connection)
            else:
                self._kept.setdefault(origin, deque()).append((now, connection))
        for each in old:
            each.close()

    def close(self) -> None:
        """Close all, and what is still put in."""
        with self._lock:
            self._over = True
            left = [connection for kept in self._kept.values() for _, connection in kept]
            self._kept.clear()
        for each in left:
            each.close()
