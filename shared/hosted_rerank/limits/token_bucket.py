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
    """When it was sent: at that time, the server's bucket was empty."""
    emptied: float
    """When the last throttled request of the round before it was sent; the server's bucket was empty."""
    filled: float
    """When the last hold ended, which filled the server's bucket again."""
    rate: float
    burst: float
    is_estimate: bool


class TokenBucket:
    """Learns the rate and the burst of the server's token bucket. It is not thread-safe.

    A throttled request shows that the server's bucket was empty when the request was sent. So the requests that were
    accepted until then are the burst, and those that were accepted between two throttled ones are the rate.

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
        self._emptied = -math.inf
        """When the last throttled request was sent."""

    @property
    def rate(self) -> float:
        """Returns the learned limit in requests per second; infinite while it is unknown."""
        return self._limit.value

    @property
    def capacity(self) -> float:
        """Returns how many requests may be sent at once after a pause."""
        return max(1.0, self._burst * self._settings.burst_share)

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

    def give_back(self) -> None:
        """Returns the token of a request that an overloaded service refused, whatever the account's rate."""
        self._tokens = min(self._tokens + 1, self.capacity)

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
        self._round = _Round(sent, self._emptied, filled, self.rate, self._burst, self._limit.is_estimate)

    def on_throttled(self, sent: float, now: float, retry_after: float | None) -> None:
        """Lowers the rate, or the burst, to what the server accepted until the round of throttled requests.

        Args:
            sent: When the throttled request was sent.
            now: When its response came.
            retry_after: Seconds of the hold that follows; `None` without one.
        """
        last = self._round
        if last is None:  # pragma: no cover - a round was started
            raise AssertionError
        self._emptied = max(self._emptied, sent)
        if sent == last.sent:
            self._tokens, self._refilled_at = 0.0, now
        if last.rate == math.inf:
            self._learn_first(last, retry_after)
        else:
            self._learn_again(last, now, retry_after or 0.0)
        if retry_after is not None:  # one request may be sent after the hold
            self._tokens = max(self._tokens, 1.0 - retry_after * self.rate)

    def _learn_first(self, last: _Round, retry_after: float | None) -> None:
        """Estimates the rate and the burst from what was accepted before the first throttled request."""
        settings = self._settings
        start = last.sent - settings.measurement_window
        accepted = self._count(start, last.sent)
        first = max(start, self._times[0]) if self._times else last.sent
        hold = settings.measurement_window if retry_after is None else max(retry_after, settings.measurement_window)
        factor = 1.0 if retry_after is None else settings.estimate_factor
        accepted = max(1, accepted)
        span = max(last.sent - first, hold / factor)
        estimate = min(accepted / span, accepted / hold + settings.estimate_excess)
        weight, measured = settings.estimate_weight, max(0.0, self._emptied - last.sent)
        later = self._count(math.nextafter(last.sent, math.inf), self._emptied)
        self._limit.value = settings.safety_factor * (later + estimate * weight) / (measured + weight)
        self._limit.is_estimate = True
        self._burst = max(1.0, accepted)

    def _learn_again(self, last: _Round, now: float, retry_after: float) -> None:
        """Lowers the rate to what was accepted since the server's bucket was last empty or full, or a second ago."""
        settings = self._settings
        accepted = self._count(last.filled, last.sent)
        since = last.sent - last.filled
        recent = last.sent - last.emptied < 4
        if recent and 0 <= since < 0.1 and accepted < last.burst:
            self._burst = max(1.0, last.burst * settings.rate_decrease, accepted)
        weight = settings.estimate_weight
        if recent and since > 0:
            full = (accepted - last.burst + last.rate * weight) / (since + weight)
            empty = self._count(last.emptied, last.sent) / (last.sent - last.emptied)
            measured = max(full, empty)
        else:
            measured = self._count(last.sent - 1, last.sent)
        measured *= settings.safety_factor
        least = settings.estimate_decrease if last.is_estimate else settings.rate_decrease
        self._limit.lower(max(least * last.rate, min(measured, last.rate)), last.rate)
        cost = max(1 / self.rate, retry_after - self.capacity / self.rate)
        self._limit.is_estimate = measured < least * last.rate
        self._grows_from = now + retry_after + min(settings.growth_pause * cost, settings.max_growth_pause)

    def _count(self, start: float, end: float) -> int:
        """Returns the number of requests sent from `start` to `end`, that were not throttled so far."""
        return bisect_right(self._times, end) - bisect_left(self._times, start)
