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

from hosted_rerank._context_manager import ContextManagerMixin
from hosted_rerank._validation import check_count
from hosted_rerank.bulk.pace import Granted, Lessor
from hosted_rerank.bulk.rows import COLUMNS, Columns, Done, added_to, rows_of, with_columns, wrong_row
from hosted_rerank.errors import (
    AVAILABILITY_ERRORS,
    CircuitOpenError,
    InvalidRequestError,
    MalformedResponseError,
    NotFoundError,
    PaymentRequiredError,
    RateLimitError,
    RerankError,
)
from hosted_rerank.limits.endpoint_state import ENDPOINTS, EndpointRegistry, EndpointState
from hosted_rerank.providers import Provider
from hosted_rerank.providers.url import is_credential
from hosted_rerank.reranker import Reranker
from hosted_rerank.response import RerankResponse
from hosted_rerank.transport.pool_manager import POOLS

logger = logging.getLogger("hosted_rerank")

CONCURRENCY = 32
"""Rows under way at once, where the caller says nothing."""
TRIES = 6
"""Times that a row may fail while the provider answers others."""
PAUSE = 0.1
"""Seconds until a row that failed is tried again, at least; doubled each time."""
ALL = 50
"""Rows that are refused, with none answered, until it is taken for the model's or the settings' fault."""
FIRST_REST, LONGEST_REST = 1.0, 60.0
"""Seconds between two looks at whether the provider is back, where it does not say; doubled each time."""
_PROBE = "Is anybody there?"


class RerankBatch(ContextManagerMixin):
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
        pace: The rate limit that is shared with other workers; `None` for this process's own.
        patience: Seconds that an outage may last until its error is raised.
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
        concurrency: int = CONCURRENCY,
        pace: Lessor | None = None,
        patience: float = math.inf,
        **settings: Any,
    ) -> None:
        check_settings(settings)
        check_count("concurrency", concurrency, least=1)
        if top_n is not None:
            check_count("top_n", top_n, least=1)
        self._made = provider, model, settings
        self._reranker = Reranker(provider, model, **settings)
        self.columns = COLUMNS if columns is None else columns
        self.top_n, self.concurrency, self.pace, self.patience = top_n, concurrency, pace, patience
        self.answers = self.refusals = 0

    def __call__(self, batch: Any) -> Any:
        """Return the batch with its rows' rankings added."""
        rows = rows_of(batch)
        added = [added_to(row, done, self.columns) for row, done in zip(rows, self.rank_rows(rows), strict=True)]
        return with_columns(batch, added, self.columns)

    def rank_rows(self, rows: Sequence[Mapping[str, Any]], told: Callable[[Done], None] | None = None) -> list[Done]:
        """Return what became of rows, in their order; `told` hears of each as soon as it is done."""
        run = _Run(self, self._reranker, rows, told)
        POOLS.run_in_background(run.finish())
        return run.done

    @property
    def rate(self) -> float:
        """Requests a second that the API allows this process, as far as it is known; else infinite."""
        endpoint = self._reranker._endpoint  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours
        return ENDPOINTS.find(endpoint, endpoint.key()).queue.pace.rate

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_reranker"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        provider, model, settings = self._made
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
        raise TypeError("on_error: an outage fails no row here; it is waited for, for `patience` seconds at most")


@dataclass(slots=True)
class _Waiting:
    """A row that is to be asked for."""

    place: int
    failures: int = 0


