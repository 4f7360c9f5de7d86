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
    admits is spread over a part of the latency, so that the first throttled request stops the last ones. After that, it
    is lowered where it was too wide, and grows as a `LearnedLimit`.

    Args:
        settings: The constants.
    """

    def __init__(self, settings: RateSettings) -> None:
        self.in_flight = 0
        self.latency = 0.0
        """Seconds that a response takes, a moving average."""
        self._settings = settings
        self._limit = LearnedLimit(min(settings.initial_window, settings.max_window), settings)
        self._full_at = math.inf
        """The time up to which the growth of a full window is counted."""
        self._throttled = False
        """Whether any request was throttled, which ends the start."""
        self._next_at = -math.inf
        """The time of the next request during the start."""
        self._progress_at = -math.inf
        """The time of the first request in flight, of the last response, or of the last growth during the start."""
        self._round_until = math.inf
        """The time at which the window was full: requests that were sent until then are one round."""
        self._round_left = 0
        self._interval = settings.initial_interval
        """Seconds between two requests until a response comes."""
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
            if (left := self._progress_at + self._settings.response_timeout - now) > 0:
                return left
            self._widen()
            pause = self._settings.typical_latency / 2
            self._progress_at, self._interval = now + pause - self._settings.response_timeout, pause / self._limit.value
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
            if self.is_full:
                self._full_at = now
            return
        if self.latency:
            spread = min(self._settings.spread * self.latency, self._settings.max_spread)
            interval, burst = spread / self._limit.value, self._settings.burst_interval
        else:
            interval = self._interval
            burst = interval * (self._settings.initial_burst - 1)
        self._next_at = max(self._next_at, now - burst) + interval
        if self.is_full and self._round_until == math.inf:
            self._round_until, self._round_left = now, self.in_flight

    def on_success(self, sent: float, now: float) -> None:
        """Records the response to a request that was sent at a time."""
        if self._throttled and self.is_full:
            self._limit.grow(max(0.0, now - self._full_at))
            self._limit.value = min(self._limit.value, self._settings.max_window)
            self._full_at = now
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
                self._widen()

    def on_dropped(self) -> None:
        """Records that a request ended without a response that says anything about the limits."""
        self.in_flight -= 1

    def _widen(self) -> None:
        settings = self._settings
        faster = max(1.0, self.latency / settings.typical_latency) if self.latency else math.inf
        growth = min(settings.window_growth * faster, settings.max_window_growth)
        self._limit.value = min(self._limit.value * growth, settings.max_window)
        self._round_until = math.inf

    def on_throttled(self) -> None:
        """Records a throttled request: the start is over."""
        self.in_flight -= 1
        self._throttled = True

    def lower(self, value: float, refused: float) -> None:
        """Lowers the window; `refused` is the value that proved too wide."""
        self._limit.lower(max(1.0, value), refused)
