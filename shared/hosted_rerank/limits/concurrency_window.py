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

    It starts small, so that a small limit refuses few requests. A full window of requests is a round, and no other one
    is sent until nearly all of the round have succeeded, or no response came for long. Then it grows by a factor, until
    a request is throttled; what a wider window admits is spread a little, so that the first throttled request stops the
    last ones. After that, it is lowered where it was too wide, and grows as a `LearnedLimit`.

    Args:
        settings: The constants.
    """

    def __init__(self, settings: RateSettings) -> None:
        self.in_flight = 0
        self.latency = 0.0
        """Seconds that a response takes, a moving average."""
        self._settings = settings
        self._limit = LearnedLimit(min(settings.initial_window, settings.max_window), 1.0, settings)
        self._grown_at = math.inf
        """The time up to which the growth of a full window is counted; infinite if it is not full."""
        self._throttled = False
        """Whether any request was throttled, which ends the start."""
        self._interval = settings.spread / self._limit.value
        """Seconds between two requests of the start."""
        self._next_at = -math.inf
        """The time of the next request of the start."""
        self._progress_at = -math.inf
        """The time of the first request in flight, of the last response, or of the last growth of the start."""
        self._round_until = math.inf
        """The time at which the window was full: requests that were sent until then are one round."""
        self._round_left = 0
        """Requests of the round that are in flight."""

    @property
    def value(self) -> float:
        """Returns the maximum number of requests in flight."""
        return self._limit.value

    @property
    def is_full(self) -> bool:
        """Returns whether as many requests are in flight as may be."""
        return self.in_flight + 1 > self._limit.value and self.in_flight > 0

    def wait(self, now: float) -> float:
        """Returns 0 if a request may be sent, else the seconds until the next check; infinite until a response."""
        if self._throttled:
            self._grow(now)
            return math.inf if self.is_full else 0.0
        if self.is_full or self._round_until < math.inf:
            if self.in_flight >= self._settings.max_window:
                return math.inf
            if (left := self._progress_at + self._settings.response_timeout - now) > 0:
                return left
            self._widen(now)
        return max(0.0, self._next_at - now)

    def estimated_wait(self, ahead: int) -> float:
        """Returns the minimum seconds that a request waits for a place, if so many requests are sent before it."""
        if not self._throttled:
            return 0.0  # the window may grow
        rounds = (self.in_flight + ahead) // math.ceil(self._limit.value) - 1
        return max(0.0, rounds * self.latency)

    def _widen(self, now: float) -> None:
        """Widens the window of the start."""
        self._limit.value = min(self._limit.value * self._settings.window_growth, self._settings.max_window)
        self._interval = self._settings.spread / self._limit.value
        self._next_at = self._progress_at = now
        self._round_until = math.inf

    def _grow(self, now: float) -> None:
        """Widens the window by the time for which it was full."""
        seconds = max(0.0, now - self._grown_at)
        self._grown_at = now if self.is_full else math.inf
        if seconds:
            self._limit.grow(seconds)
            self._limit.value = min(self._limit.value, self._settings.max_window)

    def on_sent(self, now: float) -> None:
        """Records that a request is sent."""
        if not self.in_flight:
            self._progress_at = now
        self.in_flight += 1
        if self._throttled:
            if self._grown_at == math.inf and self.is_full:
                self._grown_at = now
            return
        together = self._interval * (self._settings.initial_burst - 1)
        self._next_at = max(self._next_at, now - together) + self._interval
        if self.is_full and self._round_until == math.inf:
            self._round_until, self._round_left = now, self.in_flight

    def on_success(self, sent: float, now: float) -> None:
        """Records the response to a request that was sent at a time."""
        if not self.latency:
            self._interval = 0.0  # until the window is wider
            self._next_at = now
        self.latency += (now - sent - self.latency) / (8 if self.latency else 1)  # as TCP's round trip (RFC 6298)
        self._limit.accepted = True
        if self._throttled:
            self._grow(now)
            self.in_flight -= 1
            self._grow(now)
            return
        self.in_flight -= 1
        self._progress_at = now
        if sent <= self._round_until < math.inf:
            self._round_left -= 1
            if self._round_left <= self._limit.value / 8:
                self._widen(now)

    def on_dropped(self) -> None:
        """Records that a request ended without a response that says anything about the limits."""
        self.in_flight -= 1
        self._round_until = math.inf

    def on_throttled(self) -> None:
        """Records a throttled request: the start is over."""
        self.in_flight -= 1
        self._throttled = True

    def lower(self) -> None:
        """Lowers the window."""
        self._limit.lower()

    def narrow(self) -> None:
        """Lowers the window to the requests in flight, which the overloaded service accepted so far.

        A service that accepted none is down, however few requests it gets.
        """
        settings = self._settings
        first = min(settings.initial_window, settings.max_window)
        self._limit.start(min(self._limit.value, self.in_flight) if self.in_flight else first)
