"""What the server says of its own limits: the rest of a quota, and how long to wait."""

import math

from hosted_rerank.limits.rate_settings import RateSettings
from hosted_rerank.limits.retry import Quota


class ServerQuota:
    """The quota and the holds that responses state. It is not thread-safe.

    A hold ends after `max_hold` seconds at most, whatever the server asks for. If it asked for more, one request is
    sent then, and its response decides about the others.

    Args:
        settings: The constants.
    """

    def __init__(self, settings: RateSettings) -> None:
        self.blocked_until = -math.inf
        """The time until which the server asked all requests to wait, bounded."""
        self._settings = settings
        self._probing = False
        """Whether the server asked for a longer wait, so that one request is sent after it."""
        self._left: float = math.inf
        """Requests that the server allows until `_reset`."""
        self._reset = -math.inf

    def wait(self, now: float, ahead: int, in_flight: int) -> float:
        """Returns the seconds until a request may be sent; infinite until a response.

        Args:
            now: The time.
            ahead: Requests that are sent before it.
            in_flight: Requests in flight.
        """
        at = self.blocked_until
        if self._left < ahead + 1:
            at = max(at, self._reset)
        if at <= now and self._probing and in_flight:
            return math.inf
        return max(0.0, at - now)

    def on_sent(self) -> None:
        """Records that a request is sent."""
        self._left -= 1

    def on_response(self, now: float, quota: Quota | None, in_flight: int) -> None:
        """Records the quota that a response states.

        Args:
            now: The time.
            quota: The quota; `None` if the response states none.
            in_flight: Requests in flight, which the server may not have counted yet.
        """
        if quota is not None:
            self._left = quota.left - in_flight
            self._reset = now + min(quota.reset, self._settings.max_hold)
        elif now >= self._reset:
            self._left = math.inf

    def on_success(self) -> None:
        """Records that the server answers again."""
        self._probing = False

    def hold(self, now: float, seconds: float) -> None:
        """Stops all requests for so many seconds, up to the maximum."""
        self._probing = seconds > self._settings.max_hold
        self.blocked_until = max(self.blocked_until, now + min(seconds, self._settings.max_hold))
