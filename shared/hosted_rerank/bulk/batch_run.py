"""`BatchRun`: reranks a stream of rows concurrently, retries failed rows and waits out a provider outage."""

import asyncio
import copy
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from hosted_rerank.bulk.rows import RowResult
from hosted_rerank.bulk.shared_rate import LeasedRate, RateLeaseClient
from hosted_rerank.errors import (
    AVAILABILITY_ERRORS,
    InvalidRequestError,
    MalformedResponseError,
    NotFoundError,
    PaymentRequiredError,
    RateLimitError,
    RerankError,
)
from hosted_rerank.limits.endpoint_state import EndpointRegistry, EndpointState
from hosted_rerank.reranker import Reranker

logger = logging.getLogger("hosted_rerank")

MAX_ROW_RETRIES = 6
"""Retries of a row while the provider answers other rows."""
ROW_BACKOFF_INITIAL = 0.1
"""Minimum seconds before the first retry of a row. The delay doubles with each retry."""
FAILURES_BEFORE_PROBE = 10
"""Failed rows in a row after which a probe tells bad rows from an outage."""
REFUSALS_BEFORE_PROBE = 50
"""Refused rows, with none answered, after which a probe decides whether the model or the settings are wrong."""
PROBE_BACKOFF_INITIAL, PROBE_BACKOFF_MAX = 1.0, 60.0
"""Seconds between two probes during an outage without `Retry-After`. The delay doubles with each probe."""
STOP_TIMEOUT = 20.0
"""Seconds that a stopped run waits for the answers to requests under way."""
_PROBE_TEXT = "Is anybody there?"


@dataclass(slots=True)
class RowCounts:
    """How many rows a `RerankBatch` has had answered and refused, over all its batches."""

    answered: int = 0
    refused: int = 0


@dataclass(slots=True)
class PendingRow:
    """A row that waits for its request."""

    query: str
    texts: Sequence[str]
    finish: Callable[[RowResult], None]
    """Is called once with the result, in the event loop's thread."""
    failures: int = 0
    due: float = 0.0
    """The time before which the row is not tried again."""


class _StoppedError(Exception):
    """Ends a task that waits while the run stops."""


