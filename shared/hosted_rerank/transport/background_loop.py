"""An event loop in a thread, which carries the awaiting requests of the process.

A framework may make an event loop for each call, and a connection ends with its loop. So the connections belong to this
loop, and calls of all other loops and threads use them.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from hosted_rerank.transport.client_pool import ClientPool
from hosted_rerank.transport.http_clients import KEEP_ALIVE, make_async_client

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

LAST_SENDS = 0.25
"""Seconds that an ended call waits for what is about to send: a mock may be gone once the call has raised."""


class BackgroundLoop:
    """An event loop in a daemon thread, with its idle clients."""

    def __init__(self) -> None:
        self.clients: ClientPool[httpx.AsyncClient] = ClientPool(make_async_client, KEEP_ALIVE)
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, name="hosted-rerank", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            self._loop.run_until_complete(self._stopped.wait())
            self._loop.run_until_complete(self._end())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()  # unlike asyncio.run, it does not wait for a name that resolves slowly

    async def _end(self) -> None:
        requests = asyncio.all_tasks() - {asyncio.current_task()}
        for task in requests:
            task.cancel()
        await asyncio.gather(*requests, return_exceptions=True)
        for client in self.clients.empty():
            await client.aclose()
        await asyncio.sleep(0)  # a response that was not read whole leaves generators, which asyncio closes in tasks
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(tasks)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine and blocks until it ends; cancels it if the wait is interrupted."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def arun(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine and awaits its end in the caller's loop.

        If the caller is cancelled, it is cancelled, and does nothing that it has not begun before this returns.
        """
        loop, cancelled = asyncio.get_running_loop(), False
        if loop is self._loop:
            return await work

        async def begin() -> T:
            if cancelled:  # this loop had no turn before
                work.close()
                raise asyncio.CancelledError
            return await work

        try:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(begin(), self._loop))
        except asyncio.CancelledError:
            cancelled, passed = True, asyncio.Event()
            if self.call(lambda: loop.call_soon_threadsafe(passed.set)):
                with suppress(TimeoutError):
                    await asyncio.wait_for(passed.wait(), LAST_SENDS)
            raise

    def call(self, wake: Callable[[], object]) -> bool:
        """Wakes a caller, after all that is ready to run in the loop; returns whether the loop is open."""

        def run() -> None:
            with suppress(RuntimeError):  # the caller's event loop was closed in the meantime
                wake()

        try:
            self._loop.call_soon_threadsafe(run)
        except RuntimeError:
            return False
        return True

    def close(self) -> None:
        """Cancels what the loop still does, closes its connections and ends its thread."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        if threading.current_thread() is not self._thread:
            self._thread.join()
