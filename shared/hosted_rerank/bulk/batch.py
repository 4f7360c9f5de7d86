"""`RerankBatch`: a callable on batches of rows, for `map_batches` and similar functions."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from hosted_rerank._context_manager import ContextManagerMixin
from hosted_rerank._validation import check_count
from hosted_rerank.bulk.batch_run import BatchRun, PendingRow, RowCounts
from hosted_rerank.bulk.batches import add_columns, open_batch, read_rows
from hosted_rerank.bulk.rows import (
    DEFAULT_COLUMNS,
    Columns,
    RowResult,
    find_row_error,
    make_output_columns,
    read_texts,
)
from hosted_rerank.bulk.shared_rate import RateLeaseClient
from hosted_rerank.limits.endpoint_state import ENDPOINTS
from hosted_rerank.providers import Provider
from hosted_rerank.reranker import Reranker
from hosted_rerank.transport.pool_manager import POOLS

DEFAULT_CONCURRENCY = 32
"""The default number of rows in flight."""


class RerankBatch(ContextManagerMixin):
    """A callable that reranks the rows of a batch and returns a batch of the same kind with columns added.

    A pickle holds no key and no connection. The process that unpickles it reads the key from its own environment and
    opens connections at its first batch.

    A batch is a dict of columns (Ray Data's NumPy batches), a list of dicts, a pandas or Polars DataFrame, an Arrow
    table, or an iterator of them (Spark's `mapInPandas`). The added columns have the same Arrow types in every batch;
    in a dict they are Arrow arrays. A row that fails for good (too long, refused, invalid) has `error` set and no
    ranking. A provider outage
    fails no row: all rows wait until it is over. A wrong key, model or account raises an error, and so does a server
    that does not speak the provider's API.

    Args:
        provider: The name of a provider, or a custom `Provider`.
        model: The model's id; `None` for the provider's default.
        columns: The names of the input and output columns; `None` for the defaults of `Columns`.
        top_n: The number of documents to keep for each row; `None` for all.
        concurrency: The maximum number of rows in flight.
        shared_rate: The client of a rate limit shared with other workers; `None` to use this process's own limit.
        outage_timeout: Seconds that an outage may last before its error is raised.
        **settings: More settings of `Reranker`, such as `base_url`, `instruction`, `batch_size`. A setting that may
            hold a secret is refused, because it would be part of the task's payload.

    Raises:
        ValueError: A setting has an invalid value.
        TypeError: A setting is unknown, has the wrong type, or cannot be sent to workers.
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
        endpoint = self._reranker._endpoint  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours
        if private := next(iter(endpoint.private), None):
            raise TypeError(
                f"{private} may be a secret and would be sent to workers: set the provider's environment variable,"
                " or name it in a Provider(...) of your own if it is none"
            )
        self.columns = DEFAULT_COLUMNS if columns is None else columns
        self.top_n, self.concurrency = top_n, concurrency
        self.shared_rate, self.outage_timeout = shared_rate, outage_timeout
        self.counts = RowCounts()

    def __call__(self, batch: Any) -> Any:
        """Return the batch with the rankings of its rows added.

        Args:
            batch: A dict of columns, a list of dicts, a pandas or Polars DataFrame, an Arrow table, or an iterator of
                any of them.

        Returns:
            A batch of the same kind, with the output columns of `columns` added; of an iterator, an iterator.

        Raises:
            RerankError: The key, model, account or server is wrong, or an outage outlasts `outage_timeout`.
            TypeError: The batch is of another kind.
        """
        if isinstance(batch, Iterator):
            return map(partial(self._rerank_batch, plain=True), batch)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - Spark's frames
        return self._rerank_batch(batch, plain=False)

    def _rerank_batch(self, batch: Any, *, plain: bool) -> Any:
        batch = open_batch(batch)
        rows = read_rows(batch)
        results = self.rerank_rows(rows)
        added = [make_output_columns(row, result, self.columns) for row, result in zip(rows, results, strict=True)]
        return add_columns(batch, added, self.columns, plain=plain)

    def rerank_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[RowResult]:
        """Rerank rows and return their results.

        Args:
            rows: The fields of each row, by column.

        Returns:
            One result for each row, in the order of `rows`.

        Raises:
            RerankError: The key, model, account or server is wrong, or an outage outlasts `outage_timeout`.
        """
        results = [RowResult(error=find_row_error(row, self.columns)) for row in rows]
        pending = [
            PendingRow(row[self.columns.query], read_texts(row, self.columns), partial(results.__setitem__, index))
            for index, row in enumerate(rows)
            if results[index].error is None
        ]
        if pending:
            POOLS.run_in_background(self.make_run(iter([pending])).run())
        return results

    def make_run(self, chunks: Iterator[Sequence[PendingRow]]) -> BatchRun:
        """Return a run over a stream of rows that are known to be valid."""
        return BatchRun(
            self._reranker,
            chunks,
            self.counts,
            top_n=self.top_n,
            concurrency=self.concurrency,
            shared_rate=self.shared_rate,
            outage_timeout=self.outage_timeout,
        )

    @property
    def rate(self) -> float:
        """The learned limit of this process in requests per second; infinite while no limit is known."""
        endpoint = self._reranker._endpoint  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours
        return ENDPOINTS.find(endpoint, endpoint.key()).queue.controller.rate

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name != "_reranker"}
        return state | {"counts": replace(self.counts)}  # a copy counts its own rows

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        provider, model, settings = self._reranker_arguments
        self._reranker = Reranker(provider, model, **settings)

    def close(self) -> None:
        """Release the connections."""
        self._reranker.close()

    async def aclose(self) -> None:
        """Release the connections."""
        await self._reranker.aclose()


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise `TypeError` for settings that must not or cannot be sent to workers."""
    if "api_key" in settings:
        raise TypeError("api_key would be sent to workers: set the provider's environment variable on the workers")
    for name in ("client", "async_client"):
        if name in settings:
            raise TypeError(f"{name} cannot be sent to workers: leave it out, each worker opens its own connections")
    if "on_error" in settings:
        raise TypeError(
            "on_error has no effect on batches, which wait for an outage to end: set outage_timeout instead"
        )
