"""The adaptive rate: learns from the responses how many requests an account may send to a model.

It is composed of three parts: the `TokenBucket` learns requests per second, the `ConcurrencyWindow` learns requests in
flight, and the `ServerQuota` keeps what the server states. A request is sent when all three admit it.

A throttled request lowers the limit that was reached, once for all requests that were sent before the last decrease
became known: by a factor, or to the rate at which requests were accepted after the last hold, where that is less. From
then on, a limit grows only while it is what delays requests, by an amount that does not depend on its value. So a limit
is found with a few throttled requests, one that changes is followed, and processes that share a limit come to similar
shares.

An overloaded service (503, 529) refuses because of all its callers, so the window is lowered and not the rate, unless
it refuses several requests in a row although each was alone. Where nothing was accepted since the last decrease, the
service may be down: the rate grows fast as soon as something is accepted again.

A throttled request with `Retry-After` delays all requests. One without it may be chance: it delays no other request,
and lowers no limit unless many requests are throttled. Their share is counted anew after each decrease, except at a low
rate, where there are too few requests to count.
"""

import math
from dataclasses import replace

from hosted_rerank.limits.concurrency_window import ConcurrencyWindow, max_connections
from hosted_rerank.limits.rate_controller import Ticket
from hosted_rerank.limits.rate_settings import RATE_SETTINGS, RateSettings
from hosted_rerank.limits.retry import Quota
from hosted_rerank.limits.server_quota import ServerQuota
from hosted_rerank.limits.token_bucket import TokenBucket


class AdaptiveRate:
    """Learns how many requests may be sent; a `RateController`. It is not thread-safe: the queue holds a lock.

    Args:
        settings: The constants; `None` for the defaults, with a window that the open files of the process allow.
    """

    def __init__(self, settings: RateSettings | None = None) -> None:
        if settings is None:
            settings = replace(RATE_SETTINGS, max_window=min(RATE_SETTINGS.max_window, max_connections()))
        self._settings = settings
        self._bucket = TokenBucket(settings)
        self._window = ConcurrencyWindow(settings)
        self._quota = ServerQuota(settings)
        self._throttled_share = 0.0
        """Share of the last requests that was throttled, a moving average."""
        self._refused_in_a_row = 0
        """Throttled requests since the last success."""
        self._lowered_at = -math.inf
        """When a throttled request last lowered a limit. Those that were sent before then do not count again."""

    @property
    def in_flight(self) -> int:
        """Returns the number of requests in flight."""
        return self._window.in_flight

    @property
    def blocked_until(self) -> float:
        """Returns the time until which the API asked all requests to wait."""
        return self._quota.blocked_until

    @property
    def rate(self) -> float:
        """Returns the learned limit in requests per second; infinite while it is unknown."""
        return self._bucket.rate

    def wait(self, now: float) -> float:
        """Returns 0 if a request may be sent, else the seconds until the next check; infinite until a response."""
        wait = max(self._wait(now, 0), self._window.wait(now))
        return max(wait, self._settings.burst_interval / 2) if wait else 0.0

    def estimated_wait(self, now: float, ahead: int) -> float:
        """Returns the minimum seconds that a request waits behind so many others, as far as it is known."""
        wait = max(self._wait(now, ahead), self._window.estimated_wait(ahead))
        return wait if wait < math.inf else 0.0

    def _wait(self, now: float, ahead: int) -> float:
        self._bucket.refill(now, growing=not self._window.is_full)
        return max(self._quota.wait(now, ahead, self.in_flight), self._bucket.wait(ahead))

    def on_sent(self, ticket: Ticket, now: float) -> None:  # noqa: ARG002 - of the protocol
        """Records that a request is sent."""
        self._bucket.on_sent(now)
        self._window.on_sent(now)
        self._quota.on_sent()

    def on_success(self, ticket: Ticket, now: float, quota: Quota | None = None) -> None:
        """Records a response that is not throttled, and the quota that it states."""
        self._window.on_success(ticket.sent, now)
        self._refused_in_a_row = 0
        self._throttled_share -= self._throttled_share / 20
        self._quota.on_response(now, quota, self.in_flight)
        self._quota.on_success()
        if ticket.sent >= self._lowered_at:
            self._bucket.on_success()

    def on_dropped(self, ticket: Ticket) -> None:  # noqa: ARG002 - of the protocol
        """Records that a request ended without a response that says anything about the limits."""
        self._window.on_dropped()

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
        full = self.in_flight >= 0.8 * self._window.value
        self._window.on_throttled()
        self._quota.on_response(now, quota, self.in_flight)
        self._throttled_share += (1 - self._throttled_share) / 20
        self._refused_in_a_row += 1
        interval = 0.0 if overloaded or retry_after is not None else self._settings.decrease_interval
        first, echo = self._lowered_at == -math.inf, ticket.sent < self._lowered_at + interval
        if retry_after is not None:
            self._quota.hold(now, retry_after)
        elif not first and self._throttled_share < self._settings.tolerated_share:
            return
        if overloaded:
            self._bucket.give_back()
        if overloaded and (first or echo):
            self._window.narrow()
        elif (overloaded or full) and not first and not echo:
            self._window.lower()
        if not echo:
            self._lowered_at = now
            if self.rate >= self._settings.small_limit:
                self._throttled_share = 0.0
            alone = not self.in_flight and self._refused_in_a_row >= self._settings.lone_refusals
            if alone or not overloaded:
                self._bucket.on_throttled(ticket.sent, now, min(retry_after or 0.0, self._settings.max_hold))
