"""What a queue and its rate controller share: the ticket of a request, and the controller's protocol."""

import math
from collections.abc import Callable
from itertools import count
from typing import Protocol

from hosted_rerank.limits.retry import Quota

_NUMBERS = count()


class Ticket:
    """The position of a request in the queue; a request keeps it through its retries."""

    __slots__ = ("in_flight", "is_abandoned", "limit", "notified", "notify", "number", "parked", "queued", "sent")

    def __init__(self) -> None:
        self.number = next(_NUMBERS)
        self.sent = -math.inf
        """When the last attempt was sent."""
        self.limit = math.inf
        """Maximum number of requests in flight that have the same limit."""
        self.queued = False
        """Whether the request waits in the queue, or is parked."""
        self.parked = False
        """Whether the request waits until another one with the same limit ends."""
        self.in_flight = False
        """Whether the request is in flight."""
        self.notified = False
        """Whether the request may ask for its turn again. Read it after `notify` is set."""
        self.notify: Callable[[], object] | None = None
        """Ends the sleep of the request's thread or task. The queue calls it from any thread."""
        self.is_abandoned: Callable[[], bool] | None = None
        """Returns whether the request never ends, because its event loop was closed in the meantime."""

    def __lt__(self, other: "Ticket") -> bool:
        return self.number < other.number


class RateController(Protocol):
    """Decides when the first request of a queue may be sent. All times are `time.monotonic()`, in seconds."""

    @property
    def in_flight(self) -> int:
        """Returns the number of requests that were sent and have not ended."""
        ...

    @property
    def blocked_until(self) -> float:
        """Returns the time until which the API asked all requests to wait."""
        ...

    @property
    def rate(self) -> float:
        """Returns the known limit in requests per second; infinite while it is unknown."""
        ...

    def wait(self, now: float) -> float:
        """Returns 0 if a request may be sent, else the seconds until the next check; infinite until a response."""
        ...

    def on_sent(self, ticket: Ticket, now: float) -> None:
        """Records that a request is sent."""
        ...

    def on_success(self, ticket: Ticket, now: float, quota: Quota | None) -> None:
        """Records a response that is not throttled, and the quota that it states."""
        ...

    def on_throttled(
        self, ticket: Ticket, now: float, retry_after: float | None, quota: Quota | None, *, overloaded: bool
    ) -> None:
        """Records a throttled request, and the seconds that all requests wait after it, if the API states them."""
        ...

    def on_dropped(self, ticket: Ticket) -> None:
        """Records that a request ended without a response that says anything about the limits."""
        ...

    def estimated_wait(self, now: float, ahead: int) -> float:
        """Returns the minimum seconds that a request waits behind so many others, as far as it is known."""
        ...
