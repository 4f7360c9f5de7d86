"""The two drivers of a call, blocking and awaiting. They send the batches of a `CallState`, and decide nothing.

A single batch is sent in the caller's own thread or task. Several batches are sent in tasks, of the caller's event loop
or of a background loop that all blocking calls share, because one thread serves a hundred connections with less work
than a hundred threads. When a batch fails, or the caller is cancelled or interrupted, the others are cancelled at once.
"""

import asyncio
import concurrent.futures
import contextvars
import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

from hosted_rerank.call.batching import Batch
from hosted_rerank.call.call_state import CallState
from hosted_rerank.call.request_encoding import BatchResult
from hosted_rerank.call.request_flow import Exchange, Wait
from hosted_rerank.errors import RerankError
from hosted_rerank.transport.background_loop import LAST_SENDS
from hosted_rerank.transport.pool_manager import POOLS
from hosted_rerank.wire import Transport

MAX_THREADS = 100
"""Maximum threads of one call over a custom client."""


def drive(state: CallState, transport: Transport) -> None:
    """Sends the batches of a call, blocking, and writes the scores that came to the cache.

    Args:
        state: The call; it gets the results.
        transport: Carries the requests.

    Raises:
        RerankError: The call has failed.
    """
    with closing(state):
        try:
            _send_all(state, transport)
        finally:
            if state.unwritten:
                state.store.write(state.unwritten)


async def adrive(state: CallState, transport: Transport) -> None:
    """Sends the batches of a call, awaiting, and writes the scores that came to the cache.

    Args:
        state: The call; it gets the results.
        transport: Carries the requests.

    Raises:
        RerankError: The call has failed.
    """
    with closing(state):
        try:
            await _asend_all(state, transport)
        except (Exception, asyncio.CancelledError):  # not GeneratorExit, in which nothing can be awaited
            await _awrite(state)
            raise
        await _awrite(state)


def _send_all(state: CallState, transport: Transport) -> None:
    """Looks texts up in the cache, sends batches, and waits for other calls, until the call has its scores."""
    while True:
        keys = state.start_lookup()
        batches = state.start_batches(state.store.read(keys) if keys else {})
        while len(batches) == 1:
            batches = state.record_result(batches[0], _exchange(state.start_exchange(batches[0]), transport))
        if batches and transport.custom_client:
            _Threads(state, transport).run(batches)
        elif batches:
            POOLS.run_in_background(_run_tasks(state, transport, batches))
        if not state.shared_futures:
            return
        concurrent.futures.wait(state.shared_futures, _timeout(state.start_following()))
        state.collect_shared()


async def _asend_all(state: CallState, transport: Transport) -> None:
    """Does what `_send_all` does, awaiting."""
    while True:
        keys = state.start_lookup()
        found = await state.store.aread(keys, state.time_left(time.monotonic())) if keys else {}
        batches = state.start_batches(found)
        while len(batches) == 1:
            batches = state.record_result(batches[0], await _aexchange(state.start_exchange(batches[0]), transport))
        if batches:
            await _run_tasks(state, transport, batches)
        if not state.shared_futures:
            return
        await asyncio.wait(map(asyncio.wrap_future, state.shared_futures), timeout=_timeout(state.start_following()))
        state.collect_shared()


async def _awrite(state: CallState) -> None:
    """Writes the scores that came to the cache, awaiting."""
    if state.unwritten:
        await state.store.awrite(state.unwritten, state.time_left(time.monotonic()))


def _exchange(
    exchange: Exchange, transport: Transport, cancelled: threading.Event | None = None
) -> BatchResult | RerankError:
    """Runs the steps of an exchange, blocking; setting `cancelled` ends them."""
    with closing(exchange.steps()) as steps:
        try:
            step = next(steps)
            while True:
                if cancelled is not None and cancelled.is_set():
                    raise _CancelledError
                if isinstance(step, Wait):
                    _sleep(step, cancelled)
                    step = next(steps)
                else:
                    step = steps.send(transport.send(replace(step, cancelled=cancelled) if cancelled else step))
        except StopIteration as done:
            result: BatchResult = done.value
            return result
        except RerankError as error:
            return error


