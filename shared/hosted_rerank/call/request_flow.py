"""One request of a rerank, without the I/O: from its position in the queue through its attempts to a result.

`Exchange.steps` is a generator. It yields a `Wait` ("sleep so long, or until the ticket is notified") or a `Request`
("send this"), is sent the `Outcome` of a request, and returns a `BatchResult` or raises. A driver runs the steps and
decides nothing, so blocking and awaiting calls share every decision, and each of them can be tested with plain values.
(`httpx.Auth.auth_flow` and psycopg's `generators.py` are built so.)
"""

import math
import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from hosted_rerank.call.batching import Batch, Plan
from hosted_rerank.call.request_encoding import BatchResult, batch_result, decode_page, encode_request
from hosted_rerank.call.request_errors import RequestErrors
from hosted_rerank.errors import MalformedResponseError, RerankError
from hosted_rerank.limits.classification import Verdict, classify
from hosted_rerank.limits.endpoint_state import EndpointState
from hosted_rerank.limits.rate_controller import Ticket
from hosted_rerank.limits.retry_state import RetryState, hold
from hosted_rerank.observability.events import NULL_OBSERVER, CallObserver
from hosted_rerank.providers.ranking import Ranking
from hosted_rerank.wire import Outcome, Request, Response, TransportFailure

QUEUE_CHECK_INTERVAL = 10.0
"""Seconds after which a queued request asks for its turn without a notification, which a closed event loop may lose."""
HOLD_CHECK_INTERVAL = 1.0
"""Seconds after which a queued request checks whether a fallback could be asked sooner."""
PATIENCE = 0.5
"""Seconds that a request waits although a fallback could be asked sooner; about as long as the first backoff."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Tells a driver to sleep, at most until the ticket is notified."""

    seconds: float
    """May be infinite, with a ticket."""
    ticket: Ticket | None = None


Step: TypeAlias = Wait | Request


def no_fallback(now: float) -> float:  # noqa: ARG001 - as the function of a call with fallbacks
    """Returns the seconds until a fallback could be asked, where there is none."""
    return math.inf