@dataclass(slots=True)
class _Run:
    """One batch on its way."""

    batch: RerankBatch
    reranker: Reranker
    rows: Sequence[Mapping[str, Any]]
    told: Callable[[Done], None] | None
    done: list[Done] = field(init=False)
    waiting: deque[_Waiting] = field(default_factory=deque[_Waiting])
    out: bool = False
    """Whether the provider is out, as far as it is known."""
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the one that looks whether it is back."""

    async def finish(self) -> None:
        """Rerank all rows."""
        self.done = [Done()] * len(self.rows)
        for place, row in enumerate(self.rows):
            if wrong := wrong_row(row, self.batch.columns):
                self._end(place, Done(error=wrong))
            else:
                self.waiting.append(_Waiting(place))
        lessor = self.batch.pace
        try:
            if lessor is None:
                await self._work_on()
            else:
                async with Granted().leased_from(lessor) as granted:
                    self.reranker = copy.copy(self.reranker)
                    self.reranker._endpoints = EndpointRegistry(lambda: EndpointState(granted.pacer))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours
                    await self._work_on()
        except BaseExceptionGroup as failed:
            raise _first(failed) from None

    async def _work_on(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.batch.concurrency, len(self.waiting))):
                group.create_task(self._work())

    async def _work(self) -> None:
        """Ask for one row after the other."""
        while self.waiting:
            row = self.waiting.popleft()
            if row.failures:
                await asyncio.sleep(PAUSE * 2 ** (row.failures - 1))
            if row.failures == TRIES:  # is it the row, or is the provider out?
                await self._wait_for_answer()
            try:
                response = await self._ask(row)
            except InvalidRequestError as error:
                await self._refused(row, error)
            except (CircuitOpenError, RateLimitError) as error:
                self.waiting.appendleft(row)
                await self._wait_for_answer(error)
            except AVAILABILITY_ERRORS as error:
                self._failed(row, error)
            else:
                self.batch.answers += 1
                self._end(row.place, Done(response))

    async def _ask(self, row: _Waiting) -> RerankResponse:
        own, asked = self.batch.columns, self.rows[row.place]
        return await self.reranker.arerank(asked[own.query], list(asked[own.documents]), top_n=self.batch.top_n)

    async def _wait_for_answer(self, error: RerankError | None = None) -> None:
        """Wait until the provider answers. One looks whether it does, the others wait for that one.

        Args:
            error: What speaks for an outage: then the first look is not at once.
        """
        self.out = True
        async with self.looking:
            began, rest = time.monotonic(), FIRST_REST
            while self.out:
                if error is not None:
                    if time.monotonic() - began >= self.batch.patience:
                        raise error
                    seconds = min(rest if error.retry_after is None else error.retry_after, self.batch.patience)
                    logger.warning("An outage, looked at again in %.3g s: %s", seconds, error)
                    await asyncio.sleep(seconds)
                    rest = min(rest * 2, LONGEST_REST)
                try:
                    await self.reranker.arerank(_PROBE, [_PROBE])
                except (NotFoundError, PaymentRequiredError, MalformedResponseError):
                    raise  # somebody is there, and it is not who was meant
                except AVAILABILITY_ERRORS as still:
                    error = still
                else:
                    self.out = False

    def _failed(self, row: _Waiting, error: RerankError) -> None:
        """Try a row again after the others, but not for ever; unless those would fare no better."""
        if isinstance(error, PaymentRequiredError) or (isinstance(error, NotFoundError) and not self.batch.answers):
            raise error
        row.failures += 1
        if row.failures > TRIES:
            self._end(row.place, Done(error=str(error)))
        else:
            self.waiting.append(row)

    async def _refused(self, row: _Waiting, error: InvalidRequestError) -> None:
        """Give a row up; unless all are refused, and what is surely well too, so that it is not the rows."""
        self.batch.refusals += 1
        if self.batch.refusals >= ALL and not self.batch.answers:
            try:
                await self._wait_for_answer()
            except InvalidRequestError:
                raise error from None
            self.batch.answers += 1
        self._end(row.place, Done(error=str(error)))

    def _end(self, place: int, done: Done) -> None:
        self.done[place] = done
        if self.told is not None:
            self.told(done)


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first failure of a group, or of a group in it."""
    first = failed.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first  # pyright: ignore[reportUnknownArgumentType]
