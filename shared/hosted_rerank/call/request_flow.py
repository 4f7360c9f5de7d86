"""One request of a rerank, without the I/O: from its position in the queue through its attempts to a result.

`Exchange.steps` is a generator. It yields a `Wait` ("sleep so long, or until the ticket is notified") or a `Request`
("send this"), is sent the `Outcome` of a request, and returns a `BatchResult` or raises. A driver runs the steps and
decides nothing, so blocking and awaiting calls share every decision, and each of them can be tested with plain values.
(`httpx.Auth.auth_flow` and psycopg's `generators.py` are built so.)
"""

import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from hosted_rerank.call.batching import Batch, Plan
from hosted_rerank.call.error_mapping import error_for
from hosted_rerank.call.request_encoding import BatchResult, batch_result, decode_page, encode_request, sensitive
from hosted_rerank.errors import (
    CircuitOpenError,
    MalformedResponseError,
    RateLimitError,
    RequestTooLargeError,
    RerankError,
)
from hosted_rerank.limits.classification import Verdict, classify, is_overlong
from hosted_rerank.limits.endpoint_state import EndpointState
from hosted_rerank.limits.request_queue import Ticket
from hosted_rerank.observability.events import NULL_OBSERVER, CallObserver
from hosted_rerank.providers.dialect import Ranking
from hosted_rerank.wire import Outcome, Request, Response, TransportFailure

QUEUE_CHECK_INTERVAL = 10.0
"""Seconds after which a queued request asks for its turn without a notification, which a closed event loop may lose."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Tells a driver to sleep, at most until the ticket is notified."""

    seconds: float
    """May be infinite, with a ticket."""
    ticket: Ticket | None = None


