"""`RerankBatch`: a callable on batches of rows, for `map_batches` and its likes."""

import asyncio
import copy
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hosted_rerank._context_manager import Closing
from hosted_rerank._validation import check_count
from hosted_rerank.bulk.rows import (
    DEFAULT_COLUMNS,
    Columns,
    RowResult,
    add_columns,
    find_row_error,
    make_output_columns,
    read_rows,
)
from hosted_rerank.bulk.shared_rate import LeasedRate, RateLeaseClient
from hosted_rerank.errors import (
    PASSABLE,
    CircuitOpenError,
    InvalidRequestError,
    MalformedReplyError,
    NotFoundError,
    PaymentRequiredError,
    RateLimitError,
    RerankError,
)
from hosted_rerank.limits.endpoint_state import SERVICES, Service, Services
from hosted_rerank.providers import Provider
from hosted_rerank.providers.url import is_credential
from hosted_rerank.reranker import Reranker
from hosted_rerank.response import RerankResponse
from hosted_rerank.transport.pool_manager import CONNECTIONS

logger = logging.getLogger("hosted_rerank")

DEFAULT_CONCURRENCY = 32
"""Rows under way at once, where the caller says nothing."""
MAX_ROW_RETRIES = 6
"""Times that a row may fail while the provider answers others."""
ROW_BACKOFF_INITIAL = 0.1
"""Seconds until a row that failed is tried again, at least; doubled each time."""
REFUSALS_BEFORE_PROBE = 50
"""Rows that are refused, with none answered, until it is taken for the model's or the settings' fault."""
PROBE_BACKOFF_INITIAL, PROBE_BACKOFF_MAX = 1.0, 60.0
"""Seconds between two looks at whether the provider is back, where it does not say; doubled each time."""
_PROBE_TEXT = "Is anybody there?"


