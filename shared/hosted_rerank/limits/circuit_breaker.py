"""Whether a service is worth asking: a circuit breaker and a budget for retries.

After many failures in a row the circuit opens: calls fail at once instead of waiting for what does not come. Then one
request is let through to try, and its success closes the circuit for all. Before that, the budget sees to it that
retries stay a share of the requests: an outage must not triple the load.
"""

import threading

FAILURES = 10
"""Failures in a row that open the circuit."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 60.0
"""Seconds until it is tried again; doubled after each try that fails."""
SHARE = 0.2
"""Retries that each request earns."""
RESERVE, LARGEST = 10.0, 100.0
"""Retries to begin with, one of which comes back each second; and the most that can be saved up."""


class Health:
    """Counts what failed; used from any thread. Callers say what time it is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._last = ""
        self._open = False
        self._opened = 0.0
        self._until = 0.0
        self._pause = FIRST_PAUSE
        self._budget = RESERVE
        self._earned = 0.0
        """When the budget was last looked at."""

    def closed_to(self, now: float) -> float:
        """Return for how many seconds nothing may be sent; 0 if something may."""
        return max(0.0, self._until - now) if self._open else 0.0

    def tries(self, now: float, seconds: float) -> bool:
        """Take note that a request goes: where the circuit is open, it has so many seconds to find out, alone.

        Returns:
            Whether the circuit is open.
        """
        if not self._open:
            return False
        with self._lock:
            self._until = now + seconds
        return True

    def untried(self, now: float) -> None:
        """Take note that the request that was let through found nothing out: it was given up."""
        with self._lock:
            self._until = min(self._until, now)

    @property
    def story(self) -> str:
        """What opened the circuit, in words."""
        return f"{self._failures} requests in a row failed, the last with {self._last}"

    def well(self) -> None:
        """Take note of an answer."""
        self.answers()
        self._budget = min(self._budget + SHARE, LARGEST)

    def answers(self) -> None:
        """Take note that the service answers, be it that a request is wrong."""
        if self._failures or self._open:
            with self._lock:
                self._failures, self._open, self._pause = 0, False, FIRST_PAUSE

    def failed(self, now: float, sent: float, how: str) -> bool:
        """Take note of a failure of a request that was sent at `sent`; whether the circuit is open after it."""
        with self._lock:
            self._budget = min(self._budget + SHARE, LARGEST)
            if self._open and sent < self._opened:
                return True  # sent before the circuit opened: nothing new
            self._failures += 1
            self._last = how
            if self._open:
                self._pause = min(self._pause * 2, LONGEST_PAUSE)
            elif self._failures < FAILURES:
                return False
            self._open, self._opened, self._until = True, now, now + self._pause
            return True

    def may_retry(self, now: float) -> bool:
        """Take a retry from the budget, if there is one."""
        with self._lock:
            if self._budget < RESERVE:
                self._budget = min(RESERVE, self._budget + max(0.0, now - self._earned))
            self._earned = now
            if self._budget < 0.999:  # fifths do not add up to one
                return False
            self._budget -= 1
            return True
