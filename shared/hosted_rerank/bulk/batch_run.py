"""`BatchRun`: reranks the rows of one batch concurrently, retries failed rows and waits out a provider outage."""

import asyncio
import copy
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hosted_rerank.bulk.rows import Columns, RowResult, find_row_error
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
from hosted_rerank.response import RerankResponse

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
_PROBE_TEXT = "Is anybody there?"


@dataclass(slots=True)
class RowCounts:
    """How many rows a `RerankBatch` has had answered and refused, over all its batches."""

    answered: int = 0
    refused: int = 0


@dataclass(slots=True)
class _PendingRow:
    """A row that waits for its request."""

    index: int
    failures: int = 0


@dataclass(slots=True)
class BatchRun:
    """The rows of one batch and the state of their requests."""

    reranker: Reranker
    rows: Sequence[Mapping[str, Any]]
    columns: Columns
    counts: RowCounts
    top_n: int | None
    concurrency: int
    shared_rate: RateLeaseClient | None
    outage_timeout: float
    on_result: Callable[[RowResult], None] | None
    results: list[RowResult] = field(init=False)
    pending: deque[_PendingRow] = field(default_factory=deque[_PendingRow])
    is_outage: bool = False
    """Whether the last request or probe showed an outage."""
    failed_in_a_row: int = 0
    """Rows that failed since the last answer or probe."""
    probe_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the task that probes the provider."""

    async def run(self) -> None:
        """Rerank all rows."""
        self.results = [RowResult()] * len(self.rows)
        for index, row in enumerate(self.rows):
            if row_error := find_row_error(row, self.columns):
                self._finish_row(index, RowResult(error=row_error))
            else:
                self.pending.append(_PendingRow(index))
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

    async def _run_workers(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.concurrency, len(self.pending))):
                group.create_task(self._work())

    async def _work(self) -> None:
        """Rerank pending rows one after the other."""
        while self.pending:
            row = self.pending.popleft()
            if row.failures:
                await asyncio.sleep(ROW_BACKOFF_INITIAL * 2 ** (row.failures - 1))
            if row.failures == MAX_ROW_RETRIES:  # a probe tells a bad row from an outage
                await self._wait_for_recovery()
            try:
                response = await self._rerank(row)
            except InvalidRequestError as error:
                await self._fail_refused(row, error)
            except RateLimitError as error:
                self.pending.appendleft(row)
                await self._wait_for_recovery(error)
            except AVAILABILITY_ERRORS as error:
                self._retry_or_fail(row, error)
                self.failed_in_a_row += 1
                if self.failed_in_a_row >= FAILURES_BEFORE_PROBE:
                    await self._wait_for_recovery()
            else:
                self.failed_in_a_row = 0
                self.counts.answered += 1
                self._finish_row(row.index, RowResult(response))

    async def _rerank(self, row: _PendingRow) -> RerankResponse:
        fields = self.rows[row.index]
        documents = list(fields[self.columns.documents])
        return await self.reranker.arerank(fields[self.columns.query], documents, top_n=self.top_n)

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
                    await asyncio.sleep(seconds)
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

    def _retry_or_fail(self, row: _PendingRow, error: RerankError) -> None:
        """Put a row back behind the others, or fail it after its last retry. Raise errors that would hit every row."""
        if isinstance(error, PaymentRequiredError) or (isinstance(error, NotFoundError) and not self.counts.answered):
            raise error
        row.failures += 1
        if row.failures > MAX_ROW_RETRIES:
            self._finish_row(row.index, RowResult(error=str(error)))
        else:
            self.pending.append(row)

    async def _fail_refused(self, row: _PendingRow, error: InvalidRequestError) -> None:
        """Fail a row that the API refuses. Raise the error if the API refuses every row and a valid probe as well."""
        self.counts.refused += 1
        if self.counts.refused >= REFUSALS_BEFORE_PROBE and not self.counts.answered:
            try:
                await self._wait_for_recovery()
            except InvalidRequestError:
                raise error from None
            self.counts.answered += 1
        self._finish_row(row.index, RowResult(error=str(error)))

    def _finish_row(self, index: int, result: RowResult) -> None:
        self.results[index] = result
        if self.on_result is not None:
            self.on_result(result)


def _first_failure(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first failure of a group, or of a group nested in it."""
    first = group.exceptions[0]
    return _first_failure(first) if isinstance(first, BaseExceptionGroup) else first  # pyright: ignore[reportUnknownArgumentType]
