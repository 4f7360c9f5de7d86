"""The concurrency window: how many requests may be in flight."""

import math
import sys

from hosted_rerank.limits.learned_limit import LearnedLimit
from hosted_rerank.limits.rate_settings import RateSettings

if sys.platform != "win32":
    import resource


def max_connections() -> int:
    """Returns how many connections the process may have: half of its open files, so that the rest has room too."""
    if sys.platform == "win32":
        return sys.maxsize
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else max(1, soft // 2)


class ConcurrencyWindow:
    """Learns how many requests may be in flight. It is not thread-safe.

    It starts gently, so that a small limit refuses few requests: a few together, then one by one. When nearly all
    requests of a full window succeeded, the window grows by a factor, until a request is throttled. What a wider window
    admits is spread over half of the latency, so that the first throttled request stops the last ones. After that, it
    is lowered where it was too wide, and grows as a `LearnedLimit`.

    Args:
        settings: The constants.
    """

    def __init__(self, settings: RateSettings) -> None:
        self.in_flight = 0
        self.latency = 0.0
        """Seconds that a response takes, a moving average."""
        self._settings = settings
        self._limit = LearnedLimit(settings.initial_window, settings)
        self._throttled = False
        """Whether any request was throttled, which ends the start."""
        self._next_at = -math.inf
        """The time of the next request during the start."""
        self._progress_at = -math.inf
        """The time of the first request in flight, of the last response, or of the last growth during the start."""
        self._round_until = math.inf
        """The time at which the window was full: requests that were sent until then are one round."""
        self._round_left = 0
        self._blind = settings.initial_interval
        """Requests of the round that are in flight."""

    @property
    def value(self) -> float:
        """Returns the maximum number of requests in flight."""
        return self._limit.value

    @property
    def is_full(self) -> bool:
        """Returns whether as many requests are in flight as may be."""
        return self.in_flight >= self._limit.value

    def wait(self, now: float) -> float:
        """Returns 0 if a request may be sent, else the seconds until the next check; infinite until a response."""
        if self._throttled:
            return math.inf if self.is_full else 0.0
        if self.is_full:
            if (left := self._progress_at + self._settings.doubling_timeout - now) > 0:
                return left
            self._widen(now)
            self._progress_at = now - self._settings.doubling_timeout * 0.7
            self._blind = 0.1 / self._limit.value
        return max(0.0, self._next_at - now)

    def estimated_wait(self, ahead: int) -> float:
        """Returns the minimum seconds that a request waits for a place, if so many requests are sent before it."""
        if not self._throttled:
            return 0.0  # the window may grow
        rounds = (self.in_flight + ahead) // math.ceil(self._limit.value) - 1
        return max(0.0, rounds * self.latency)

    def on_sent(self, now: float) -> None:
        """Records that a request is sent."""
        if not self.in_flight:
            self._progress_at = now
        self.in_flight += 1
        if self._throttled:
            return
        if self.latency:
            interval, burst = self._settings.spread * min(self.latency, 0.15) / self._limit.value, self._settings.burst_interval
        else:
            interval = self._blind
            burst = interval * (self._settings.initial_burst - 1)
        self._next_at = max(self._next_at, now - burst) + interval
        if self.is_full and self._round_until == math.inf:
            self._round_until, self._round_left = now, self.in_flight

    def on_success(self, sent: float, now: float) -> None:
        """Records the response to a request that was sent at a time."""
        self.in_flight -= 1
        if not self.latency:
            self.latency = now - sent
            self._next_at = min(self._next_at, now)
        self.latency += (now - sent - self.latency) / 8  # as TCP's round-trip time (RFC 6298)
        if self._throttled:
            return
        self._progress_at = now
        if sent <= self._round_until < math.inf:
            self._round_left -= 1
            if self._round_left <= self._limit.value / 8:
                self._widen(now)

    def on_dropped(self) -> None:
        """Records that a request ended without a response that says anything about the limits."""
        self.in_flight -= 1

    def _widen(self, now: float) -> None:
        growth = min(16.0, self._settings.window_growth * max(1.0, (self.latency or 0.16) / 0.1))
        self._limit.value = min(self._limit.value * growth, self._settings.max_window)
        self._round_until = math.inf

    def on_throttled(self) -> None:
        """Records a throttled request: the start is over."""
        self.in_flight -= 1
        if not self._throttled:
            self._throttled = self._limit.is_estimate = True

    def lower(self, value: float, refused: float) -> None:
        """Lowers the window; `refused` is the value that proved too wide."""
        self._limit.lower(max(1.0, value), refused)

    def grow(self, seconds: float) -> None:
        """Raises the window by the growth of so many seconds."""
        self._limit.grow(seconds)
        self._limit.value = min(self._limit.value, self._settings.max_window)
