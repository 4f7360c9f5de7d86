"""The state of each endpoint, model and account that the process sends requests to.

All rerankers of the process share it, so that each call uses the limits that earlier calls learned.
"""

import os
import threading
from collections.abc import Callable

from hosted_rerank.limits.adaptive_rate import AdaptiveRate
from hosted_rerank.limits.circuit_breaker import BREAKER_SETTINGS, BreakerSettings, CircuitBreaker, RetryBudget
from hosted_rerank.limits.classification import Verdict
from hosted_rerank.limits.learned_sizes import LearnedSizes
from hosted_rerank.limits.rate_controller import Ticket
from hosted_rerank.limits.request_queue import RequestQueue
from hosted_rerank.providers.endpoint import Endpoint

_MAX_ENDPOINTS = 1000
"""Maximum number of endpoint states; the oldest one is forgotten first."""


class EndpointState:
    """The queue, circuit breaker, retry budget and learned sizes of one account at a model of a host.

    Args:
        queue: The queue; `None` for one with an adaptive rate.
        breaker_settings: The constants of the circuit breaker and the retry budget.
    """

    def __init__(self, queue: RequestQueue | None = None, breaker_settings: BreakerSettings = BREAKER_SETTINGS) -> None:
        self.queue = queue or RequestQueue(AdaptiveRate())
        self.breaker = CircuitBreaker(breaker_settings)
        self.budget = RetryBudget(breaker_settings)
        self.sizes = LearnedSizes()

    def record(self, verdict: Verdict, ticket: Ticket, now: float, retry_after: float | None = None) -> bool:
        """Records the outcome of a request.

        Args:
            verdict: The verdict on the outcome.
            ticket: The request's ticket.
            now: When the outcome was known.
            retry_after: Seconds for which no request is sent, if the API asks for that.

        Returns:
            Whether the outcome opened the circuit or came while it was open.
        """
        if verdict.success:
            self.queue.on_success(ticket, now, verdict.quota)
        elif verdict.throttled:
            self.queue.on_throttled(ticket, now, retry_after, verdict.quota, overloaded=verdict.overloaded)
        else:
            self.queue.drop(ticket)
        if verdict.outage is None:
            self.breaker.record_response()
        if verdict.success or verdict.outage is not None:
            self.budget.deposit()
        return verdict.outage is not None and self.breaker.record_failure(now, ticket.sent, verdict.outage)


class EndpointRegistry:
    """Endpoint states by host, key and model.

    Args:
        make: Returns the state of a new endpoint.
    """

    def __init__(self, make: Callable[[], EndpointState] = EndpointState) -> None:
        self._make = make
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Forgets all states, because a forked child may find the locks of its parent held for ever."""
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int, str | None], EndpointState] = {}

    def find(self, endpoint: Endpoint, key: str | None) -> EndpointState:
        """Returns the state of an endpoint for an account.

        Args:
            endpoint: The endpoint, with its model.
            key: The API key of the account.
        """
        name = (endpoint.host, hash((key, *endpoint.credentials())), endpoint.model)
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