@dataclass(slots=True)
class Exchange:
    """Carries one batch from the queue through its attempts to a result."""

    plan: Plan
    batch: Batch
    top_n: int | None
    """How many results the request asks for; `None` for all."""
    state: EndpointState
    key: str | None = field(repr=False)
    started: float
    """`time.monotonic()` when the call began; the deadline counts from there."""
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random
    """Random numbers from 0 to 1, for the jitter of waits."""
    observer: CallObserver = NULL_OBSERVER
    fallback_wait: Callable[[float], float] = no_fallback
    """Returns the seconds until a fallback could be asked, at a time; infinite if no fallback is left."""
    ticket: Ticket = field(default_factory=Ticket, init=False)
    attempts: int = field(default=0, init=False)
    outcome: Outcome | None = field(default=None, init=False)
    """The outcome of the last attempt."""
    is_probe: bool = field(default=False, init=False)
    """Whether the request in flight is the probe of a half-open circuit."""
    retries: RetryState = field(init=False)

    def __post_init__(self) -> None:
        self.retries = RetryState(self.plan.call_options.retry)

    def steps(self) -> Generator[Step, Any, BatchResult]:
        """Yields the steps of the request: waits and attempts.

        Returns:
            The result of the batch.

        Raises:
            RerankError: No attempt succeeded, or none was possible; the error of the last attempt.
        """
        several = len(self.batch.text_indices) < len(self.plan.texts)
        span = self.observer.on_batch_start(len(self.batch.text_indices)) if several else None
        failed: RerankError | None = None
        try:
            result = yield from self._attempts()
        except RerankError as error:
            error.attempts, failed = self.attempts, self._name_url(error)
            raise
        else:
            failed = result.error and self._name_url(result.error)
            return result
        finally:
            self.state.queue.drop(self.ticket)
            self._end_probe()
            if several:
                self.observer.on_batch_end(span, self.attempts, failed)

    def _name_url(self, error: RerankError) -> RerankError:
        """Returns an error after it names the URL that was asked, which is rarely the one that `base_url` says."""
        error.url = self.plan.endpoint.shown_url(self.key)
        if not error.url.startswith("local:"):
            error.add_hint(f"the URL is {error.url}")
        return error

    def _attempts(self) -> Generator[Step, Any, BatchResult]:
        """Yields the waits and requests until an attempt succeeds, and returns its result."""
        request: Request | None = None
        pages: list[Ranking] = []
        while True:
            left = yield from self._wait_for_turn()
            request = request or self._encode()
            outcome = yield from self._send(request, left)
            self._end_probe()
            outcome = self._read(outcome, pages)
            verdict = classify(outcome, self.plan.endpoint.provider)
            if verdict.success and isinstance(outcome, Response):
                self.state.record(verdict, self.ticket, outcome.at)
                if (page := pages[-1].next_page) is None:
                    return batch_result(self.plan, self.batch, self.key, outcome, pages, self.attempts)
                dialect = self.plan.endpoint.provider.dialect
                request = replace(request, content=dialect.next_page_request(request.content, page))
                continue
            delay = self._retry_delay(outcome, verdict)
            late = self._time_left(outcome.at) <= (delay or 0.0)
            is_held = verdict.retry_after is not None and (delay or 0.0) > self.fallback_wait(outcome.at) + PATIENCE
            if delay is None or late or is_held:
                raise self._errors.failed(outcome, self.attempts, late=late)
            self.observer.on_retry(self.plan.endpoint.provider.name, self.attempts, delay, verdict.reason)
            if not verdict.throttled or delay > (hold(verdict, delay) or 0.0):  # else all requests wait in the queue
                yield Wait(delay)

    def _end_probe(self) -> None:
        """Lets another request be the probe of a half-open circuit, if this one was."""
        if self.is_probe:
            self.is_probe = False
            self.state.breaker.end_probe()

    def _read(self, outcome: Outcome, pages: list[Ranking]) -> Outcome:
        """Appends the ranking in a success to the pages; returns the outcome, or the error that a success contains."""
        if not isinstance(outcome, Response) or not 200 <= outcome.status < 300:
            return outcome
        try:
            page = decode_page(self.plan, self.batch, self.top_n, self.key, outcome, pages)
        except MalformedResponseError:
            self.state.record(classify(outcome, self.plan.endpoint.provider), self.ticket, outcome.at)
            raise
        if isinstance(page, Response):
            self.outcome = page
            return page
        pages.append(page)
        return outcome

    def _encode(self) -> Request:
        """Returns the HTTP request, with the headers of the trace."""
        request = encode_request(self.plan, self.batch, self.top_n, self.key, self.started)
        headers = self.observer.trace_headers()
        return replace(request, headers={**headers, **request.headers}) if headers else request

    def _send(self, request: Request, left: float) -> Generator[Request, Any, Outcome]:
        """Sends a request; sends it again if the server had closed the kept connection and saw no request."""
        again = self.attempts == 0
        while True:
            self.observer.on_request_start()
            sent = self.clock()
            outcome: Outcome | None = None
            try:
                outcome = yield request if request.timeout <= left else replace(request, timeout=left)
            finally:
                self.observer.on_request_end(
                    self.plan.endpoint.provider.name, len(self.batch.text_indices), outcome, self.clock() - sent
                )
            if outcome is None:  # pragma: no cover - a driver sends an outcome
                raise AssertionError
            self.attempts += 1
            self.outcome = outcome
            left = self._time_left(outcome.at)
            if not (again and isinstance(outcome, TransportFailure) and outcome.dead_connection and left):
                return outcome
            again = False

    def _wait_for_turn(self) -> Generator[Wait, None, float]:
        """Waits until the request may be sent; returns the seconds that the call has left."""
        options, queue, breaker = self.plan.call_options, self.state.queue, self.state.breaker
        since: float | None = None
        while True:
            now = self.clock()
            left = self._time_left(now)
            if not left:
                raise self._deadline_error(
                    "it waited in the queue until then" if self.ticket.queued else "there is no time for an attempt"
                )
            has_fallback = self.fallback_wait(now) < math.inf
            if has_fallback and self.outcome is None and (seconds := breaker.open_for(now)):
                raise self._errors.circuit_open(breaker.reason, seconds)
            wait = queue.admit(self.ticket, now, options.max_concurrency)
            if not wait:
                self.is_probe = breaker.start_probe(now, options.timeout)
                self.retries.first_sent = min(self.retries.first_sent, now)
                return left
            is_new = since is None and self.outcome is None
            since = now if since is None else since
            may_leave = is_new or has_fallback
            needed = queue.estimated_wait(now, self.ticket) if may_leave else queue.blocked_for(now)
            self._check_hold(needed, since, now, left)
            yield Wait(min(wait, left, HOLD_CHECK_INTERVAL if has_fallback else QUEUE_CHECK_INTERVAL), self.ticket)

    def _check_hold(self, needed: float, since: float, now: float, left: float) -> None:
        """Raises an error if it is of no use to wait for the request's turn.

        Args:
            needed: The minimum seconds until its turn.
            since: When the wait began.
            now: The time.
            left: The seconds until the deadline.
        """
        fallback_wait = self.fallback_wait(now)
        if needed > min(left, fallback_wait + PATIENCE) and fallback_wait < math.inf:
            raise self._held_error(needed)
        if needed > left:
            raise self._deadline_error(f"its turn would come in {needed:.2g} s, at the rate that the API allows")
        if asked := self.state.refused_for(since, now):  # the answer to this request would be the same
            raise self._held_error(asked)

    def _time_left(self, now: float) -> float:
        """Returns the seconds until the deadline."""
        return self.plan.call_options.time_left(now - self.started)

    def _retry_delay(self, outcome: Outcome, verdict: Verdict) -> float | None:
        """Records a failure, and returns the seconds until the next attempt; `None` to give up."""
        state = self.state
        free = self.retries.is_free(verdict, outcome.at, state.answered_at)
        free = free and self.fallback_wait(outcome.at) == math.inf  # with a fallback, few retries, so that it is asked
        delay = self.retries.next_delay(outcome, verdict, state.budget, self.jitter(), free=free)
        if state.record(verdict, self.ticket, outcome.at, hold(verdict, delay)):
            self.observer.on_circuit_open(self.plan.endpoint.provider.name, state.breaker.reason)
        return delay

    @property
    def _errors(self) -> RequestErrors:
        return RequestErrors(self.plan, self.batch, self.key)

    def _deadline_error(self, reason: str) -> RerankError:
        """Returns the error for a deadline before the next attempt."""
        return self._errors.late(self.outcome, self.attempts, reason, self.clock())

    def _held_error(self, seconds: float) -> RerankError:
        """Returns the error for a wait of all requests that is too long."""
        return self._errors.held(self.outcome, self.attempts, seconds)
