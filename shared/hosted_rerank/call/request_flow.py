"""One request of a rerank, without the I/O: from its turn in the line through its attempts to an answer.

`exchange` is a generator. It yields a `Wait` ("sleep so long, or until you are woken") or a `Request` ("send this"), is
sent the `Outcome` of a request, and returns an `Answer` or raises. A driver runs the steps and decides nothing, so
blocking and awaiting use share every decision, and each of them can be tested with plain values.
(`httpx.Auth.auth_flow` and psycopg's `generators.py` are built so.)
"""

import math
import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from hosted_rerank.call.batching import Batch, Plan
from hosted_rerank.call.error_mapping import Sensitive, failure, is_lasting, is_overlong, malformed, request_id
from hosted_rerank.errors import (
    CircuitOpenError,
    MalformedResponseError,
    RateLimitError,
    RerankError,
)
from hosted_rerank.limits.endpoint_state import EndpointState
from hosted_rerank.limits.request_queue import Ticket
from hosted_rerank.limits.retry import THROTTLING_STATUSES, quota, retry_after
from hosted_rerank.observability.events import NULL_OBSERVER, CallObserver
from hosted_rerank.providers import Provider
from hosted_rerank.providers.dialect import Ranking, usage_of
from hosted_rerank.response import Usage
from hosted_rerank.wire import Outcome, Reply, Request, TransportFailure

LOOK_AGAIN = 10.0
"""Seconds after which whoever waits for a turn asks again, though nobody woke them: who should have may be gone."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What a driver does next: sleep, at most until the ticket is woken."""

    seconds: float
    """May be infinite, with a ticket."""
    ticket: Ticket | None = None


Step: TypeAlias = Wait | Request


@dataclass(frozen=True, slots=True)
class Answer:
    """What an exchange came to: the ranking, put back to the rows of the plan."""

    scores: Mapping[int, float]
    usage: Usage
    model: str | None
    request_id: str | None
    attempts: int


