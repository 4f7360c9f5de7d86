"""A circuit breaker and a retry budget, which keep an outage from getting worse.

After many failures in a row the circuit opens: calls fail at once instead of waiting in vain. After a pause it is half
open and lets one probe through, whose success closes it for all. Before that, the budget keeps retries to a share of
the requests, so that they do not multiply the load of a service that fails.
"""

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """The constants of the circuit breaker and of the retry budget; times in seconds."""

    failures: int = 10
    """Failures in a row that open the circuit."""
    pause_initial: float = 5.0
    """The first pause before a probe; doubled after each probe that fails."""
    pause_max: float = 60.0
    """The maximum pause before a probe."""
    budget_share: float = 0.2
    """Retries that each request adds to the budget; Envoy's default retry budget is 20 % as well."""
    budget_reserve: float = 10.0
    """Retries at the start, one of which comes back each second."""
    budget_max: float = 100.0


BREAKER_SETTINGS = BreakerSettings()


class CircuitBreaker:
    """Opens after many failures in a row; thread-safe. Callers pass the time, `time.monotonic()` in seconds.

    Args:
        settings: The constants.
    """

    def __init__(self, settings: BreakerSettings = BREAKER_SETTINGS) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._failures = 0
        self._last = ""
        self._open = False
        self._opened = 0.0
        self._until = 0.0
        self._pause = settings.pause_initial

    def open_for(self, now: float) -> float:
        """Returns the seconds for which no request may be sent; 0 where the circuit is closed or half open."""
        return max(0.0, self._until - now) if self._open else 0.0

    @property
    def reason(self) -> str:
        """Returns why the circuit is open."""
        return f"{self._failures} requests in a row failed, the last with {self._last}"

    def start_probe(self, now: float, seconds: float) -> bool:
        """Records that a request is sent, and returns whether it is a probe of a half-open circuit.

        Args:
            now: The time.
            seconds: How long a probe keeps other requests out while it has no result.
        """
        if not self._open:
            return False
        with self._lock:
            self._until = now + seconds
        return True

    def cancel_probe(self, now: float) -> None:
        """Records that a probe was given up without a result, so that another request may be the probe."""
        with self._lock:
            self._until = min(self._until, now)

    def record_response(self) -> None:
        """Records that the service responded, if only that a request is wrong; closes the circuit."""
        if self._failures or self._open:
            with self._lock:
                self._failures, self._open, self._pause = 0, False, self._settings.pause_initial

    def record_failure(self, now: float, sent: float, reason: str) -> bool:
        """Records a failure that may be an outage.

        Args:
            now: When the failure was known.
            sent: When the request was sent.
            reason: The failure in words.

        Returns:
            Whether the circuit is open now.
        """
        with self._lock:
            if self._open and sent < self._opened:
                return True  # sent before the circuit opened: so it says nothing new
            self._failures += 1
            self._last = reason
            if self._open:
                self._pause = min(self._pause * 2, self._settings.pause_max)
            elif self._failures < self._settings.failures:
                return False
            self._open, self._opened, self._until = True, now, now + self._pause
            return True


class RetryBudget:
    """Keeps retries to a share of the requests; thread-safe. Callers pass the time in seconds.

    Args:
        settings: The constants.
    """

    def __init__(self, settings: BreakerSettings = BREAKER_SETTINGS) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._left = settings.budget_reserve
        self._refilled = 0.0
        """When the budget was last refilled."""

    def deposit(self) -> None:
        """Adds the share of one request."""
        with self._lock:
            self._left = min(self._left + self._settings.budget_share, self._settings.budget_max)

    def withdraw(self, now: float) -> bool:
        """Takes one retry out of the budget; returns whether there was one."""
        reserve = self._settings.budget_reserve
        with self._lock:
            if self._left < reserve:
                self._left = min(reserve, self._left + max(0.0, now - self._refilled))
            self._refilled = now
            if self._left < 0.999:  # shares of a fifth do not add up to exactly one
                return False
            self._left -= 1
            return True
