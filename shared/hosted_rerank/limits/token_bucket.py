"""The token bucket: how many requests a second may be sent, learned as a model of the server's own token bucket."""

import math
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass

from hosted_rerank.limits.learned_limit import LearnedLimit
from hosted_rerank.limits.rate_settings import RateSettings

_MAX_TIMES = 20_000
"""Requests whose times are remembered."""


@dataclass(frozen=True, slots=True)
class _Round:
    """The first throttled request after others were known, and the state before it."""

    sent: float
    filled: float
    """When the last hold ended, which filled the server's bucket again."""
    rate: float
    burst: float


class TokenBucket:
    """Learns the rate and the burst of the server's token bucket. It is not thread-safe.

    A throttled request shows that the server's bucket was empty when the request was sent. So the requests that were
    accepted until then are the burst, and say how large the rate may be. From then on, each one halves the rate.

    Args:
        settings: The constants.
    """

    def __init__(self, settings: RateSettings) -> None:
        self._settings = settings
        self._limit = LearnedLimit(math.inf, settings)
        self._burst = math.inf
        """Requests that the server accepts at once after a pause."""
        self._tokens = math.inf
        """Requests that may be sent now."""
        self._refilled_at = -math.inf
        self._grows_from = -math.inf
        """The time from which the rate may grow again."""
        self._times: list[float] = []
        """When the requests were sent that were not throttled so far."""
        self._round: _Round | None = None

    @property
    def rate(self) -> float:
        """Returns the learned limit in requests per second; infinite while it is unknown."""
        return self._limit.value

    @property
    def capacity(self) -> float:
        """Returns how many requests may be sent at once after a pause."""
        return max(1.0, self._burst / 2)

    def wait(self, ahead: int) -> float:
        """Returns the seconds after the last refill until a request may be sent, if so many are sent before it."""
        return max(0.0, (ahead + 1 - self._tokens) / self.rate) if self.rate < math.inf else 0.0

    def on_sent(self, now: float) -> None:
        """Records that a request is sent."""
        self._tokens -= 1
        insort(self._times, now)
        if len(self._times) > _MAX_TIMES:
            del self._times[: _MAX_TIMES // 2]

    def forget(self, sent: float) -> None:
        """Records that the server did not count the request that was sent at a time."""
        place = bisect_right(self._times, sent) - 1
        if place >= 0 and self._times[place] == sent:
            del self._times[place]

    def refill(self, now: float, *, growing: bool) -> None:
        """Adds the tokens of the time since the last refill, and raises the rate if it delays requests."""
        interval, past = self._settings.burst_interval, now - self._refilled_at
        if past < interval / 5 or self.rate == math.inf:
            return
        self._refilled_at = now
        spare = self._tokens + past * self.rate - self.capacity
        self._tokens = self.capacity + min(spare, 0.0)
        seconds = min(past, now - self._grows_from)
        if growing and seconds > 0 and spare < 1 + 2 * interval * self.rate:
            self._limit.grow(seconds)

    def start_round(self, sent: float, filled: float) -> None:
        """Records a throttled request that was sent after all earlier ones were known.

        Args:
            sent: When it was sent.
            filled: When the last hold ended.
        """
        self._round = _Round(sent, filled, self.rate, self._burst)

    def on_throttled(self, sent: float, now: float, retry_after: float | None) -> None:
        """Lowers the rate, or the burst, after a throttled request.

        Args:
            sent: When the throttled request was sent.
            now: When its response came.
            retry_after: Seconds of the hold that follows; `None` without one.
        """
        last = self._round
        if last is None:  # pragma: no cover - a round was started
            raise AssertionError
        pause, hold = self._settings.pause_burst, retry_after or 0.0
        if last.rate == math.inf:
            self._learn_first(last, retry_after)
        elif 0 <= last.sent - last.filled < pause and self._count(last.filled, last.sent) < last.burst:
            self._burst = max(1.0, last.burst / 2)  # too many at once after a hold, which says nothing about the rate
        else:
            self._limit.lower(last.rate / 2)
        if sent == last.sent:
            self._refilled_at, self._grows_from = now, now + hold
            self._tokens = min(self.capacity, max(1.0, pause * self.rate)) - hold * self.rate if hold else 0.0

    def _learn_first(self, last: _Round, retry_after: float | None) -> None:
        """Estimates the rate and the burst from what was accepted before the first throttled request."""
        self._burst = max(1.0, self._count(last.sent - 1.0, last.sent))
        excess = 0.0 if retry_after is None else self._settings.estimate_excess
        self._limit.value = (self._burst + excess) / max(1.0, retry_after or 0.0)

    def _count(self, start: float, end: float) -> int:
        """Returns the number of requests sent from `start` to `end`, that were not throttled so far."""
        return bisect_right(self._times, end) - bisect_left(self._times, start)