async def _aexchange(exchange: Exchange, transport: Transport) -> BatchResult | RerankError:
    """Runs the steps of an exchange, awaiting."""
    exchange.ticket.is_abandoned = asyncio.get_running_loop().is_closed
    with closing(exchange.steps()) as steps:
        try:
            step = next(steps)
            while True:
                if isinstance(step, Wait):
                    await _asleep(step)
                    step = next(steps)
                else:
                    step = steps.send(await transport.asend(step))
        except StopIteration as done:
            result: BatchResult = done.value
            return result
        except RerankError as error:
            return error


def _sleep(wait: Wait, cancelled: threading.Event | None) -> None:
    """Sleeps until the wait is over or its ticket is notified."""
    if wait.ticket is None:
        (cancelled or threading.Event()).wait(wait.seconds)
        return
    notified = threading.Event()
    wait.ticket.notify = lambda: POOLS.notify(notified.set)
    if not wait.ticket.notified:
        notified.wait(_timeout(wait.seconds))


async def _asleep(wait: Wait) -> None:
    """Sleeps until the wait is over or its ticket is notified."""
    if wait.ticket is None:
        await asyncio.sleep(wait.seconds)
        return
    loop = asyncio.get_running_loop()
    notified = loop.create_future()

    def notify() -> None:
        if not notified.done():
            notified.set_result(None)

    wait.ticket.notify = lambda: POOLS.notify(lambda: loop.call_soon_threadsafe(notify))
    if wait.ticket.notified:
        return
    timer = loop.call_later(wait.seconds, notify) if wait.seconds < math.inf else None
    try:
        await notified
    finally:
        wait.ticket.notify = None
        if timer is not None:
            timer.cancel()


def _timeout(seconds: float) -> float | None:
    """Returns a timeout as `threading` takes it: `None` for no timeout."""
    return seconds if seconds < threading.TIMEOUT_MAX else None


async def _run_tasks(state: CallState, transport: Transport, batches: Sequence[Batch]) -> None:
    """Sends batches at once, and the batches that replace them."""
    task = asyncio.current_task()
    cancelling = task.cancelling() if task else 0
    try:
        await asyncio.create_task(_run_task_group(state, transport, batches))
    except Exception:
        if task and task.cancelling() > cancelling:  # in the same turn: a TaskGroup raises the error instead
            raise asyncio.CancelledError from None
        raise


async def _run_task_group(state: CallState, transport: Transport, batches: Sequence[Batch]) -> None:
    """Sends batches in a group of tasks; raises the first error."""

    async def send(batch: Batch) -> None:
        for more in state.record_result(batch, await _aexchange(state.start_exchange(batch), transport)):
            group.create_task(send(more))

    try:
        async with asyncio.TaskGroup() as group:
            for batch in batches:
                group.create_task(send(batch))
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


class _Threads:
    """Threads that send the batches of one call over a custom client."""

    def __init__(self, state: CallState, transport: Transport) -> None:
        self._state = state
        self._transport = transport
        self._results: SimpleQueue[tuple[Batch, Any]] = SimpleQueue()
        self._cancelled = threading.Event()

    def run(self, batches: Sequence[Batch]) -> None:
        """Sends batches, and the batches that replace them. After a failure, requests in flight end unused."""
        pool = ThreadPoolExecutor(min(MAX_THREADS, self._state.plan.call_options.max_concurrency), "hosted-rerank")
        futures: list[Future[None]] = []
        in_flight = 0
        try:
            while True:
                futures += [pool.submit(contextvars.copy_context().run, self._send, batch) for batch in batches]
                in_flight += len(batches)
                if not in_flight:
                    return
                batch, result = self._results.get()
                in_flight -= 1
                if isinstance(result, BaseException) and not isinstance(result, RerankError):
                    raise result
                batches = self._state.record_result(batch, result)
        finally:
            self._cancelled.set()
            pool.shutdown(wait=False, cancel_futures=True)
            concurrent.futures.wait([future for future in futures if not future.cancelled()], LAST_SENDS)

    def _send(self, batch: Batch) -> None:
        try:
            self._results.put((batch, _exchange(self._state.start_exchange(batch), self._transport, self._cancelled)))
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
            self._results.put((batch, error))


class _CancelledError(Exception):
    """The call of this thread has ended."""