Step: TypeAlias = Wait | Request


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
    ticket: Ticket = field(default_factory=Ticket, init=False)
    attempts: int = field(default=0, init=False)
    outcome: Outcome | None = field(default=None, init=False)
    """The outcome of the last attempt."""
    is_probe: bool = field(default=False, init=False)
    """Whether the request in flight is the probe of a half-open circuit."""

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
            if self.is_probe:
                self.state.breaker.cancel_probe(self.clock())
            if several:
                self.observer.on_batch_end(span, self.attempts, failed)

    def _name_url(self, error: RerankError) -> RerankError:
        """Returns an error after it names the URL that was asked, which is rarely the one that `base_url` says."""
        error.url = self.plan.endpoint.shown_url(self.key)
        error.add_hint(f"the URL is {error.url}")
        return error

    def _attempts(self) -> Generator[Step, Any, BatchResult]:
        """Yields the waits and requests until an attempt succeeds, and returns its result."""
        retries, waited = 0, 0.0
        request: Request | None = None
        pages: list[Ranking] = []
        while True:
            left = yield from self._wait_for_turn()
            request = request or self._encode()
            outcome = yield from self._send(request, left)
            self.is_probe = False
            outcome = self._read(outcome, pages)
            verdict = classify(outcome, self.plan.endpoint.provider)
            if verdict.success and isinstance(outcome, Response):
                self.state.record(verdict, self.ticket, outcome.at)
                if (page := pages[-1].next_page) is None:
                    return batch_result(self.plan, self.batch, self.key, outcome, pages, self.attempts)
                dialect = self.plan.endpoint.provider.dialect
                request = replace(request, content=dialect.next_page_request(request.content, page))
                continue
            delay = self._retry_delay(outcome, verdict, retries, waited)
            late = self._time_left(outcome.at) <= (delay or 0.0)
            if delay is None or late:
                raise self._error(late=late)
            self.observer.on_retry(self.plan.endpoint.provider.name, self.attempts, delay, verdict.reason)
            if not (verdict.throttled and verdict.retry_after is not None):  # else all requests wait in the queue
                yield Wait(delay)
            retries += 1
            waited += delay

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
        first = True
        while True:
            now = self.clock()
            left = self._time_left(now)
            if not left:
                raise self._deadline_error(
                    "it waited in the queue until then" if self.ticket.queued else "there is no time for an attempt"
                )
            if seconds := breaker.open_for(now):
                raise self._circuit_open_error(seconds)
            wait = queue.admit(self.ticket, now, options.max_concurrency)
            if not wait:
                self.is_probe = breaker.start_probe(now, options.timeout)
                return left
            if (blocked := queue.blocked_for(now)) > options.retry.backoff_max:
                raise self._retry_after_error(blocked)
            if first and left < (needed := queue.estimated_wait(now)):
                raise self._deadline_error(f"its turn would come in {needed:.2g} s, at the rate that the API allows")
            first = False
            yield Wait(min(wait, left, QUEUE_CHECK_INTERVAL), self.ticket)

    def _time_left(self, now: float) -> float:
        """Returns the seconds until the deadline."""
        return self.plan.call_options.time_left(now - self.started)

    def _retry_delay(self, outcome: Outcome, verdict: Verdict, retries: int, waited: float) -> float | None:
        """Records a failure, and returns the seconds until the next attempt; `None` to give up."""
        policy, breaker = self.plan.call_options.retry, self.state.breaker
        delay = policy.delay(outcome, retries, waited, self.jitter()) if verdict.retryable else None
        blocked = verdict.retry_after if delay is None or verdict.retry_after is None else delay
        was_open = breaker.open_for(outcome.at) > 0
        if self.state.record(verdict, self.ticket, outcome.at, blocked):
            if not was_open:
                self.observer.on_circuit_open(self.plan.endpoint.provider.name, breaker.reason)
            return None
        if delay is None or verdict.throttled or self.state.budget.withdraw(outcome.at):
            return delay
        return None

    def _error(self, *, late: bool = False) -> RerankError:
        """Returns the error for the outcome of the last attempt."""
        outcome = self.outcome
        if outcome is None:  # pragma: no cover - an attempt was made
            raise AssertionError
        error = self._mapped(outcome, late=late)
        too_large = isinstance(error, RequestTooLargeError)
        if isinstance(outcome, Response) and not too_large and is_overlong(outcome):
            longest = max(self.batch.text_indices, key=lambda index: len(self.plan.texts[index]))
            document, length = self.plan.document_indices[longest], len(self.plan.texts[longest])
            error.add_hint(
                f"the longest document of the request is documents[{document}], with {length} characters: shorten it,"
                " or set max_document_chars"
            )
        return error

    def _mapped(self, outcome: Outcome, *, late: bool) -> RerankError:
        """Returns the error for an outcome; `late` says that the deadline ended the retries."""
        secret = sensitive(self.plan, self.batch, self.key)
        deadline = self.plan.call_options.deadline if late else None
        return error_for(outcome, self.plan.endpoint, sensitive=secret, attempts=self.attempts, late=deadline)

    def _deadline_error(self, reason: str) -> RerankError:
        """Returns the error for a deadline before the next attempt; the last attempt's error, if there was one."""
        if self.outcome is not None:
            return self._error(late=True)
        return self._mapped(TransportFailure(reason, self.clock(), timed_out=True), late=True)

    def _circuit_open_error(self, seconds: float) -> RerankError:
        """Returns the error for an open circuit; the last attempt's error, if there was one."""
        if self.outcome is not None:
            return self._error()
        name, reason = self.plan.endpoint.provider.name, self.state.breaker.reason
        message = f"circuit breaker open for {name}: {reason}; the next request is sent in {seconds:.2g} s"
        return CircuitOpenError(message, provider=name, retry_after=seconds)

    def _retry_after_error(self, seconds: float) -> RerankError:
        """Returns the error for a wait that the API asks of all requests, if the wait is too long."""
        if self.outcome is not None:
            return self._error()
        name = self.plan.endpoint.provider.name
        message = f"rate limit of {name}: it asks all requests to wait {seconds:.3g} s more, so this one was not sent"
        return RateLimitError(message, provider=name, retry_after=seconds)
