"""The queue in which the requests to one endpoint wait: first come, first served, as fast as a controller allows.

A retried request returns to its old position. A `RequestQueue` has no clock and starts no thread: callers pass the
time, `time.monotonic()` in seconds, and sleep until they are notified.
"""

import heapq
import math
import threading
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Protocol

from hosted_rerank.limits.retry import Quota

ABANDONED_CHECK_INTERVAL = 1.0
"""Seconds between two checks for requests in flight whose event loop is closed."""
_NUMBERS = count()


class Ticket:
    """The position of a request in the queue; a request keeps it through its retries."""

    __slots__ = ("in_flight", "is_abandoned", "notified", "notify", "number", "queued", "sent")

    def __init__(self) -> None:
        self.number = next(_NUMBERS)
        self.sent = -math.inf
        """When the last attempt was sent."""
        self.queued = False
        """Whether the request waits in the queue."""
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

    in_flight: int
    """Requests that were sent and have not ended."""
    blocked_until: float
    """The time until which the API asked all requests to wait."""

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

    def estimated_wait(self, now: float, waiting: int) -> float:
        """Returns the minimum seconds that the last of so many queued requests waits, as far as it is known."""
        ...


class RequestQueue:
    """Admits requests in their order; thread-safe, and usable from any event loop.

    Args:
        controller: Decides when the first request may be sent. The queue calls it while it holds its lock.
    """

    def __init__(self, controller: RateController) -> None:
        self.controller = controller
        self._lock = threading.Lock()
        self._queue: list[Ticket] = []
        """The waiting tickets, a heap."""
        self._in_flight: set[Ticket] = set()
        self._dropped: deque[Ticket] = deque()
        """Tickets that are to be removed as soon as the lock is free."""
        self._checked_at = -math.inf
        """When the queue was last checked for abandoned requests in flight."""

    def admit(self, ticket: Ticket, now: float, limit: float = math.inf) -> float:
        """Returns 0 if a request may be sent now, and counts it as in flight; else queues it.

        Every request that was admitted ends with `on_success`, `on_throttled` or `drop`.

        Args:
            ticket: The request's ticket.
            now: The time.
            limit: Maximum number of requests in flight.

        Returns:
            The seconds until the request may ask again; infinite if it has to wait for a notification.
        """
        with self._lock:
            wait = self._wait(ticket, now, limit)
            if wait > 0:
                ticket.notified = False
                if not ticket.queued:
                    ticket.queued = True
                    heapq.heappush(self._queue, ticket)
            else:
                if ticket.queued:
                    ticket.queued = False
                    heapq.heappop(self._queue)
                self.controller.on_sent(ticket, now)
                ticket.sent, ticket.in_flight = now, True
                self._in_flight.add(ticket)
                if self._queue:
                    self._notify_first()
        self._remove_dropped()
        return wait

    def _wait(self, ticket: Ticket, now: float, limit: float) -> float:
        """Returns the seconds until a request may be sent, after abandoned requests before it are removed."""
        queue = self._queue
        while queue and queue[0] is not ticket and queue[0].is_abandoned is not None and queue[0].is_abandoned():
            heapq.heappop(queue).queued = False
        if queue and queue[0] is not ticket and (ticket.queued or queue[0] < ticket):
            return math.inf
        wait = math.inf if self.controller.in_flight >= limit else self.controller.wait(now)
        if wait == math.inf and self._checked_at + ABANDONED_CHECK_INTERVAL <= now:
            self._checked_at = now
            for each in [each for each in self._in_flight if each.is_abandoned is not None and each.is_abandoned()]:
                self._remove(each)
            return self._wait(ticket, now, limit)
        return wait

    def estimated_wait(self, now: float) -> float:
        """Returns the minimum seconds that the last queued request waits, as far as it is known."""
        with self._lock:
            seconds = self.controller.estimated_wait(now, len(self._queue))
        self._remove_dropped()
        return seconds

    def blocked_for(self, now: float) -> float:
        """Returns the seconds for which the API asked all requests to wait."""
        return max(0.0, self.controller.blocked_until - now)

    def on_success(self, ticket: Ticket, now: float, quota: Quota | None = None) -> None:
        """Records a response that is not throttled.

        Args:
            ticket: The request's ticket.
            now: When the response came.
            quota: The quota that the response states.
        """
        with self._lock:
            self._end(ticket)
            self.controller.on_success(ticket, now, quota)
            self._notify_first()
        self._remove_dropped()

    def on_throttled(
        self,
        ticket: Ticket,
        now: float,
        retry_after: float | None = None,
        quota: Quota | None = None,
        *,
        overloaded: bool = False,
    ) -> None:
        """Records a throttled request.

        Args:
            ticket: The request's ticket.
            now: When the response came.
            retry_after: Seconds for which no request is sent, if the API states them.
            quota: The quota that the response states.
            overloaded: Whether the service as a whole is overloaded, which says nothing about the account's rate.
        """
        with self._lock:
            self._end(ticket)
            self.controller.on_throttled(ticket, now, retry_after, quota, overloaded=overloaded)
            self._notify_first()
        self._remove_dropped()

    def drop(self, ticket: Ticket) -> None:
        """Removes a request that was cancelled, or that failed in a way that says nothing about the limits."""
        if ticket.in_flight or ticket.queued:
            self._dropped.append(ticket)
            self._remove_dropped()

    def _remove_dropped(self) -> None:
        """Removes dropped requests. The garbage collector can call `drop` while this thread holds the lock."""
        while self._dropped and self._lock.acquire(blocking=False):
            try:
                while self._dropped:
                    self._remove(self._dropped.popleft())
                self._notify_first()
            finally:
                self._lock.release()

    def _remove(self, ticket: Ticket) -> None:
        if ticket.in_flight:
            self._end(ticket)
            self.controller.on_dropped(ticket)
        elif ticket.queued:
            ticket.queued = False
            self._queue.remove(ticket)
            heapq.heapify(self._queue)

    def _end(self, ticket: Ticket) -> None:
        ticket.in_flight = False
        self._in_flight.discard(ticket)

    @property
    def queued(self) -> int:
        """Returns the number of waiting requests."""
        return len(self._queue)

    def notify(self) -> None:
        """Notifies the first request, because the controller may admit it now."""
        with self._lock:
            self._notify_first()
        self._remove_dropped()

    def _notify_first(self) -> None:
        while self._queue:
            first = self._queue[0]
            first.notified = True
            try:
                if first.notify is not None:
                    first.notify()
            except RuntimeError:  # its event loop is closed, so the request never asks again
                first.queued = False
                heapq.heappop(self._queue)
            else:
                return
