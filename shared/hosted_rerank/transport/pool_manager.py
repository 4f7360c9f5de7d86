"""The connections of the process: one pool for blocking use, and one for each running event loop.

All rerankers share them, so a reranker that is made anew for each request, or copied by a framework, finds connections
that are already open. A pool is made at its first request. It is closed when the last reranker that used it lets go,
and an event loop's pool at the latest with its loop.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator, Coroutine
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

if TYPE_CHECKING:
    from hosted_rerank.transport.awaiting_pool import AwaitingPool
    from hosted_rerank.transport.blocking_pool import BlockingPool


class Connections:
    """The pools of a process; used from any thread, any event loop and after a fork."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin without pools: new, or in a forked child, where the parent's sockets are not ours to use or close."""
        self._parents = dict(self.__dict__)
        self._lock = threading.Lock()
        self._users: WeakSet[Any] = WeakSet()
        self._blocking: BlockingPool | None = None
        self._background: Background | None = None
        self._loops: dict[asyncio.AbstractEventLoop, tuple[AwaitingPool, AsyncGenerator[None]]] = {}

    def blocking(self, user: object) -> "BlockingPool":
        """Return the pool for blocking use, opened if need be, and count `user` among those who need it."""
        with self._lock:
            self._users.add(user)
            if self._blocking is None:
                from hosted_rerank.transport.blocking_pool import BlockingPool  # noqa: PLC0415 - quick start

                self._blocking = BlockingPool()
            return self._blocking

    async def awaiting(self, user: object) -> "AwaitingPool":
        """Return the running event loop's pool, opened if need be, and count `user` among those who need it."""
        with self._lock:
            self._users.add(user)
        loop = asyncio.get_running_loop()
        return self._loops[loop][0] if loop in self._loops else await self._open(loop)

    async def _open(self, loop: asyncio.AbstractEventLoop) -> "AwaitingPool":
        """Open a loop's pool. The loop's end closes it: `asyncio.run` closes the async generators begun in it."""
        from hosted_rerank.transport.awaiting_pool import AwaitingPool  # noqa: PLC0415 - quick start

        pool = AwaitingPool()
        closer = self._close_with(loop, pool)
        self._loops[loop] = pool, closer
        await anext(closer)
        for other in [other for other in list(self._loops) if other.is_closed()]:  # ended without asyncio.run's care
            if gone := self._loops.pop(other, None):
                gone[0].abandon()
        return pool

    async def _close_with(self, loop: asyncio.AbstractEventLoop, pool: "AwaitingPool") -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._loops.pop(loop, None)
            await pool.aclose()

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine to its end, in the event loop that blocking calls share; raises what it raises."""
        with self._lock:
            self._users.add(work)
            if self._background is None:
                self._background = Background()
            background = self._background
        try:
            background.run(work)
        finally:
            self.release(work)

    def release(self, user: object) -> None:
        """Close the blocking pool, and the shared event loop with its own, if nobody but `user` needs them."""
        with self._lock:
            self._users.discard(user)
            unused = None if self._users else (self._blocking, self._background)
            if unused is not None:
                self._blocking = self._background = None
        for pool in unused or ():
            if pool is not None:
                pool.close()

    async def arelease(self, user: object) -> None:
        """Close the blocking pool and the running event loop's if nobody but `user` needs them."""
        self.release(user)
        if not self._users and (pool := self._loops.get(asyncio.get_running_loop())):
            await pool[1].aclose()

    def close(self) -> None:
        """Close the blocking pool, whoever needs it: the process ends."""
        for pool in (self._blocking, self._background):
            if pool is not None:
                pool.close()


class Background:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="hosted-rerank", daemon=True)
        self._thread.start()
        self._ready.wait()

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._over.wait()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine there and wait for its end; cancel it if the wait is interrupted."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the loop: what it still does is cancelled, and its connections close."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()


CONNECTIONS = Connections()
atexit.register(CONNECTIONS.close)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=CONNECTIONS.begin)
