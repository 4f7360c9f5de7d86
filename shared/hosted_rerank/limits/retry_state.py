"""The retries of one request: which attempts cost one, and how long to wait for the next."""

import math
from dataclasses import dataclass

from hosted_rerank.limits.circuit_breaker import RetryBudget
from hosted_rerank.limits.classification import Verdict
from hosted_rerank.limits.retry import HINT_JITTER, RetryPolicy
from hosted_rerank.wire import Outcome


@dataclass(slots=True)
class RetryState:
    """Counts the retries of one request; times in seconds."""

    policy: RetryPolicy
    first_sent: float = math.inf
    """When the first attempt was sent."""
    _retries: int = 0
    _refusals: int = 0
    """Throttled attempts that cost no retry."""
    _refused_at: float = math.inf
    """When the first throttled response came."""

    def next_delay(
        self, outcome: Outcome, verdict: Verdict, budget: RetryBudget, jitter: float, *, free: bool
    ) -> float | None:
        """Returns the seconds until the next attempt; `None` to give up.

        Args:
            outcome: The outcome of the last attempt, which did not succeed.
            verdict: The verdict on it.
            budget: The retry budget of the endpoint.
            jitter: A random number from 0 to 1.
            free: Whether the attempt costs no retry.
        """
        if not verdict.retryable:
            return None
        delay = self.policy.delay(outcome, 0 if free else self._retries, jitter, refusals=self._refusals)
        if delay is None:
            return None
        if free:
            self._refusals += 1
            return delay
        if not (verdict.throttled or budget.withdraw(outcome.at, self._retries)):
            return None
        self._retries += 1
        return delay

    def is_free(self, verdict: Verdict, now: float, answered_at: float) -> bool:
        """Returns whether a throttled attempt costs no retry, because it teaches the queue when to send the next one.

        A 503 or 529 without a wait from an endpoint that answers nobody is an outage and teaches nothing.

        Args:
            verdict: The verdict on the attempt.
            now: When its outcome was known.
            answered_at: When the endpoint last answered a request.
        """
        if not verdict.throttled:
            return False
        self._refused_at = min(self._refused_at, now)
        waited = now - self._refused_at + (verdict.retry_after or 0.0)
        teaches = not verdict.overloaded or bool(verdict.retry_after) or answered_at > self.first_sent
        return teaches and waited <= self.policy.max_total_backoff


def hold(verdict: Verdict, delay: float | None) -> float | None:
    """Returns the seconds for which a failure holds all requests, if the API asks for that; `None` if not.

    Args:
        verdict: The verdict on the failure.
        delay: The seconds until the next attempt of its request; `None` for none.
    """
    if delay is None or verdict.retry_after is None:
        return verdict.retry_after
    return min(delay, verdict.retry_after * (1 + HINT_JITTER))
