"""The two drivers of the flow, blocking and awaiting. They send what `CallState` has to send, and decide nothing.

One batch is sent in the caller's own thread or task. Several are sent in tasks: of the caller's event loop, or of one
that blocking calls share, for a hundred connections are less state for one thread than for a hundred. When one fails for
good, or the caller is cancelled or interrupted, the others are cancelled at once.
"""

import asyncio
import concurrent.futures
import contextvars
import math
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from queue import SimpleQueue
from typing import Any

from hosted_rerank.call.batching import Batch
from hosted_rerank.call.call_state import CallState
from hosted_rerank.call.request_encoding import BatchResult
from hosted_rerank.call.request_flow import Exchange, Wait
from hosted_rerank.errors import RerankError
from hosted_rerank.transport.pool_manager import POOLS
from hosted_rerank.wire import Transport

THREADS = 100
"""Requests that one call has under way over a custom client, at most."""


def drive(state: CallState, transport: Transport) -> None:
    """Do what a call has to do, blocking."""
    with closing(state):
        batches = state.batches
        while True:
            while len(batches) == 1:
                batches = state.record_result(batches[0], _exchange(state.start_exchange(batches[0]), transport))
            if batches and transport.custom_client:
                _Threads(state, transport).run(batches)
            elif batches:
                POOLS.run_in_background(_in_tasks(state, transport, batches))
            if not state.shared_futures:
                return
            concurrent.futures.wait(state.shared_futures, _timeout(state.left))
            batches = state.collect_shared()


async def adrive(state: CallState, transport: Transport) -> None:
    """Do what a call has to do, awaiting."""
    with closing(state):
        batches = state.batches
        while True:
            while len(batches) == 1:
                batches = state.record_result(batches[0], await _aexchange(state.start_exchange(batches[0]), transport))
            if batches:
                await _in_tasks(state, transport, batches)
            if not state.shared_futures:
                return
            await asyncio.wait(map(asyncio.wrap_future, state.shared_futures), timeout=_timeout(state.left))
            batches = state.collect_shared()


def _exchange(
    exchange: Exchange, transport: Transport, over: threading.Event | None = None
) -> BatchResult | RerankError:
    """Run the steps of an exchange, blocking; `over` is set when nobody wants it any more."""
    with closing(exchange.steps()) as steps:
        try:
            step = next(steps)
            while True:
                if over is not None and over.is_set():
                    raise _OverError
                if isinstance(step, Wait):
                    _sleep(step, over)
                    step = next(steps)
                else:
                    step = steps.send(transport.send(step))
        except StopIteration as done:
            answer: BatchResult = done.value
            return answer
        except RerankError as error:
            return error


async def _aexchange(exchange: Exchange, transport: Transport) -> BatchResult | RerankError:
    """Run the steps of an exchange, awaiting."""
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
            answer: BatchResult = done.value
            return answer
        except RerankError as error:
            return error


def _sleep(wait: Wait, over: threading.Event | None) -> None:
    if wait.ticket is None:
        (over or threading.Event()).wait(wait.seconds)
        return
    woken = threading.Event()
    wait.ticket.notify = woken.set
    if not wait.ticket.notified:
        woken.wait(_timeout(wait.seconds))


async def _asleep(wait: Wait) -> None:
    if wait.ticket is None:
        await asyncio.sleep(wait.seconds)
        return
    loop = asyncio.get_running_loop()
    woken = loop.create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    wait.ticket.notify = lambda: loop.call_soon_threadsafe(wake)
    if wait.ticket.notified:
        return
    timer = loop.call_later(wait.seconds, wake) if wait.seconds < math.inf else None
    try:
        await woken
    finally:
        wait.ticket.notify = None
        if timer is not None:
            timer.cancel()


def _timeout(seconds: float) -> float | None:
    return seconds if seconds < threading.TIMEOUT_MAX else None


async def _in_tasks(state: CallState, transport: Transport, batches: Sequence[Batch]) -> None:
    """Send batches at once, and what comes of them."""
    task = asyncio.current_task()
    cancelled = task.cancelling() if task else 0
    try:
        await asyncio.create_task(_in_a_group(state, transport, batches))
    except Exception:
        if task and task.cancelling() > cancelled:  # in the same turn; a group prefers the error, and it would be lost
            raise asyncio.CancelledError from None
        raise


async def _in_a_group(state: CallState, transport: Transport, batches: Sequence[Batch]) -> None:
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
        self._came: SimpleQueue[tuple[Batch, Any]] = SimpleQueue()
        self._over = threading.Event()

    def run(self, batches: Sequence[Batch]) -> None:
        """Send batches, and what comes of them. Where it fails, what is on its way ends by itself, and is not used."""
        pool = ThreadPoolExecutor(min(THREADS, self._state.plan.call_options.max_concurrency), "hosted-rerank")
        under_way = 0
        try:
            while True:
                for batch in batches:
                    pool.submit(contextvars.copy_context().run, self._send, batch)
                under_way += len(batches)
                if not under_way:
                    return
                batch, came = self._came.get()
                under_way -= 1
                if isinstance(came, BaseException) and not isinstance(came, RerankError):
                    raise came
                batches = self._state.record_result(batch, came)
        finally:
            self._over.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _send(self, batch: Batch) -> None:
        try:
            self._came.put((batch, _exchange(self._state.start_exchange(batch), self._transport, self._over)))
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
            self._came.put((batch, error))


class _OverError(Exception):
    """The call of this thread is over."""
