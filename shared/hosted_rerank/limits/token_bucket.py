"""The token bucket: how many requests a second may be sent, learned as a model of the server's own token bucket."""

import math
from collections import deque

from hosted_rerank.limits.learned_limit import LearnedLimit
from hosted_rerank.limits.rate_settings import RateSettings

_MAX_TIMES = 20_000
"""Requests whose times are remembered."""
_AT_ONCE = 0.1
"""Seconds after a hold in which requests are sent from what has gathered in the bucket."""


class TokenBucket:
    """Learns the rate and the burst of the server's token bucket. It is not thread-safe.

    A throttled request shows that the server's bucket was empty when the request was sent. So the requests that were
    accepted until then are the burst, and say how large the rate may be. Later ones lower the rate, once for all that
    were sent before the last decrease. The rate grows during a hold as well, so that of the processes that share a
    limit, those that are held do not fall behind.

    Args:
        settings: The constants.
    """

    def __init__(self, settings: RateSettings) -> None:
        self._settings = settings
        self._limit = LearnedLimit(math.inf, settings.min_rate, settings)
        self._burst = math.inf
        """Requests that the server accepts at once after a pause."""
        self._tokens = math.inf
        """Requests that may be sent now."""
        self._refilled_at = -math.inf
        self._times = deque[float](maxlen=_MAX_TIMES)
        """When the last requests were sent, while the rate is unknown."""
        self._filled_at = -math.inf
        """When the last hold ended, which filled the server's bucket."""
        self._since_filled = 0
        """Requests that were sent since then."""

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
        self._since_filled += now >= self._filled_at
        if self.rate == math.inf:
            self._times.append(now)

    def on_success(self) -> None:
        """Records that a request was accepted that was sent after the last decrease."""
        self._limit.accepted = True

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
        if growing and spare < 1 + 2 * interval * self.rate:
            self._limit.grow(past)

    def on_throttled(self, sent: float, now: float, hold: float) -> None:
        """Lowers the rate, or the burst, after a throttled request that was sent after the last decrease.

        Args:
            sent: When the throttled request was sent.
            now: When its response came.
            hold: Seconds of the hold that follows; 0 without one.
        """
        if self.rate == math.inf:
            accepted = sum(sent - 1.0 < each <= sent for each in self._times) - 1
            self._burst = max(1.0, accepted)
            if hold:
                self._limit.start((self._burst + self._settings.estimate_excess) / max(1.0, hold))
            else:  # it may be far too low
                self._limit.start(self._burst, threshold=math.inf)
            self._times.clear()
        elif 0 <= sent - self._filled_at < _AT_ONCE and self._since_filled < self._burst:
            self._burst = max(1.0, self._burst * self._settings.max_decrease)
        else:
            self._limit.lower(self._measure(sent, now, hold))
        self._refilled_at, self._filled_at, self._since_filled = now, now + hold, 0
        self._tokens = self.capacity - hold * self.rate if hold else 0.0

    def _measure(self, sent: float, now: float, hold: float) -> float:
        """Returns the rate at which requests were accepted until one was sent that was throttled.

        After a hold, the server's bucket gave its burst, and the others at its rate. Returns infinity if they are too
        few to tell, and 0 if none was accepted.

        Args:
            sent: When the throttled request was sent.
            now: When its response came.
            hold: Seconds of the hold that follows; 0 without one, as there was none before.
        """
        if not self._limit.accepted:
            return 0.0
        count = self._since_filled - self.rate * (now - sent)
        if not hold or count < self._settings.measured_bursts * self._burst:
            return math.inf
        return (count - self._burst) / max(sent - self._filled_at, self._settings.burst_interval)