@dataclass(slots=True)
class Exchange:
    """One request's way to an answer."""

    plan: Plan
    batch: Batch
    top_n: int | None
    """How many results the request asks for; `None` for all."""
    service: EndpointState
    key: str | None = field(repr=False)
    started: float
    """`time.monotonic()` when the call began; the deadline counts from there."""
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    """Random numbers from 0 to 1, for the jitter of waits."""
    watch: CallObserver = NULL_OBSERVER
    """Who is told what happens."""
    ticket: Ticket = field(default_factory=Ticket, init=False)
    attempts: int = field(default=0, init=False)
    outcome: Outcome | None = field(default=None, init=False)
    """What came of the last attempt."""
    tries_circuit: bool = field(default=False, init=False)
    """Whether the request under way is the one that an open circuit lets through, and has not told yet."""

    def steps(self) -> Generator[Step, Any, Answer]:
        """Carry the request through its attempts.

        Raises:
            RerankError: The last attempt's failure, if no attempt succeeded; or why there was none.
        """
        several = len(self.batch.rows) < len(self.plan.texts)
        begun, failed = self.watch.begins(len(self.batch.rows)) if several else None, None
        try:
            return (yield from self._attempts())
        except RerankError as error:
            error.attempts, failed = self.attempts, error
            raise
        finally:
            self.service.pacer.leave(self.ticket)
            if self.tries_circuit:
                self.service.health.untried(self.clock())
            if several:
                self.watch.ends(begun, self.attempts, failed)

    def _attempts(self) -> Generator[Step, Any, Answer]:
        retries, waited = 0, 0.0
        request: Request | None = None
        pages: list[Ranking] = []
        while True:
            left = yield from self._turn()
            request = request or self._request()
            outcome = yield from self._attempt(request, left)
            self.tries_circuit = False
            if isinstance(outcome, Reply) and 200 <= outcome.status < 300:
                self.service.pacer.on_success(self.ticket, outcome.at, quota(outcome.headers))
                self.service.health.well()
                pages.append(self._page(outcome, pages))
                if (more := pages[-1].next_page) is None:
                    return self._answer(outcome, pages)
                request = replace(
                    request, content=self.plan.endpoint.provider.dialect.next_page_request(request.content, more)
                )
                continue
            wait = self._retry_wait(outcome, retries, waited)
            late = self._left(outcome.at) <= (wait or 0.0)
            if wait is None or late:
                raise self._failure(late=late)
            self.watch.retries(self.plan.endpoint.provider.name, self.attempts, wait, _why(outcome))
            if not self._is_held(outcome):
                yield Wait(wait)
            retries += 1
            waited += wait

    def _attempt(self, request: Request, left: float) -> Generator[Request, Any, Outcome]:
        """Send a request once; twice if a kept connection was dead, so that nothing was asked yet."""
        again = self.attempts == 0
        while True:
            self.watch.sends(1)
            try:
                outcome: Outcome = yield request if request.timeout <= left else replace(request, timeout=left)
            finally:
                self.watch.sends(-1)
            self.attempts += 1
            self.outcome = outcome
            left = self._left(outcome.at)
            if not (again and isinstance(outcome, TransportFailure) and outcome.stale and left):
                return outcome
            again = False

    def _turn(self) -> Generator[Wait, None, float]:
        """Wait for the request's turn; returns the seconds that the call still has."""
        limits, pacer, health = self.plan.limits, self.service.pacer, self.service.health
        first = True
        while True:
            now = self.clock()
            left = self._left(now)
            if not left:
                raise self._no_time("no turn came in time" if self.ticket.queued else "there is no time for an attempt")
            if closed := health.closed_to(now):
                raise self._closed(closed)
            wait = pacer.admit(self.ticket, now, limits.max_concurrency)
            if not wait:
                self.tries_circuit = health.tries(now, limits.timeout)
                return left
            if (held := pacer.blocked_for(now)) > limits.retry.backoff_max:
                raise self._held(held)
            if first and left < (needed := pacer.estimated_wait(now)):
                raise self._no_time(f"its turn would come in {needed:.2g} s, at the rate that the API allows")
            first = False
            yield Wait(min(wait, left, LOOK_AGAIN), self.ticket)

    def _left(self, now: float) -> float:
        return self.plan.limits.left(now - self.started)

    def _retry_wait(self, outcome: Outcome, retries: int, waited: float) -> float | None:
        """Take note of a failure, and return the seconds until another attempt; `None` to give up."""
        endpoint, limits, now = self.plan.endpoint, self.plan.limits, outcome.at
        lasting = isinstance(outcome, Reply) and is_lasting(outcome, endpoint)
        wait = None if lasting else limits.retry.wait(outcome, retries, waited, self.chance())
        refusal = self._is_refusal(outcome)
        if refusal and isinstance(outcome, Reply):
            hint, left = retry_after(outcome.headers), quota(outcome.headers)
            hold = wait if hint is not None and wait is not None else hint
            self.service.pacer.on_throttled(self.ticket, now, hold, left, overloaded=outcome.status != 429)
        else:
            self.service.pacer.leave(self.ticket)
        health, how = self.service.health, _outage(outcome)
        if how is None:
            health.answers()
        elif not lasting:
            was_open = health.closed_to(now) > 0
            if health.failed(now, self.ticket.sent, how):
                if not was_open:
                    self.watch.opens(endpoint.provider.name, health.story)
                return None
        return wait if wait is None or refusal or health.may_retry(now) else None

    def _is_refusal(self, outcome: Outcome) -> bool:
        """Whether the API says that it is asked too much."""
        return (
            isinstance(outcome, Reply)
            and outcome.status in THROTTLING_STATUSES
            and not is_lasting(outcome, self.plan.endpoint)
        )

    def _is_held(self, outcome: Outcome) -> bool:
        """Whether all wait in the line for what this one waits for."""
        return self._is_refusal(outcome) and isinstance(outcome, Reply) and retry_after(outcome.headers) is not None

    def _request(self) -> Request:
        plan, endpoint = self.plan, self.plan.endpoint
        dialect, query, instruction = endpoint.provider.dialect, plan.call.query, plan.call.instruction
        if instruction and not dialect.takes_instruction:  # which `check_instruction` let through
            query, instruction = f"{instruction}\n{query}", None
        options = {**endpoint.options, **endpoint.extra_body} if endpoint.extra_body else endpoint.options
        try:
            content = dialect.encode(
                query, self._texts(), model=endpoint.model, top_n=self.top_n, instruction=instruction, options=options
            )
        except TypeError:  # what orjson's own error is
            raise plan.unsendable(self.batch.rows) from None
        headers, longest = endpoint.request_headers(self.key), endpoint.provider.max_response_bytes
        latest = self.started + (plan.limits.deadline or math.inf)
        return Request(endpoint.url, headers, content, plan.limits.timeout, longest, latest)

    def _texts(self) -> Sequence[str]:
        texts, rows = self.plan.texts, self.batch.rows
        return texts if len(rows) == len(texts) else [texts[row] for row in rows]

    @property
    def _hidden(self) -> Sensitive:
        call = self.plan.call
        return Sensitive(self.plan.endpoint.secrets(self.key), [call.query, call.instruction or "", *self._texts()])

    def _page(self, reply: Reply, pages: Sequence[Ranking]) -> Ranking:
        """The ranking in a success; in an API's usual case, where it answers in one page, all of it."""
        endpoint = self.plan.endpoint
        earlier = pages[-1].scores if pages else None
        try:
            ranking = endpoint.provider.dialect.decode(
                reply.content, sent=len(self.batch.rows), top_n=self.top_n, earlier=earlier
            )
        except MalformedResponseError as problem:
            raise malformed(problem, reply, endpoint, self._hidden) from None
        counts = _header_usage(endpoint.provider, reply)
        return replace(ranking, usage=ranking.usage + counts) if counts else ranking

    def _answer(self, reply: Reply, pages: Sequence[Ranking]) -> Answer:
        ranking, rows = pages[-1], self.batch.rows
        several = len(rows) < len(self.plan.texts)
        usage = ranking.usage if len(pages) == 1 else sum((page.usage for page in pages), Usage())
        return Answer(
            {rows[index]: score for index, score in ranking.scores.items()} if several else ranking.scores,
            usage,
            ranking.model,
            request_id(reply, self.plan.endpoint, Sensitive(self.plan.endpoint.secrets(self.key), ())) or ranking.id,
            self.attempts,
        )

    def _failure(self, *, late: bool = False) -> RerankError:
        """The error for what came of the last attempt."""
        outcome = self.outcome
        if outcome is None:  # pragma: no cover - an attempt was made
            raise AssertionError
        deadline = self.plan.limits.deadline if late else None
        error = failure(outcome, self.plan.endpoint, hidden=self._hidden, attempts=self.attempts, late=deadline)
        if isinstance(outcome, Reply) and is_overlong(outcome):
            longest = max(self.batch.rows, key=lambda row: len(self.plan.texts[row]))
            place, length = self.plan.places[longest], len(self.plan.texts[longest])
            error.say_more(
                f"the longest document of the request is documents[{place}], with {length} characters: send less of it,"
                " or set max_document_chars"
            )
        return error

    def _no_time(self, why: str) -> RerankError:
        """The error for a deadline that ends before the next attempt."""
        if self.outcome is not None:
            return self._failure(late=True)
        lost = TransportFailure(why, self.clock(), timed_out=True)
        deadline = self.plan.limits.deadline
        return failure(lost, self.plan.endpoint, hidden=self._hidden, attempts=self.attempts, late=deadline)

    def _closed(self, seconds: float) -> RerankError:
        """The error for an open circuit; the last attempt's failure, if there was one."""
        if self.outcome is not None:
            return self._failure()
        name, story = self.plan.endpoint.provider.name, self.service.health.story
        return CircuitOpenError(
            f"{name} is not asked for the moment: {story}; it is tried again in {seconds:.2g} s",
            provider=name,
            retry_after=seconds,
        )

    def _held(self, seconds: float) -> RerankError:
        """The error for a wait that the API asked of everybody, and that is too long."""
        if self.outcome is not None:
            return self._failure()
        name = self.plan.endpoint.provider.name
        message = f"{name} asked to wait, before this request was sent, for {seconds:.3g} s more"
        return RateLimitError(message, provider=name, retry_after=seconds)


def _why(outcome: Outcome) -> str:
    """What kept an attempt from succeeding, in words of ours."""
    if isinstance(outcome, Reply):
        return f"status {outcome.status}"
    return "a timeout" if outcome.timed_out else "no reply"


def _outage(outcome: Outcome) -> str | None:
    """What speaks for an outage of the whole service, in words."""
    out = (outcome.status >= 500 or outcome.status == 408) if isinstance(outcome, Reply) else not outcome.final
    return _why(outcome) if out else None


def _header_usage(provider: Provider, reply: Reply) -> Usage | None:
    """The counts that a reply has in its headers."""
    if not provider.usage_headers:
        return None
    counts = {name: reply.headers.get(header, "") for header, name in provider.usage_headers.items()}
    return usage_of({name: int(count) for name, count in counts.items() if count.isdecimal() and len(count) < 16})
