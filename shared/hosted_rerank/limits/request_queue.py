"""The line in which requests wait for their turn: first come, first served, at a pace that something else sets.

All that ask one service stand in one line; a refused request comes back to its old place. A `RequestQueue` holds no clock and
starts no thread: callers say what time it is, and sleep until they are woken.
"""

import heapq
import math
import threading
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Protocol

from hosted_rerank.limits.retry import Quota

LOOK = 1.0
"""Seconds between two looks for requests under way whose event loop is gone."""
_ARRIVALS = count()


class Ticket:
    """A request's place in the line; kept through its retries."""

    __slots__ = ("in_flight", "is_abandoned", "notified", "notify", "number", "queued", "sent")

    def __init__(self) -> None:
        self.number = next(_ARRIVALS)
        self.sent = -math.inf
        """When it last went."""
        self.queued = False
        """Whether it stands in the line."""
        self.in_flight = False
        """Whether its request is under way."""
        self.notified = False
        self.notify: Callable[[], object] | None = None
        """Set by whoever sleeps; called from any thread. `woken` has to be looked at after it is set."""
        self.is_abandoned: Callable[[], bool] | None = None
        """Whether nobody will come back for it: its event loop was closed while it slept or was under way."""

    def __lt__(self, other: "Ticket") -> bool:
        return self.number < other.number


class RateController(Protocol):
    """When the first of a line may go. All times are `time.monotonic()`, in seconds."""

    in_flight: int
    """Requests that went and did not come back."""
    blocked_until: float
    """Until when the API asked everybody to wait."""

    @property
    def rate(self) -> float:
        """Requests a second that are allowed, as far as it is known; else infinite."""
        ...

    def wait(self, now: float) -> float:
        """Return 0 if a request may go, else the seconds after which to ask again; infinite if only news tells."""
        ...

    def on_sent(self, ticket: Ticket, now: float) -> None:
        """Take note that a request goes."""
        ...

    def on_success(self, ticket: Ticket, now: float, quota: Quota | None) -> None:
        """Take note of an answer, and of what the API says may follow it."""
        ...

    def on_throttled(
        self, ticket: Ticket, now: float, retry_after: float | None, quota: Quota | None, *, overloaded: bool
    ) -> None:
        """Take note of a refusal, and of the seconds that everybody has to wait after it, if the API says so."""
        ...

    def on_dropped(self, ticket: Ticket) -> None:
        """Take note that a request came to nothing that tells of the pace."""
        ...

    def estimated_wait(self, now: float, waiting: int) -> float:
        """Return the seconds that the last of so many waiting requests has to wait at least, as far as it is known."""
        ...


class RequestQueue:
    """Lets requests go in their turn; used from any thread and any event loop."""

    def __init__(self, controller: RateController) -> None:
        self._lock = threading.Lock()
        self._line: list[Ticket] = []
        self._in_flight: set[Ticket] = set()
        self._left: deque[Ticket] = deque()
        """Who is to be taken out."""
        self._looked = -math.inf
        """When it was last looked for requests that nobody will come back for."""
        self.controller = controller

    def admit(self, ticket: Ticket, now: float, limit: float = math.inf) -> float:
        """Let a request go, if it is its turn: return 0, or the seconds after which to ask again.

        Those are infinite where only a wake tells. The caller has to settle what went.
        """
        with self._lock:
            wait = self._wait(ticket, now, limit)
            if wait > 0:
                ticket.notified = False
                if not ticket.queued:
                    ticket.queued = True
                    heapq.heappush(self._line, ticket)
            else:
                if ticket.queued:
                    ticket.queued = False
                    heapq.heappop(self._line)
                self.controller.on_sent(ticket, now)
                ticket.sent, ticket.in_flight = now, True
                self._in_flight.add(ticket)
                if self._line:
                    self._wake_first()
        self._settle()
        return wait

    def _wait(self, ticket: Ticket, now: float, limit: float) -> float:
        line = self._line
        while line and line[0] is not ticket and line[0].is_abandoned is not None and line[0].is_abandoned():
            heapq.heappop(line).queued = False
        if line and line[0] is not ticket and (ticket.queued or line[0] < ticket):
            return math.inf
        wait = math.inf if self.controller.in_flight >= limit else self.controller.wait(now)
        if wait == math.inf and self._looked + LOOK <= now:
            self._looked = now
            for each in [each for each in self._in_flight if each.is_abandoned is not None and each.is_abandoned()]:
                self._take_out(each)
            return self._wait(ticket, now, limit)
        return wait

    def estimated_wait(self, now: float) -> float:
        """The seconds that the last of the line has to wait at least, as far as it is known."""
        with self._lock:
            seconds = self.controller.estimated_wait(now, len(self._line))
        self._settle()
        return seconds

    def blocked_for(self, now: float) -> float:
        """The seconds for which the API asked everybody to wait."""
        return max(0.0, self.controller.blocked_until - now)

    def on_success(self, ticket: Ticket, now: float, quota: Quota | None = None) -> None:
        """Take note of an answer, and of what the API says may follow it."""
        with self._lock:
            self._came_back(ticket)
            self.controller.on_success(ticket, now, quota)
            self._wake_first()
        self._settle()

    def on_throttled(
        self,
        ticket: Ticket,
        now: float,
        retry_after: float | None = None,
        quota: Quota | None = None,
        *,
        overloaded: bool = False,
    ) -> None:
        """Take note of a refusal.

        Args:
            ticket: Whose it is.
            now: When it came.
            retry_after: Seconds that the API asks to wait: nobody goes before they are over.
            quota: What the API says may follow.
            overloaded: Whether the service has too much to do, which tells of what was under way, and of no rate.
        """
        with self._lock:
            self._came_back(ticket)
            self.controller.on_throttled(ticket, now, retry_after, quota, overloaded=overloaded)
            self._wake_first()
        self._settle()

    def leave(self, ticket: Ticket) -> None:
        """Take a request out, wherever it is: it was given up, or failed for what tells nothing of the pace."""
        if ticket.in_flight or ticket.queued:
            self._left.append(ticket)
            self._settle()

    def _settle(self) -> None:
        """Take out who left. The collector may have called `leave` within another call here, which then does it."""
        while self._left and self._lock.acquire(blocking=False):
            try:
                while self._left:
                    self._take_out(self._left.popleft())
                self._wake_first()
            finally:
                self._lock.release()

    def _take_out(self, ticket: Ticket) -> None:
        if ticket.in_flight:
            self._came_back(ticket)
            self.controller.on_dropped(ticket)
        elif ticket.queued:
            ticket.queued = False
            self._line.remove(ticket)
            heapq.heapify(self._line)

    def _came_back(self, ticket: Ticket) -> None:
        ticket.in_flight = False
        self._in_flight.discard(ticket)

    @property
    def queued(self) -> int:
        """How many stand in the line."""
        return len(self._line)

    def notify(self) -> None:
        """Have the first of the line ask again: there is news of the pace."""
        with self._lock:
            self._wake_first()
        self._settle()

    def _wake_first(self) -> None:
        while self._line:
            first = self._line[0]
            first.notified = True
            try:
                if first.notify is not None:
                    first.notify()
            except RuntimeError:  # its event loop was closed while it slept: nobody will come for this place
                first.queued = False
                heapq.heappop(self._line)
            else:
                return
