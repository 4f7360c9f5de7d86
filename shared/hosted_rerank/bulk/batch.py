"""`RerankBatch`: a callable on batches of rows, for `map_batches` and its likes."""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Self, TypeAlias, TypeGuard

from hosted_rerank.body import is_object
from hosted_rerank.bulk.pace import News, Pace
from hosted_rerank.checks import check_count
from hosted_rerank.connections import CONNECTIONS
from hosted_rerank.errors import (
    PASSABLE,
    InvalidRequestError,
    NotFoundError,
    PaymentRequiredError,
    RateLimitError,
    RequestTooLargeError,
    RerankError,
)
from hosted_rerank.pacer import Pacer, Ticket
from hosted_rerank.providers import Provider
from hosted_rerank.reranker import Reranker
from hosted_rerank.service import SERVICES
from hosted_rerank.wire import RerankResponse

logger = logging.getLogger("hosted_rerank")

CONCURRENCY = 32
"""Rows under way at once, where the caller says nothing."""
TRIES = 5
"""Times that a row may fail for an outage while others are answered, until it counts as failed for good."""
ALL = 50
"""Rows that are refused, with none answered, until it is taken for the model's or the settings' fault."""
UNSAID = 0.5
"""Seconds to wait after a 429 that does not say how long."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds that everything rests after an outage; doubled while it lasts."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What columns are called. An output's name of `None` leaves it out."""

    query: str = "query"
    documents: str = "documents"
    """A list of texts."""
    ids: str | None = None
    """A list of the documents' ids; their positions, from 0, where there is none."""
    ranked: str | None = "ranked_ids"
    """Ids, best first."""
    scores: str | None = "relevance_scores"
    """Scores of those, in the same order; null for a document without text."""
    ranks: str | None = "ranks"
    """The rank of each of `documents`, from 1, in their own order; null for one that `top_n` cut off."""
    tokens: str | None = "tokens"
    """As the API counts them; null where it does not."""
    error: str | None = "error"
    """Why the row has no ranking; null where it has one."""


COLUMNS = Columns()
"""The names where the caller gives none."""


class RerankBatch:
    """Reranks rows: `batch` in, the same kind of batch out, with columns added.

    It pickles without a key and without connections: it reads the key from the environment of the process that works,
    and opens connections at its first batch.

    Rows come as a dict of columns (Ray Data's NumPy batches), a pandas DataFrame or an Arrow table. A row that
    fails for good (too long, refused, not what it should be) has `error` set and no ranking. An outage of the
    provider fails no row: everything waits until it is over. A wrong key, model or account raises.

    Args:
        provider: A name, or a `Provider` of your own.
        model: The model's id; `None` for the provider's default.
        columns: What the columns are called.
        top_n: How many to keep of each row; `None` for all.
        concurrency: Rows under way at once.
        pace: The rate limit shared with other workers; `None` for this process's own.
        patience: Seconds that an outage may last until its error is raised.
        **settings: More of `Reranker`'s, such as `base_url`, `instruction`, `batch_size`. Not `api_key`: it would be in
            the task's payload.

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
        concurrency: int = CONCURRENCY,
        pace: Pace | None = None,
        patience: float = math.inf,
        **settings: Any,
    ) -> None:
        if "api_key" in settings:
            raise TypeError(
                "api_key would travel with the task: set the provider's environment variable on the workers"
            )
        check_count("concurrency", concurrency, least=1)
        if top_n is not None:
            check_count("top_n", top_n, least=1)
        if pace is not None:
            settings = {"max_retries": 0, **settings}  # a refused row waits for its next grant
        self._made = provider, model, settings
        self._reranker = Reranker(provider, model, **settings)
        self.columns = COLUMNS if columns is None else columns
        self.top_n, self.concurrency, self.pace, self.patience = top_n, concurrency, pace, patience

    def __call__(self, batch: Any) -> Any:
        """Return the batch with its rows' rankings added."""
        return with_columns(batch, self.rank_rows(rows_of(batch)), self.columns)

    def rank_rows(
        self, rows: Sequence[Mapping[str, Any]], told: "Callable[[Done], None] | None" = None
    ) -> "list[Added]":
        """Return what rows get, in their order; `told` hears of each as soon as it is done."""
        run = _Run(self, self._reranker, rows, told)
        CONNECTIONS.in_background(run.finish())
        return [_added(row, done, self.columns) for row, done in zip(rows, run.done, strict=True)]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_reranker"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        provider, model, settings = self._made
        self._reranker = Reranker(provider, model, **settings)

    def close(self) -> None:
        """Let go of the connections."""
        self._reranker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(slots=True)
class Done:
    """What became of a row."""

    response: RerankResponse | None = None
    error: str | None = None

    @property
    def tokens(self) -> int | None:
        """As the API counts them."""
        if self.response is None:
            return None
        usage = self.response.usage
        return usage.prompt_tokens if usage.total_tokens is None else usage.total_tokens


