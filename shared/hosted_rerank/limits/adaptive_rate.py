"""The adaptive rate: learns from the responses how many requests an account may send to a model.

It learns two limits: the window, which is the number of requests in flight, and the rate, in requests per second. At
first the window doubles while all requests succeed, and the rate is unknown. A throttled request lowers the limit that
was reached, to what the API accepted; the first one lowers both. From then on, a limit grows only while it is what
delays requests: slowly up to the value that was refused, then ever faster, as TCP's CUBIC does (RFC 9438). So a limit
is found with a few throttled requests, and a limit that changes is followed.

A throttled request with `Retry-After` delays all requests. One without it may be chance: it delays no other request,
and lowers no limit unless many requests are throttled.
"""

import math
from collections import deque
from dataclasses import dataclass

from hosted_rerank.limits.learned_limit import LearnedLimit
from hosted_rerank.limits.rate_settings import RATE_SETTINGS, RateSettings
from hosted_rerank.limits.request_queue import Ticket
from hosted_rerank.limits.retry import Quota


@dataclass(frozen=True, slots=True)
class _Throttling:
    """A throttled request that was sent after the one before it was known, and the state when its response came."""

    at: float
    rate: float
    burst: float
    window: float
    window_full: bool
    """Whether about as many requests were in flight as the window allows."""
    after_pause: int | None
    """Successes since the last pause, if the response came soon after that pause; else `None`."""
    successes: int
    """Successes in the last `span` seconds."""
    span: float