class RerankBatch(Closing):
    """Reranks rows: `batch` in, the same kind of batch out, with columns added.

    It pickles without a key and without connections: it reads the key from the environment of the process that works,
    and opens connections at its first batch.

    Rows come as a dict of columns (Ray Data's NumPy batches), a pandas DataFrame (Spark's `mapInPandas`) or an Arrow
    table. A row that fails for good (too long, refused, not what it should be) has `error` set and no ranking. An
    outage of the provider fails no row: everything waits until it is over. A wrong key, model or account raises, and so
    does a server that speaks otherwise than the provider.

    Args:
        provider: A name, or a `Provider` of your own.
        model: The model's id; `None` for the provider's default.
        columns: What the columns are called.
        top_n: How many to keep of each row; `None` for all.
        concurrency: Rows under way at once.
        shared_rate: The rate limit that is shared with other workers; `None` for this process's own.
        outage_timeout: Seconds that an outage may last until its error is raised.
        **settings: More of `Reranker`'s, such as `base_url`, `instruction`, `batch_size`. Nothing that holds a key, for
            it would be in the task's payload.

    Raises:
        ValueError: A setting cannot be right.
        TypeError: A setting is unknown, or of the wrong kind.
    """

    def __init__(
        self,
        provider: str | Provider = "fireworks",
        model: str | None = None,
        *,
        columns: Columns | None = None,
        top_n: int | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        shared_rate: RateLeaseClient | None = None,
        outage_timeout: float = math.inf,
        **settings: Any,
    ) -> None:
        check_settings(settings)
        check_count("concurrency", concurrency, least=1)
        if top_n is not None:
            check_count("top_n", top_n, least=1)
        self._reranker_arguments = provider, model, settings
        self._reranker = Reranker(provider, model, **settings)
        self.columns = DEFAULT_COLUMNS if columns is None else columns
        self.top_n, self.concurrency = top_n, concurrency
        self.shared_rate, self.outage_timeout = shared_rate, outage_timeout
        self.answered_rows = self.refused_rows = 0

    def __call__(self, batch: Any) -> Any:
        """Return the batch with its rows' rankings added."""
        rows = read_rows(batch)
        added = [
            make_output_columns(row, result, self.columns)
            for row, result in zip(rows, self.rerank_rows(rows), strict=True)
        ]
        return add_columns(batch, added, self.columns)

    def rerank_rows(
        self, rows: Sequence[Mapping[str, Any]], on_result: Callable[[RowResult], None] | None = None
    ) -> list[RowResult]:
        """Return what became of rows, in their order; `on_result` hears of each as soon as it is done."""
        run = _BatchRun(self, self._reranker, rows, on_result)
        CONNECTIONS.in_background(run.run())
        return run.results

    @property
    def rate(self) -> float:
        """Requests a second that the API allows this process, as far as it is known; else infinite."""
        endpoint = self._reranker._endpoint  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours
        return SERVICES.find(endpoint, endpoint.key()).pacer.pace.rate

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_reranker"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        provider, model, settings = self._reranker_arguments
        self._reranker = Reranker(provider, model, **settings)

    def close(self) -> None:
        """Let go of the connections."""
        self._reranker.close()

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._reranker.aclose()


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings that must not or cannot travel to workers."""
    for name in ("headers", "params"):
        held = next(filter(is_credential, settings.get(name) or ()), None)
        if held is not None:
            raise TypeError(f"{name}[{held!r}] would travel with the task, and may be a secret")
    if "api_key" in settings:
        raise TypeError("api_key would travel with the task: set the provider's environment variable on the workers")
    for name in ("client", "async_client"):
        if name in settings:
            raise TypeError(f"{name} cannot travel to workers")
    if "on_error" in settings:
        raise TypeError("on_error: an outage fails no row here; it is waited for, for `outage_timeout` seconds at most")


@dataclass(slots=True)
class _PendingRow:
    """A row that is to be asked for."""

    index: int
    failures: int = 0


@dataclass(slots=True)
class _BatchRun:
    """One batch on its way."""

    batch: RerankBatch
    reranker: Reranker
    rows: Sequence[Mapping[str, Any]]
    on_result: Callable[[RowResult], None] | None
    results: list[RowResult] = field(init=False)
    pending: deque[_PendingRow] = field(default_factory=deque[_PendingRow])
    is_outage: bool = False
    """Whether the provider is out, as far as it is known."""
    probe_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the one that looks whether it is back."""

    async def run(self) -> None:
        """Rerank all rows."""
        self.results = [RowResult()] * len(self.rows)
        for index, row in enumerate(self.rows):
            if wrong := find_row_error(row, self.batch.columns):
                self._finish_row(index, RowResult(error=wrong))
            else:
                self.pending.append(_PendingRow(index))
        client = self.batch.shared_rate
        try:
            if client is None:
                await self._run_workers()
            else:
                async with LeasedRate().lease_from(client) as leased_rate:
                    self.reranker = copy.copy(self.reranker)
                    self.reranker._services = Services(lambda: Service(leased_rate.pacer))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours
                    await self._run_workers()
        except BaseExceptionGroup as failed:
            raise _first_failure(failed) from None

    async def _run_workers(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.batch.concurrency, len(self.pending))):
                group.create_task(self._work())

    async def _work(self) -> None:
        """Ask for one row after the other."""
        while self.pending:
            row = self.pending.popleft()
            if row.failures:
                await asyncio.sleep(ROW_BACKOFF_INITIAL * 2 ** (row.failures - 1))
            if row.failures == MAX_ROW_RETRIES:  # is it the row, or is the provider out?
                await self._wait_for_recovery()
            try:
                response = await self._rerank(row)
            except InvalidRequestError as error:
                await self._fail_refused(row, error)
            except (CircuitOpenError, RateLimitError) as error:
                self.pending.appendleft(row)
                await self._wait_for_recovery(error)
            except PASSABLE as error:
                self._retry_or_fail(row, error)
            else:
                self.batch.answered_rows += 1
                self._finish_row(row.index, RowResult(response))

    async def _rerank(self, row: _PendingRow) -> RerankResponse:
        columns, fields = self.batch.columns, self.rows[row.index]
        return await self.reranker.arerank(
            fields[columns.query], list(fields[columns.documents]), top_n=self.batch.top_n
        )

    async def _wait_for_recovery(self, error: RerankError | None = None) -> None:
        """Wait until the provider answers. One looks whether it does, the others wait for that one.

        Args:
            error: What speaks for an outage: then the first look is not at once.
        """
        self.is_outage = True
        async with self.probe_lock:
            began, backoff = time.monotonic(), PROBE_BACKOFF_INITIAL
            while self.is_outage:
                if error is not None:
                    if time.monotonic() - began >= self.batch.outage_timeout:
                        raise error
                    seconds = min(
                        backoff if error.retry_after is None else error.retry_after, self.batch.outage_timeout
                    )
                    logger.warning("An outage, looked at again in %.3g s: %s", seconds, error)
                    await asyncio.sleep(seconds)
                    backoff = min(backoff * 2, PROBE_BACKOFF_MAX)
                try:
                    await self.reranker.arerank(_PROBE_TEXT, [_PROBE_TEXT])
                except (NotFoundError, PaymentRequiredError, MalformedReplyError):
                    raise  # somebody is there, and it is not who was meant
                except PASSABLE as probe_error:
                    error = probe_error
                else:
                    self.is_outage = False

    def _retry_or_fail(self, row: _PendingRow, error: RerankError) -> None:
        """Try a row again after the others, but not for ever; unless those would fare no better."""
        if isinstance(error, PaymentRequiredError) or (
            isinstance(error, NotFoundError) and not self.batch.answered_rows
        ):
            raise error
        row.failures += 1
        if row.failures > MAX_ROW_RETRIES:
            self._finish_row(row.index, RowResult(error=str(error)))
        else:
            self.pending.append(row)

    async def _fail_refused(self, row: _PendingRow, error: InvalidRequestError) -> None:
        """Give a row up; unless all are refused, and what is surely well too, so that it is not the rows."""
        self.batch.refused_rows += 1
        if self.batch.refused_rows >= REFUSALS_BEFORE_PROBE and not self.batch.answered_rows:
            try:
                await self._wait_for_recovery()
            except InvalidRequestError:
                raise error from None
            self.batch.answered_rows += 1
        self._finish_row(row.index, RowResult(error=str(error)))

    def _finish_row(self, index: int, result: RowResult) -> None:
        self.results[index] = result
        if self.on_result is not None:
            self.on_result(result)


def _first_failure(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first failure of a group, or of a group in it."""
    first = failed.exceptions[0]
    return _first_failure(first) if isinstance(first, BaseExceptionGroup) else first  # pyright: ignore[reportUnknownArgumentType]
