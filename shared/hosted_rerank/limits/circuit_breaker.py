"""A circuit breaker and a retry budget, which keep an outage from getting worse.

After several rounds of failures the circuit opens: calls that have a fallback use it at once and do not wait in vain.
After a pause the circuit is half open and lets one probe through, whose success closes it. A call without a fallback is
sent in any case, so an open circuit never costs an answer. The budget bounds the retries beyond the first two of a
request, so that many of them do not multiply the load of a service that fails.
"""

import math
import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """The constants of the circuit breaker and of the retry budget; times in seconds."""

    rounds: int = 5
    """Rounds of failures in a row that open the circuit; one call with two retries makes three."""
    min_outage: float = 3.0
    """Seconds from the first of these failures to the last; a shorter trouble is a blip, which retries outlast."""
    min_timeout: float = 5.0
    """Seconds without a response that may be an outage; a shorter `timeout` or `deadline` says only what a caller
    wants. Rerank APIs answer in 0.05 to 2 s."""
    pause_initial: float = 5.0
    """The first pause before a probe; doubled after each probe that fails."""
    pause_max: float = 60.0
    """The maximum pause before a probe."""
    own_retries: int = 2
    """Retries of each request that the budget never denies."""
    budget_share: float = 0.2
    """Retries that each request adds to the budget; Envoy's default retry budget is 20 % as well."""
    budget_reserve: float = 1000.0
    """Retries at the start, so that no burst is denied; as many as the default of `max_concurrency`."""
    budget_refill: float = 10.0
    """Retries of the reserve that come back each second."""


BREAKER_SETTINGS = BreakerSettings()


class CircuitBreaker:
    """Opens after several rounds of failures; thread-safe. Callers pass the time, `time.monotonic()` in seconds.

    A failure begins a new round only if its request was sent after the last counted failure was known: requests that
    were in flight together and failed together are one failure.

    Args:
        settings: The constants.
    """

    def __init__(self, settings: BreakerSettings = BREAKER_SETTINGS) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._rounds = 0
        self._first_at = self._last_at = -math.inf
        """When the first and the last counted failure was known."""
        self._last = ""
        self._open = False
        self._until = -math.inf
        """The end of the pause, after which the open circuit is half open."""
        self._probe_until = -math.inf
        """The time until which a probe in flight keeps other requests out."""
        self._pause = settings.pause_initial

    def open_for(self, now: float) -> float:
        """Returns the seconds for which the circuit stays open; 0 where it is closed or half open."""
        return max(0.0, self._until - now, self._probe_until - now) if self._open else 0.0

    @property
    def reason(self) -> str:
        """Returns why the circuit is open."""
        return f"requests failed {self._rounds} times in a row, the last with {self._last}"

    def start_probe(self, now: float, seconds: float) -> bool:
        """Records that a request is sent, and returns whether it is the probe of a half-open circuit.

        Args:
            now: The time.
            seconds: How long a probe keeps other requests out while it has no result.
        """
        if not self._open:
            return False
        with self._lock:
            if not self._open or self.open_for(now):
                return False
            self._probe_until = now + seconds
            return True

    def end_probe(self) -> None:
        """Records that a probe has ended, also without a result, so that another request may be the probe."""
        with self._lock:
            self._probe_until = -math.inf

    def record_success(self) -> None:
        """Records that the service responded, if only that a request is wrong; closes the circuit."""
        if self._rounds or self._open:
            with self._lock:
                self._rounds, self._open, self._pause = 0, False, self._settings.pause_initial

    def record_failure(self, now: float, sent: float, reason: str) -> bool:
        """Records a failure that may be an outage.

        Args:
            now: When the failure was known.
            sent: When the request was sent.
            reason: The failure in words.

        Returns:
            Whether this failure opened the closed circuit.
        """
        with self._lock:
            if sent < (self._until if self._open else self._last_at):
                return False  # it was in flight when the last failure was known, so it says nothing new
            self._rounds += 1
            if self._rounds == 1:
                self._first_at = now
            self._last_at, self._last = now, reason
            if self._open:
                self._pause = min(self._pause * 2, self._settings.pause_max)
                self._until = now + self._pause
                return False
            if self._rounds < self._settings.rounds or now - self._first_at < self._settings.min_outage:
                return False
            self._open, self._until, self._probe_until = True, now + self._pause, -math.inf
            return True


class RetryBudget:
    """Keeps retries beyond the first two to a share of the requests; thread-safe. Callers pass the time in seconds.

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
            self._left = min(self._left + self._settings.budget_share, self._settings.budget_reserve)

    def withdraw(self, now: float, retries: int) -> bool:
        """Takes one retry out of the budget, except for the first retries of a request, which it always has.

        Args:
            now: The time.
            retries: Retries that the request has made.

        Returns:
            Whether the retry may be made.
        """
        if retries < self._settings.own_retries:
            return True
        with self._lock:
            refill = self._settings.budget_refill * max(0.0, now - self._refilled)
            self._left = min(self._left + refill, self._settings.budget_reserve)
            self._refilled = now
            if self._left < 0.999:  # shares of a fifth do not add up to exactly one
                return False
            self._left -= 1
            return True