@dataclass(slots=True)
class _Waiting:
    """A row that is to be asked for."""

    place: int
    failures: int = 0
    answers_then: int = 0
    """Rows answered when it first failed."""


@dataclass(slots=True)
class _Run:
    """One batch on its way."""

    batch: RerankBatch
    reranker: Reranker
    rows: Sequence[Mapping[str, Any]]
    told: Callable[[Done], None] | None
    done: list[Done] = field(init=False)
    waiting: deque[_Waiting] = field(default_factory=deque[_Waiting])
    news: list[News] = field(default_factory=list[News])
    answers: int = 0
    refusals: int = 0
    under_way: int = 0
    pause: float = 0.0
    """Seconds of the rest that an outage asks for; 0 while all is well."""
    began: float = 0.0
    """When the outage began, and `until` when its rest is over."""
    until: float = 0.0
    rests: float = 0.0
    """When to ask the pace again."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.done = [Done() for _ in self.rows]

    async def finish(self) -> None:
        """Rerank all rows."""
        for place, row in enumerate(self.rows):
            if wrong := wrong_row(row, self.batch.columns):
                self._end(place, Done(error=wrong))
            else:
                self.waiting.append(_Waiting(place))
        if self.batch.pace is not None:
            _leave_to_grants(self.reranker)
        try:
            async with asyncio.TaskGroup() as group:
                while self.waiting or self.under_way:
                    self.wake.clear()
                    seconds = await self._start_some(group)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.wake.wait(), seconds)
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        finally:
            if self.news and self.batch.pace is not None:
                await self.batch.pace.lease(0, self.news)

    async def _start_some(self, group: asyncio.TaskGroup) -> float | None:
        """Start as many rows as may go; return the seconds after which to look again, `None` for when woken."""
        room = min(self.batch.concurrency - self.under_way, len(self.waiting))
        if room <= 0:
            return None
        if self.pause:  # one at a time, until something is answered
            if self.under_way:
                return None
            if (rest := self.until - time.monotonic()) > 0:
                return rest
            room = 1
        starts: Sequence[tuple[int, float]] = [(0, 0.0)] * room
        if self.batch.pace is not None:
            if (rest := self.rests - time.monotonic()) > 0:
                return rest
            news, self.news = self.news, []
            grant = await self.batch.pace.lease(room, news)
            self.rests = time.monotonic() + grant.rest
            starts = grant.starts
        for number, delay in starts:
            self.under_way += 1
            group.create_task(self._ask(self.waiting.popleft(), number, delay))
        return None if len(starts) == room else self.rests - time.monotonic()

    async def _ask(self, row: _Waiting, number: int, delay: float) -> None:
        own, asked, news = self.batch.columns, self.rows[row.place], News(number)
        try:
            if delay:
                await asyncio.sleep(delay)
            response = await self.reranker.arerank(asked[own.query], list(asked[own.documents]), top_n=self.batch.top_n)
        except (InvalidRequestError, RequestTooLargeError) as error:
            news = News(number, answered=True)
            self._refused(row, error)
        except (NotFoundError, PaymentRequiredError):
            raise  # the others would fare no better
        except PASSABLE as error:
            if isinstance(error, RateLimitError) and self.batch.pace is not None:
                news = News(number, refused_for=error.retry_after or UNSAID)
                self.rests = 0.0  # all others should know it at once
                self.waiting.append(row)
            else:
                self._failed(row, error)
        else:
            news = News(number, answered=True)
            self.answers += 1
            self.pause = 0.0
            self._end(row.place, Done(response))
        finally:
            self.news.append(news)
            self.under_way -= 1
            self.wake.set()

    def _refused(self, row: _Waiting, error: RerankError) -> None:
        """Give a row up; unless all are refused, so that it is not the rows."""
        self.refusals += 1
        if self.refusals >= ALL and not self.answers:
            raise error
        self._end(row.place, Done(error=str(error)))

    def _failed(self, row: _Waiting, error: RerankError) -> None:
        """Put a row back, or give it up: if it fails again and again while others are answered, it is the row."""
        now = time.monotonic()
        if not row.failures:
            row.answers_then = self.answers
        row.failures += 1
        if self.answers > row.answers_then:
            if row.failures >= TRIES:
                self._end(row.place, Done(error=str(error)))
                return
        else:
            self.began = self.began if self.pause else now
            if now - self.began >= self.batch.patience:
                raise error
            self.pause = min(self.pause * 2, LONGEST_PAUSE) or FIRST_PAUSE
            self.until = now + self.pause
            logger.warning("An outage: the next try is in %g s: %s", self.pause, error)
        self.waiting.append(row)

    def _end(self, place: int, done: Done) -> None:
        self.done[place] = done
        if self.told is not None:
            self.told(done)


class _Granted(Pacer):
    """No pace of its own: whoever asks was granted the request elsewhere."""

    def admit(self, ticket: Ticket, now: float, limit: float = math.inf) -> float:  # noqa: ARG002 - the base's
        ticket.sent = now
        return 0.0

    def answered(self, ticket: Ticket, now: float, quota: object = None) -> None:
        """Nothing is learned here."""

    def refused(self, ticket: Ticket, now: float, hold: float, *, overloaded: bool = False) -> None:
        """Nothing is learned here."""


def _leave_to_grants(reranker: Reranker) -> None:
    """Let the process's own pace of this service rest: two that learn the same limit would hinder each other."""
    endpoint = reranker._endpoint  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours
    service = SERVICES.find(endpoint, endpoint.key())
    if not isinstance(service.pacer, _Granted):
        service.pacer = _Granted()