class AdaptiveRate:
    """Learns how many requests may be sent; a `RateController`. It is not thread-safe: the queue holds a lock.

    Args:
        settings: The constants.
    """

    def __init__(self, settings: RateSettings = RATE_SETTINGS) -> None:
        self.in_flight = 0
        self.blocked_until = -math.inf
        self._settings = settings
        self._window = LearnedLimit(settings.initial_window, settings)
        self._rate = LearnedLimit(math.inf, settings)
        self._burst = math.inf
        """Requests that may be sent at once after a pause."""
        self._tokens = math.inf
        """Requests that may be sent now."""
        self._refilled_at = -math.inf
        """The time up to which tokens and growth are counted."""
        self._grows_from = -math.inf
        """The time from which limits may grow again."""
        self._progress_at = -math.inf
        """The time of the first request in flight or of the last response."""
        self._latency = 0.0
        """Seconds that a response takes, a moving average."""
        self._next_at = -math.inf
        """The time of the next request while nothing was throttled. What a wider window admits is spread over half of
        the latency, so that the first throttled request stops the last ones."""
        self._successes: deque[float] = deque(maxlen=20_000)
        """The times of successes."""
        self._throttled_share = 0.0
        """Share of the last requests that was throttled, a moving average."""
        self._last: _Throttling | None = None
        self._quota_left: int | None = None
        """Requests that the API allows until `_quota_reset`."""
        self._quota_reset = -math.inf

    @property
    def rate(self) -> float:
        """Returns the learned limit in requests per second; infinite while it is unknown."""
        return self._rate.value

    def wait(self, now: float) -> float:
        """Returns 0 if a request may be sent, else the seconds until the next check; infinite until a response."""
        at = max(self.blocked_until, self._next_at)
        if self._last is None:
            if self.in_flight >= self._window.value:
                if (left := self._progress_at + self._settings.doubling_timeout - now) > 0:
                    return left
                self._window.value = min(self._window.value * 2, self._settings.max_window)
                self._progress_at = now
        else:
            self._refill(now)
            if self.in_flight >= self._window.value:
                return math.inf
            if self._tokens < 1:
                at = max(at, now + (1 - self._tokens) / self.rate)
        if self._quota_left is not None and self._quota_left <= 0:
            at = max(at, self._quota_reset)
        return max(at - now, self._settings.burst_interval / 2) if at > now else 0.0

    def on_sent(self, ticket: Ticket, now: float) -> None:  # noqa: ARG002 - a RateController gets it
        """Records that a request is sent."""
        if not self.in_flight:
            self._progress_at = now
        self.in_flight += 1
        self._tokens -= 1
        if self._last is None:
            earliest = now - self._settings.burst_interval
            self._next_at = max(self._next_at, earliest) + self._latency / (2 * self._window.value)
        if self._quota_left is not None:
            self._quota_left -= 1

    def _refill(self, now: float) -> None:
        """Adds the tokens of the time since the last refill, and grows the limit that delays requests."""
        interval = self._settings.burst_interval
        past = now - self._refilled_at
        if past < interval / 5:
            return
        self._refilled_at = now
        spare = self._tokens + past * self.rate - self._burst
        self._tokens = self._burst + min(spare, 0.0)
        growing = min(past, now - self._grows_from)
        if growing <= 0:
            return
        if self.in_flight >= self._window.value:
            self._window.grow(growing)
            self._window.value = min(self._window.value, self._settings.max_window)
        elif spare < 1 + 2 * interval * self.rate:
            self._rate.grow(growing)

    def estimated_wait(self, now: float, waiting: int) -> float:
        """Returns the minimum seconds that the last of so many queued requests waits, as far as it is known."""
        turns = (waiting - self._tokens) / self.rate if self.rate < math.inf else 0.0
        used_up = self._quota_left is not None and self._quota_left <= 0
        return max(0.0, self.blocked_until - now, turns, self._quota_reset - now if used_up else 0.0)

    def on_success(self, ticket: Ticket, now: float, quota: Quota | None = None) -> None:
        """Records a response that is not throttled, and the quota that it states."""
        self.in_flight -= 1
        self._latency += (now - ticket.sent - self._latency) / 8  # as TCP's round-trip time (RFC 6298)
        self._throttled_share -= self._throttled_share / 20
        self._successes.append(now)
        if self._last is None:
            self._progress_at = now
            self._window.value = min(self._window.value + 1, self._settings.max_window)
        self._record_quota(quota, now)

    def _record_quota(self, quota: Quota | None, now: float) -> None:
        """Records the quota that a response states."""
        if quota is not None:
            self._quota_left = quota.left - self.in_flight
            self._quota_reset = now + min(quota.reset, self._settings.max_quota_reset)
        elif now >= self._quota_reset:
            self._quota_left = None

    def on_dropped(self, ticket: Ticket) -> None:  # noqa: ARG002 - a RateController gets it
        """Records that a request ended without a response that says anything about the limits."""
        self.in_flight -= 1

    def on_throttled(
        self,
        ticket: Ticket,
        now: float,
        retry_after: float | None,
        quota: Quota | None = None,
        *,
        overloaded: bool = False,
    ) -> None:
        """Records a throttled request: stops all requests for `retry_after` seconds, and lowers the limits.

        Args:
            ticket: The request's ticket.
            now: When the response came.
            retry_after: Seconds that the API asks to wait; `None` if it does not say.
            quota: The quota that the response states.
            overloaded: Whether the service as a whole is overloaded, which says nothing about the account's rate.
        """
        self.in_flight -= 1
        self._record_quota(quota, now)
        self._throttled_share += (1 - self._throttled_share) / 20
        first = self._last is None
        if self._last is None or ticket.sent >= self._last.at:
            self._last = self._throttling(now, retry_after or 0.0)
        if retry_after is not None:
            self.blocked_until = max(self.blocked_until, now + retry_after)
        elif not first and self._throttled_share < self._settings.tolerated_share:
            return
        self._learn(self._last, retry_after or 0.0, overloaded=overloaded)

    def _throttling(self, now: float, retry_after: float) -> _Throttling:
        """Returns the state in which a throttled request is known."""
        span = max(self._settings.measurement_window, retry_after)
        since_pause = self._successes_since(self.blocked_until)
        soon = now - self.blocked_until < 0.5 * span
        after_pause = soon and since_pause + self.in_flight < self._burst and self.rate < math.inf
        return _Throttling(
            now,
            self.rate,
            self._burst,
            self._window.value,
            window_full=self.in_flight + 1 >= 0.8 * self._window.value,
            after_pause=since_pause if after_pause else None,
            successes=self._successes_since(now - span),
            span=span + self._latency,
        )

    def _learn(self, last: _Throttling, retry_after: float, *, overloaded: bool) -> None:
        """Lowers the limits after a throttled request, and again as the requests that were in flight with it end."""
        first = last.rate == math.inf
        if first or last.window_full or overloaded or self._throttled_share > 2 * self._settings.tolerated_share:
            least = 1.0 if first else max(1.0, last.window * self._settings.window_decrease)
            self._window.lower(max(least, min(self._window.value, self.in_flight)), last.window)
        if not overloaded:
            self._learn_rate(last, retry_after)
            self._tokens, self._refilled_at = 0.0, last.at
        if self.rate < math.inf:  # one request may be sent when the pause is over
            self._tokens = max(self._tokens, 1.0 - retry_after * self.rate)

    def _learn_rate(self, last: _Throttling, retry_after: float) -> None:
        """Lowers the rate, or the burst, to what the API accepted."""
        settings = self._settings
        if last.rate == math.inf:
            self._rate.value = settings.safety_factor * max(last.successes + self.in_flight, 1) / last.span
            self._burst = max(1.0, self.rate * settings.measurement_window)
            self._rate.is_estimate = True
        elif last.after_pause is not None:  # too many at once after a pause, which says nothing about the rate
            accepted = last.after_pause + self.in_flight
            self._burst = max(1.0, last.burst * settings.rate_decrease, min(last.burst, accepted))
        else:
            measured = settings.safety_factor * (last.successes + self.in_flight) / last.span
            self._rate.lower(max(settings.rate_decrease * last.rate, min(measured, last.rate)), last.rate)
            self._rate.is_estimate = False
        cost = max(0.0, retry_after - self._burst / self.rate)
        pause = 0.0 if self._rate.is_estimate else min(settings.growth_pause * cost, settings.max_growth_pause)
        self._grows_from = self.blocked_until + pause

    def _successes_since(self, start: float) -> int:
        """Returns the number of successes since a time."""
        count = 0
        for at in reversed(self._successes):
            if at < start:
                break
            count += 1
        return count
