"""A rerank without the I/O: plan, exchange, and in `merge.py` merge.

`plan` checks a call and cuts it into requests. `exchange` carries one request through its attempts, as a generator: it
yields a `Step` ("wait this long, then send this") and is sent the `Outcome`; it returns an `Answer` or raises. `merge`
joins the answers. A driver runs the steps and decides nothing, so blocking and awaiting use share every decision,
and each of them can be tested with plain values. (`httpx.Auth.auth_flow` and psycopg's `generators.py` are built so.)
"""

import math
import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace

from hosted_rerank.checks import check_count, check_list
from hosted_rerank.dialect import Ranking, usage_of
from hosted_rerank.endpoint import Endpoint
from hosted_rerank.errors import InvalidRequestError, MalformedReplyError
from hosted_rerank.failure import Hidden, failure, is_lasting, malformed, request_id
from hosted_rerank.providers import Provider
from hosted_rerank.retry import Retry
from hosted_rerank.wire import (
    Lost,
    Outcome,
    Reply,
    Request,
    Usage,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a call may take. All in seconds."""

    timeout: float = 30.0
    """For one attempt, from connecting to the last byte."""
    deadline: float | None = None
    """For the whole call, retries and waits included."""
    retry: Retry = Retry()

    def __post_init__(self) -> None:
        for name, value in (("timeout", self.timeout), ("deadline", self.deadline)):
            if value is None and name == "deadline":
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive, finite number of seconds, not {value}")
        check_count("max_retries", self.retry.max_retries, least=0)

    def left(self, elapsed: float) -> float:
        """Return the seconds until the deadline; less than a millisecond is none."""
        return math.inf if self.deadline is None else max(0.0, self.deadline - elapsed - 0.001)


@dataclass(frozen=True, slots=True)
class Call:
    """What a caller asks, as it was passed in."""

    query: str = field(repr=False)
    documents: Sequence[str] = field(repr=False)
    top_n: int | None
    instruction: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Batch:
    """The documents of one request."""

    request: Request
    positions: Sequence[int]
    """Where each document stands in the caller's list."""
    top_n: int | None
    """How many results the request asks for; `None` for all."""
    hidden: Hidden


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked call, cut into requests."""

    endpoint: Endpoint
    limits: Limits
    batches: Sequence[Batch]
    blanks: Sequence[int]
    """Positions of the documents without text, which are not sent."""
    top_n: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """What a driver does next: sleep for `wait` seconds, then send `request`."""

    wait: float
    request: Request


@dataclass(frozen=True, slots=True)
class Answer:
    """What an exchange came to: the ranking, put back to the caller's positions."""

    scores: Sequence[tuple[int, float]]
    usage: Usage
    model: str | None
    request_id: str | None
    attempts: int


def plan(endpoint: Endpoint, limits: Limits, call: Call) -> Plan:
    """Return the requests of a call; none if no document has text.

    Raises:
        InvalidRequestError: A value cannot be right.
        AuthenticationError: There is something to send, and no key to send it with.
        TypeError: A value is of the wrong kind.
    """
    _check(call)
    endpoint.check_instruction(call.instruction)
    positions: list[int] = []
    blanks: list[int] = []
    for place, text in enumerate(call.documents):
        (positions if text and not text.isspace() else blanks).append(place)
    batches = [_batch(endpoint, limits, call, positions)] if positions else []
    return Plan(endpoint, limits, batches, blanks, call.top_n)


def _batch(endpoint: Endpoint, limits: Limits, call: Call, positions: Sequence[int]) -> Batch:
    key, dialect = endpoint.key(), endpoint.provider.dialect
    texts = [call.documents[place] for place in positions]
    top_n = min(call.top_n, len(texts)) if call.top_n and dialect.top_n else None
    query, instruction = call.query, call.instruction
    if instruction and not dialect.takes_instruction:  # which `check_instruction` let through
        query, instruction = f"{instruction}\n{query}", None
    options = {**endpoint.options, **endpoint.extra_body}
    try:
        content = dialect.encode(
            query, texts, model=endpoint.model, top_n=top_n, instruction=instruction, options=options
        )
    except TypeError:  # what orjson's own error is
        raise InvalidRequestError(_not_unicode(call), provider=endpoint.provider.name) from None
    request = Request(
        endpoint.url, endpoint.request_headers(key), content, limits.timeout, endpoint.provider.longest_reply
    )
    hidden = Hidden(endpoint.secrets(key), [call.query, call.instruction or "", *texts])
    return Batch(request, positions, top_n, hidden)


def exchange(
    plan: Plan, batch: Batch, started: float, chance: Callable[[], float] = random.random, *, elapsed: float = 0.0
) -> Generator[Step, Outcome, Answer]:
    """Carry one request through its attempts.

    Args:
        plan: The call that the request belongs to.
        batch: The request and what it holds.
        started: `time.monotonic()` when the call began; the deadline counts from there.
        chance: Random numbers from 0 to 1, for the jitter of waits.
        elapsed: Seconds since then.

    Raises:
        RerankError: The last attempt's failure, if no attempt succeeded.
    """
    limits, retry = plan.limits, plan.limits.retry
    attempts = retries = 0
    wait = waited = 0.0
    left = limits.left(elapsed)
    if not left:
        lost = Lost("there is no time for an attempt", started, timed_out=True)
        raise failure(lost, plan.endpoint, hidden=batch.hidden, attempts=0, late=limits.deadline)
    request = batch.request
    pages: list[Ranking] = []
    while True:
        outcome = yield Step(wait, replace(request, timeout=min(limits.timeout, left - wait)))
        attempts += 1
        if isinstance(outcome, Reply) and 200 <= outcome.status < 300:
            pages.append(_page(plan.endpoint, batch, outcome, pages))
            if (more := pages[-1].next_page) is None:
                return _answer(plan.endpoint, batch, outcome, pages, attempts)
            request = replace(request, content=plan.endpoint.provider.dialect.turn(request.content, more))
            wait, left = 0.0, limits.left(outcome.at - started)
            if left:
                continue
        left = limits.left(outcome.at - started)
        if isinstance(outcome, Lost) and outcome.stale and attempts == 1 and left > 0:
            continue  # a kept connection was dead, so nothing was asked yet: no retry, and no wait
        lasting = isinstance(outcome, Reply) and is_lasting(outcome, plan.endpoint)
        again = None if lasting else retry.wait(outcome, retries, waited, chance())
        late = left <= (again or 0.0)
        if again is None or late:
            deadline = limits.deadline if late else None
            raise failure(outcome, plan.endpoint, hidden=batch.hidden, attempts=attempts, late=deadline)
        retries += 1
        wait = again
        waited += wait


def _page(endpoint: Endpoint, batch: Batch, reply: Reply, pages: Sequence[Ranking]) -> Ranking:
    """The ranking in a success; in an API's usual case, where it answers in one page, all of it."""
    earlier = pages[-1].scores if pages else None
    try:
        ranking = endpoint.provider.dialect.decode(
            reply.content, sent=len(batch.positions), top_n=batch.top_n, earlier=earlier
        )
    except MalformedReplyError as problem:
        raise malformed(problem, reply, endpoint, batch.hidden) from None
    counts = _header_usage(endpoint.provider, reply)
    return replace(ranking, usage=ranking.usage + counts) if counts else ranking


def _answer(endpoint: Endpoint, batch: Batch, reply: Reply, pages: Sequence[Ranking], attempts: int) -> Answer:
    ranking = pages[-1]
    return Answer(
        [(batch.positions[index], score) for index, score in ranking.scores.items()],
        sum((page.usage for page in pages), Usage()),
        ranking.model,
        request_id(reply, endpoint, batch.hidden) or ranking.id,
        attempts,
    )


def _header_usage(provider: Provider, reply: Reply) -> Usage | None:
    """The counts that a reply has in its headers."""
    if not provider.usage_headers:
        return None
    counts = {name: reply.headers.get(header, "") for header, name in provider.usage_headers.items()}
    return usage_of({name: int(count) for name, count in counts.items() if count.isdecimal() and len(count) < 16})


def _check(call: Call) -> None:
    """Refuse what could only fail later, or be answered wrong."""
    query, documents = call.query, call.documents
    if not isinstance(query, str):
        raise TypeError(f"query must be a str, not {type(query).__name__}")
    if not query.strip():
        raise InvalidRequestError("query is blank: there is nothing to compare documents with")
    check_list("documents", documents, str)
    if call.top_n is not None:
        check_count("top_n", call.top_n, least=1)


def _not_unicode(call: Call) -> str:
    """Which text cannot be sent. Searched only once the encoder has refused."""
    texts = {"query": call.query, "instruction": call.instruction or ""}
    texts |= {f"documents[{place}]": text for place, text in enumerate(call.documents)}
    for name, text in texts.items():
        try:
            text.encode()
        except UnicodeEncodeError:
            return f"{name} is not valid Unicode (a lone surrogate): use text.encode('utf-8', 'replace').decode()"
    return "options hold a value that is not JSON"