@dataclass(slots=True)
class BatchRun:
    """A stream of rows and the state of their requests.

    Args:
        chunks: The rows, some at a time. The next ones are read as soon as a request is free for them, so the last
            rows of one chunk and the first of the next are in flight together.
    """

    reranker: Reranker
    chunks: Iterator[Sequence[PendingRow]]
    counts: RowCounts
    top_n: int | None
    concurrency: int
    shared_rate: RateLeaseClient | None
    outage_timeout: float
    pending: deque[PendingRow] = field(default_factory=deque[PendingRow])
    retries: deque[PendingRow] = field(default_factory=deque[PendingRow])
    """Rows that failed."""
    is_outage: bool = False
    """Whether the last request or probe showed an outage."""
    failed_in_a_row: int = 0
    """Rows that failed since the last answer or probe."""
    probe_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the task that probes the provider."""
    read_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the task that reads the next chunk."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _stop_requested: threading.Event = field(default_factory=threading.Event)
    _loop: asyncio.AbstractEventLoop | None = None

    async def run(self) -> None:
        """Rerank all rows."""
        self._loop = asyncio.get_running_loop()
        if self._stop_requested.is_set():
            return
        try:
            if self.shared_rate is None:
                await self._run_workers()
            else:
                async with LeasedRate().lease_from(self.shared_rate) as leased_rate:
                    self.reranker = copy.copy(self.reranker)
                    self.reranker._endpoints = EndpointRegistry(lambda: EndpointState(leased_rate.queue))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours
                    await self._run_workers()
        except BaseExceptionGroup as group:
            raise _first_failure(group) from None

    def stop(self) -> None:
        """Send no more rows, and end the run when those under way are answered or `STOP_TIMEOUT` is over."""
        self._stop_requested.set()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.stopping.set)

    async def _run_workers(self) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._work()) for _ in range(self.concurrency)]
            cut = group.create_task(self._cut_off(tasks))
            await asyncio.wait(tasks)
            cut.cancel()

    async def _cut_off(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Cancel the tasks that are still under way some time after a stop."""
        await self.stopping.wait()
        await asyncio.sleep(STOP_TIMEOUT)
        for task in tasks:
            task.cancel()

    async def _work(self) -> None:
        """Rerank rows one after the other."""
        with suppress(_StoppedError):
            while (row := await self._next_row()) is not None:
                await self._try_row(row)

    async def _next_row(self) -> PendingRow | None:
        """Return a row that is due again, else the next of the stream, else one that failed; `None` at the end."""
        if self._stop_requested.is_set():
            return None
        if not (self.retries and self.retries[0].due <= time.monotonic()):
            async with self.read_lock:
                while not self.pending and (chunk := await asyncio.to_thread(next, self.chunks, None)) is not None:
                    self.pending.extend(chunk)
            if self.pending:
                return self.pending.popleft()
        if not self.retries:
            return None
        row = self.retries.popleft()
        await self._sleep(row.due - time.monotonic())
        return row

    async def _sleep(self, seconds: float) -> None:
        """Sleep, and raise `_StoppedError` if the run stops meanwhile."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), max(seconds, 0.0))
        if self.stopping.is_set():
            raise _StoppedError

    async def _try_row(self, row: PendingRow) -> None:
        if row.failures == MAX_ROW_RETRIES:  # a probe tells a bad row from an outage
            await self._wait_for_recovery()
        try:
            response = await self.reranker.arerank(row.query, row.texts, top_n=self.top_n)
        except InvalidRequestError as error:
            await self._fail_refused(row, error)
        except RateLimitError as error:
            self.retries.appendleft(row)
            await self._wait_for_recovery(error)
        except AVAILABILITY_ERRORS as error:
            self._retry_or_fail(row, error)
            self.failed_in_a_row += 1
            if self.failed_in_a_row >= FAILURES_BEFORE_PROBE:
                await self._wait_for_recovery()
        else:
            self.failed_in_a_row = 0
            self.counts.answered += 1
            row.finish(RowResult.from_response(response))

    async def _wait_for_recovery(self, error: RerankError | None = None) -> None:
        """Wait until the provider answers. One task probes it while the others wait for that task.

        Args:
            error: The error that indicates an outage. If it is given, the first probe waits for the backoff.
        """
        self.is_outage = True
        async with self.probe_lock:
            started, backoff = time.monotonic(), PROBE_BACKOFF_INITIAL
            while self.is_outage:
                if error is not None:
                    if time.monotonic() - started >= self.outage_timeout:
                        raise error
                    seconds = min(backoff if error.retry_after is None else error.retry_after, self.outage_timeout)
                    logger.warning("Provider outage, next probe in %.3g s: %s", seconds, error)
                    await self._sleep(seconds)
                    backoff = min(backoff * 2, PROBE_BACKOFF_MAX)
                try:
                    await self.reranker.arerank(_PROBE_TEXT, [_PROBE_TEXT])
                except (NotFoundError, PaymentRequiredError, MalformedResponseError):
                    raise  # the server answers, but it is the wrong server, model or account
                except AVAILABILITY_ERRORS as probe_error:
                    error = probe_error
                else:
                    self.is_outage = False
                    self.failed_in_a_row = 0

    def _retry_or_fail(self, row: PendingRow, error: RerankError) -> None:
        """Put a row back behind the others, or fail it after its last retry. Raise errors that would hit every row."""
        if isinstance(error, PaymentRequiredError) or (isinstance(error, NotFoundError) and not self.counts.answered):
            raise error
        row.failures += 1
        if row.failures > MAX_ROW_RETRIES:
            row.finish(RowResult(error=str(error)))
        else:
            row.due = time.monotonic() + ROW_BACKOFF_INITIAL * 2 ** (row.failures - 1)
            self.retries.append(row)

    async def _fail_refused(self, row: PendingRow, error: InvalidRequestError) -> None:
        """Fail a row that the API refuses. Raise the error if the API refuses every row and a valid probe as well."""
        self.counts.refused += 1
        if self.counts.refused >= REFUSALS_BEFORE_PROBE and not self.counts.answered:
            try:
                await self._wait_for_recovery()
            except InvalidRequestError:
                raise error from None
            self.counts.answered += 1
        row.finish(RowResult(error=str(error)))


def _first_failure(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first failure of a group, or of a group nested in it."""
    first = group.exceptions[0]
    return _first_failure(first) if isinstance(first, BaseExceptionGroup) else first  # pyright: ignore[reportUnknownArgumentType]
