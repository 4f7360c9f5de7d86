"""The state of each endpoint, model and account that the process sends requests to.

All rerankers of the process share it, so that each call uses the limits that earlier calls learned.
"""

import math
import os
import threading
from collections.abc import Callable

from hosted_rerank.limits.adaptive_rate import AdaptiveRate
from hosted_rerank.limits.circuit_breaker import BREAKER_SETTINGS, BreakerSettings, CircuitBreaker, RetryBudget
from hosted_rerank.limits.classification import Verdict
from hosted_rerank.limits.learned_sizes import LearnedSizes
from hosted_rerank.limits.rate_controller import Ticket
from hosted_rerank.limits.rate_settings import RATE_SETTINGS
from hosted_rerank.limits.request_queue import RequestQueue
from hosted_rerank.providers.endpoint import Endpoint

_MAX_ENDPOINTS = 1000
"""Maximum number of endpoint states; the oldest one is forgotten first."""


class EndpointState:
    """The queue, circuit breaker, retry budget and learned sizes of one account at a model of an endpoint.

    Args:
        queue: The queue; `None` for one with an adaptive rate.
        breaker_settings: The constants of the circuit breaker and the retry budget.
    """

    def __init__(self, queue: RequestQueue | None = None, breaker_settings: BreakerSettings = BREAKER_SETTINGS) -> None:
        self.queue = queue or RequestQueue(AdaptiveRate())
        self.breaker = CircuitBreaker(breaker_settings)
        self.budget = RetryBudget(breaker_settings)
        self.answered_at = -math.inf
        """When the last success was known."""
        self._min_timeout = breaker_settings.min_timeout
        self._refusal = (-math.inf, -math.inf)
        """When the last request was sent that was asked to wait longer than
        `RateSettings.max_hold`, and the end of that wait."""
        self.sizes = LearnedSizes()

    def estimated_wait(self, now: float) -> float:
        """Returns the minimum seconds until a new request would be sent, as far as it is known."""
        return max(self.queue.estimated_wait(now, Ticket()), self.breaker.open_for(now))

    def refused_for(self, since: float, now: float) -> float:
        """Returns the seconds that the API asks for if it refused a request that was sent after `since` for long."""
        sent, until = self._refusal
        return max(0.0, until - now) if sent > since else 0.0

    def record(self, verdict: Verdict, ticket: Ticket, now: float, retry_after: float | None = None) -> bool:
        """Records the outcome of a request.

        Args:
            verdict: The verdict on the outcome.
            ticket: The request's ticket.
            now: When the outcome was known.
            retry_after: Seconds for which no request is sent, if the API asks for that.

        Returns:
            Whether the outcome opened the circuit.
        """
        if retry_after is not None and retry_after > RATE_SETTINGS.max_hold:
            self._refusal = ticket.sent, now + retry_after
        if verdict.success:
            self.answered_at = now
            self.queue.on_success(ticket, now, verdict.quota)
        elif verdict.throttled:
            self.queue.on_throttled(ticket, now, retry_after, verdict.quota, overloaded=verdict.overloaded)
        else:
            self.queue.drop(ticket)
        if verdict.success or verdict.outage is not None:
            self.budget.deposit()
        if verdict.answered:
            self.breaker.record_success()
        elif verdict.outage is not None and not (verdict.timed_out and now - ticket.sent < self._min_timeout):
            return self.breaker.record_failure(now, ticket.sent, verdict.outage)
        return False


class EndpointRegistry:
    """Endpoint states by URL, model and account.

    Args:
        make: Returns the state of a new endpoint.
    """

    def __init__(self, make: Callable[[], EndpointState] = EndpointState) -> None:
        self._make = make
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Forgets all states, because a forked child may find the locks of its parent held for ever."""
        self._lock = threading.Lock()
        self._known: dict[int, EndpointState] = {}

    def find(self, endpoint: Endpoint, key: str | None) -> EndpointState:
        """Returns the state of an endpoint for an account.

        Args:
            endpoint: The endpoint, with its model.
            key: The API key of the account.
        """
        name = hash((endpoint.url, endpoint.model, key, *endpoint.credentials))  # a URL may contain a secret
        found = self._known.get(name)
        if found is None:
            with self._lock:
                found = self._known.setdefault(name, self._make())
                if len(self._known) > _MAX_ENDPOINTS:
                    del self._known[next(iter(self._known))]
        return found


ENDPOINTS = EndpointRegistry()
"""The endpoint states of the process."""
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=ENDPOINTS.reset_after_fork)
