"""The queue in which the requests to one endpoint wait: first come, first served, as fast as a controller allows.

A retried request returns to its old position. A request whose caller has as many requests in flight as its own limit
allows is parked beside the queue, so that it delays no other. A `RequestQueue` has no clock and starts no thread:
callers pass the time, `time.monotonic()` in seconds, and sleep until they are notified.
"""

import heapq
import math
import threading
from collections import Counter, defaultdict, deque

from hosted_rerank.limits.rate_controller import RateController, Ticket
from hosted_rerank.limits.retry import Quota

ABANDONED_CHECK_INTERVAL = 1.0
"""Seconds between two checks for requests in flight whose event loop is closed."""


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
        self._parked: defaultdict[float, list[Ticket]] = defaultdict(list)
        """The parked tickets of each limit, heaps."""
        self._counts: Counter[float] = Counter()
        """How many requests with each limit are in flight."""
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
            limit: Maximum number of requests in flight that have the same limit.

        Returns:
            The seconds until the request may ask again; infinite if it has to wait for a notification.
        """
        with self._lock:
            ticket.limit = limit
            if not ticket.queued:
                ticket.queued = True
                heapq.heappush(self._queue, ticket)
            ticket.notified = False
            wait = self._wait(ticket, now)
            if wait == 0:
                heapq.heappop(self._queue)
                ticket.queued = False
                self.controller.on_sent(ticket, now)
                ticket.sent, ticket.in_flight = now, True
                self._in_flight.add(ticket)
                self._counts[limit] += 1
            if self._first() is not ticket:
                self._notify_first()
        self._remove_dropped()
        return wait

    def _wait(self, ticket: Ticket, now: float) -> float:
        """Returns the seconds until a queued request may be sent, after abandoned requests are removed."""
        wait = self.controller.wait(now) if self._first() is ticket else math.inf
        if wait == math.inf and self._checked_at + ABANDONED_CHECK_INTERVAL <= now:
            self._checked_at = now
            for each in [each for each in self._in_flight if each.is_abandoned is not None and each.is_abandoned()]:
                self._remove(each)
            return self._wait(ticket, now)
        return wait

    def _first(self) -> Ticket | None:
        """Returns the first request that its own limit allows; parks those before it, and removes abandoned ones."""
        while self._queue:
            first = self._queue[0]
            if first.is_abandoned is not None and first.is_abandoned():
                heapq.heappop(self._queue).queued = False
                self._unpark(first.limit)
            elif self._counts[first.limit] >= first.limit:
                first.parked = True
                heapq.heappush(self._parked[first.limit], heapq.heappop(self._queue))
            else:
                return first
        return None

    def _unpark(self, limit: float) -> None:
        """Returns the first parked request of a limit to its position, because another one has left."""
        if parked := self._parked.get(limit):
            parked[0].parked = False
            heapq.heappush(self._queue, heapq.heappop(parked))
        if not parked:
            self._parked.pop(limit, None)

    def estimated_wait(self, now: float, ticket: Ticket) -> float:
        """Returns the minimum seconds that a queued request waits, as far as it is known."""
        with self._lock:
            ahead = 0 if ticket.parked else sum(each < ticket for each in self._queue)
            seconds = self.controller.estimated_wait(now, ahead)
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
            tickets = self._parked[ticket.limit] if ticket.parked else self._queue
            tickets.remove(ticket)
            heapq.heapify(tickets)
            if ticket.parked:
                ticket.parked = False
            else:
                self._unpark(ticket.limit)

    def _end(self, ticket: Ticket) -> None:
        ticket.in_flight = False
        self._in_flight.discard(ticket)
        self._counts[ticket.limit] -= 1
        if not self._counts[ticket.limit]:
            del self._counts[ticket.limit]
        self._unpark(ticket.limit)

    @property
    def queued(self) -> int:
        """Returns the number of waiting requests."""
        return len(self._queue) + sum(map(len, self._parked.values()))

    def notify(self) -> None:
        """Notifies the first request, because the controller may admit it now."""
        with self._lock:
            self._notify_first()
        self._remove_dropped()

    def _notify_first(self) -> None:
        while first := self._first():
            first.notified = True
            try:
                if first.notify is not None:
                    first.notify()
            except RuntimeError:  # its event loop is closed, so the request never asks again
                heapq.heappop(self._queue).queued = False
                self._unpark(first.limit)
            else:
                return
