"""The connections of the process: one pool for blocking use, and one for each running event loop.

All rerankers share them, so a reranker that is made anew for each request, or copied by a framework, finds connections
that are already open. A pool is made at its first request. It is closed when the last reranker that used it lets go,
and an event loop's pool at the latest with its loop.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator
from contextvars import ContextVar
from typing import Any, Protocol
from weakref import WeakSet


class BlockingClient(Protocol):
    """What is needed of an `httpx.Client` or `httpx2.Client`."""

    def build_request(self, *args: Any, **kwargs: Any) -> Any: ...

    def send(self, *args: Any, **kwargs: Any) -> Any: ...


class AwaitingClient(Protocol):
    """What is needed of an `httpx.AsyncClient` or `httpx2.AsyncClient`."""

    def build_request(self, *args: Any, **kwargs: Any) -> Any: ...

    async def send(self, *args: Any, **kwargs: Any) -> Any: ...


class Connections:
    """The pools of a process; used from any thread, any event loop and after a fork."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin without pools: new, or in a forked child, where the parent's sockets are not ours to use or close."""
        self._parents = dict(self.__dict__)
        self._lock = threading.Lock()
        self._users: WeakSet[Any] = WeakSet()
        self._blocking: Any = None
        self._loops: dict[asyncio.AbstractEventLoop, tuple[Any, AsyncGenerator[None]]] = {}

    def blocking(self, user: object) -> BlockingClient:
        """Return the client for blocking use, opened if need be, and count `user` among those who need it."""
        with self._lock:
            self._users.add(user)
            if self._blocking is None:
                from hosted_rerank.pools import open_blocking  # noqa: PLC0415 - imports httpx

                self._blocking = open_blocking()
            client: BlockingClient = self._blocking
            return client

    async def awaiting(self, user: object) -> AwaitingClient:
        """Return the running event loop's client, opened if need be, and count `user` among those who need it."""
        with self._lock:
            self._users.add(user)
        loop = asyncio.get_running_loop()
        client: AwaitingClient = self._loops[loop][0] if loop in self._loops else await self._open(loop)
        return client

    async def _open(self, loop: asyncio.AbstractEventLoop) -> AwaitingClient:
        """Open a loop's pool. The loop's end closes it: `asyncio.run` closes the async generators begun in it."""
        from hosted_rerank.pools import open_awaiting  # noqa: PLC0415 - imports httpx

        client: Any = open_awaiting()
        closer = self._close_with(loop, client)
        self._loops[loop] = client, closer
        await anext(closer)
        for other in [other for other in list(self._loops) if other.is_closed()]:  # ended without asyncio.run's care
            if gone := self._loops.pop(other, None):
                await gone[0].aclose()
        result: AwaitingClient = client
        return result

    async def _close_with(self, loop: asyncio.AbstractEventLoop, client: Any) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._loops.pop(loop, None)
            await client.aclose()

    def release(self, user: object) -> None:
        """Close the blocking pool if nobody but `user` needs it."""
        with self._lock:
            self._users.discard(user)
            client, self._blocking = (self._blocking, None) if not self._users else (None, self._blocking)
        if client is not None:
            client.close()

    async def arelease(self, user: object) -> None:
        """Close the blocking pool and the running event loop's if nobody but `user` needs them."""
        self.release(user)
        if not self._users and (pool := self._loops.get(asyncio.get_running_loop())):
            await pool[1].aclose()

    def close(self) -> None:
        """Close the blocking pool, whoever needs it: the process ends."""
        if self._blocking is not None:
            self._blocking.close()


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
CONNECTIONS = Connections()
atexit.register(CONNECTIONS.close)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=CONNECTIONS.begin)