def wrong_row(row: Mapping[str, Any], own: Columns) -> str | None:
    """Return what keeps a row from being asked for."""
    query, documents = row.get(own.query), row.get(own.documents)
    if not isinstance(query, str) or not query.strip():
        return f"{own.query!r} is no text"
    if not _is_list(documents):
        return f"{own.documents!r} is no list of texts"
    if not all(isinstance(text, str) for text in documents):
        return f"{own.documents!r} holds something that is no text"
    if own.ids is not None and (not _is_list(ids := row.get(own.ids)) or len(ids) != len(documents)):
        return f"{own.ids!r} is not as long as {own.documents!r}"
    return None


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether it is a list, or an array of NumPy's."""
    return not isinstance(value, (str, bytes, Mapping)) and hasattr(value, "__len__") and hasattr(value, "__iter__")


Added: TypeAlias = dict[str, Any]
"""The columns that a row gets."""


def _added(row: Mapping[str, Any], done: Done, own: Columns) -> Added:
    added: dict[str | None, Any] = dict.fromkeys((own.ranked, own.scores, own.ranks, own.tokens))
    added[own.error] = done.error
    if done.response is not None:
        results, count = done.response.results, len(row[own.documents])
        ids: Sequence[Any] = range(count) if own.ids is None else row[own.ids]
        ranks: list[int | None] = [None] * count
        for rank, result in enumerate(results, 1):
            ranks[result.index] = rank
        added[own.ranked] = [ids[result.index] for result in results]
        added[own.scores] = [result.relevance_score for result in results]
        added[own.ranks] = ranks
        added[own.tokens] = done.tokens
    return {name: value for name, value in added.items() if name is not None}


def rows_of(batch: Any) -> list[dict[str, Any]]:
    """Return the rows of a batch.

    Raises:
        TypeError: It is no dict of columns, Arrow table or pandas DataFrame.
    """
    if is_object(batch):
        columns = [_values(column) for column in batch.values()]
        return [dict(zip(batch, row, strict=True)) for row in zip(*columns, strict=True)]
    if hasattr(batch, "to_pylist"):  # Arrow
        rows: list[dict[str, Any]] = batch.to_pylist()
        return rows
    if hasattr(batch, "to_dict"):  # pandas
        records: list[dict[str, Any]] = batch.to_dict("records")
        return records
    raise TypeError(f"a batch is a dict of columns, an Arrow table or a pandas DataFrame, not {type(batch).__name__}")


def _values(column: Any) -> list[Any]:
    """A column's rows; NumPy's arrays within it become lists."""
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    return [value.tolist() if hasattr(value, "tolist") else value for value in values]


def with_columns(batch: Any, added: Sequence[Added], own: Columns) -> Any:
    """Return a batch, of the kind that it is, with columns added; all others are kept as they are."""
    given = (own.ranked, own.scores, own.ranks, own.tokens, own.error)
    columns = {name: [row.get(name) for row in added] for name in given if name is not None}
    if is_object(batch):
        return {**batch, **{name: _array(values) for name, values in columns.items()}}
    if hasattr(batch, "assign"):
        return batch.assign(**columns)
    pa: Any = import_module("pyarrow")  # untyped; whoever hands in a table has it
    ids = pa.list_(pa.int64()) if own.ids is None else batch.schema.field(own.ids).type
    kinds = (ids, pa.list_(pa.float64()), pa.list_(pa.int64()), pa.int64(), pa.string())
    for name, kind in zip(given, kinds, strict=True):
        if name is not None:
            if name in batch.column_names:
                batch = batch.drop_columns([name])
            batch = batch.append_column(name, pa.array(columns[name], kind))
    return batch


def _array(values: Sequence[Any]) -> Any:
    import numpy as np  # noqa: PLC0415 - whoever hands in arrays has it

    array: Any = np.empty(len(values), dtype=object)
    array[:] = values
    return array
