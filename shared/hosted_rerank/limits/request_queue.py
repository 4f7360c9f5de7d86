"""The line in which requests wait for their turn: first come, first served, at a pace that something else sets.

All that ask one service stand in one line; a refused request comes back to its old place. A `Pacer` holds no clock and
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

    __slots__ = ("going", "gone", "number", "sent", "waiting", "wake", "woken")

    def __init__(self) -> None:
        self.number = next(_ARRIVALS)
        self.sent = -math.inf
        """When it last went."""
        self.waiting = False
        """Whether it stands in the line."""
        self.going = False
        """Whether its request is under way."""
        self.woken = False
        self.wake: Callable[[], object] | None = None
        """Set by whoever sleeps; called from any thread. `woken` has to be looked at after it is set."""
        self.gone: Callable[[], bool] | None = None
        """Whether nobody will come back for it: its event loop was closed while it slept or was under way."""

    def __lt__(self, other: "Ticket") -> bool:
        return self.number < other.number


class Pace(Protocol):
    """When the first of a line may go. All times are `time.monotonic()`, in seconds."""

    under_way: int
    """Requests that went and did not come back."""
    resume: float
    """Until when the API asked everybody to wait."""

    @property
    def rate(self) -> float:
        """Requests a second that are allowed, as far as it is known; else infinite."""
        ...

    def wait(self, now: float) -> float:
        """Return 0 if a request may go, else the seconds after which to ask again; infinite if only news tells."""
        ...

    def went(self, ticket: Ticket, now: float) -> None:
        """Take note that a request goes."""
        ...

    def answered(self, ticket: Ticket, now: float, quota: Quota | None) -> None:
        """Take note of an answer, and of what the API says may follow it."""
        ...

    def refused(self, ticket: Ticket, now: float, hold: float | None, quota: Quota | None, *, overloaded: bool) -> None:
        """Take note of a refusal, and of the seconds that everybody has to wait after it, if the API says so."""
        ...

    def lost(self, ticket: Ticket) -> None:
        """Take note that a request came to nothing that tells of the pace."""
        ...

    def foresee(self, now: float, waiting: int) -> float:
        """Return the seconds that the last of so many waiting requests has to wait at least, as far as it is known."""
        ...


class Pacer:
    """Lets requests go in their turn; used from any thread and any event loop."""

    def __init__(self, pace: Pace) -> None:
        self._lock = threading.Lock()
        self._line: list[Ticket] = []
        self._going: set[Ticket] = set()
        self._left: deque[Ticket] = deque()
        """Who is to be taken out."""
        self._looked = -math.inf
        """When it was last looked for requests that nobody will come back for."""
        self.pace = pace

    def admit(self, ticket: Ticket, now: float, limit: float = math.inf) -> float:
        """Let a request go, if it is its turn: return 0, or the seconds after which to ask again.

        Those are infinite where only a wake tells. The caller has to settle what went.
        """
        with self._lock:
            wait = self._wait(ticket, now, limit)
            if wait > 0:
                ticket.woken = False
                if not ticket.waiting:
                    ticket.waiting = True
                    heapq.heappush(self._line, ticket)
            else:
                if ticket.waiting:
                    ticket.waiting = False
                    heapq.heappop(self._line)
                self.pace.went(ticket, now)
                ticket.sent, ticket.going = now, True
                self._going.add(ticket)
                if self._line:
                    self._wake_first()
        self._settle()
        return wait

    def _wait(self, ticket: Ticket, now: float, limit: float) -> float:
        line = self._line
        while line and line[0] is not ticket and line[0].gone is not None and line[0].gone():
            heapq.heappop(line).waiting = False
        if line and line[0] is not ticket and (ticket.waiting or line[0] < ticket):
            return math.inf
        wait = math.inf if self.pace.under_way >= limit else self.pace.wait(now)
        if wait == math.inf and self._looked + LOOK <= now:
            self._looked = now
            for each in [each for each in self._going if each.gone is not None and each.gone()]:
                self._take_out(each)
            return self._wait(ticket, now, limit)
        return wait

    def foresee(self, now: float) -> float:
        """The seconds that the last of the line has to wait at least, as far as it is known."""
        with self._lock:
            seconds = self.pace.foresee(now, len(self._line))
        self._settle()
        return seconds

    def held(self, now: float) -> float:
        """The seconds for which the API asked everybody to wait."""
        return max(0.0, self.pace.resume - now)

    def answered(self, ticket: Ticket, now: float, quota: Quota | None = None) -> None:
        """Take note of an answer, and of what the API says may follow it."""
        with self._lock:
            self._came_back(ticket)
            self.pace.answered(ticket, now, quota)
            self._wake_first()
        self._settle()

    def refused(
        self,
        ticket: Ticket,
        now: float,
        hold: float | None = None,
        quota: Quota | None = None,
        *,
        overloaded: bool = False,
    ) -> None:
        """Take note of a refusal.

        Args:
            ticket: Whose it is.
            now: When it came.
            hold: Seconds that the API asks to wait: nobody goes before they are over.
            quota: What the API says may follow.
            overloaded: Whether the service has too much to do, which tells of what was under way, and of no rate.
        """
        with self._lock:
            self._came_back(ticket)
            self.pace.refused(ticket, now, hold, quota, overloaded=overloaded)
            self._wake_first()
        self._settle()

    def leave(self, ticket: Ticket) -> None:
        """Take a request out, wherever it is: it was given up, or failed for what tells nothing of the pace."""
        if ticket.going or ticket.waiting:
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
        if ticket.going:
            self._came_back(ticket)
            self.pace.lost(ticket)
        elif ticket.waiting:
            ticket.waiting = False
            self._line.remove(ticket)
            heapq.heapify(self._line)

    def _came_back(self, ticket: Ticket) -> None:
        ticket.going = False
        self._going.discard(ticket)

    @property
    def waiting(self) -> int:
        """How many stand in the line."""
        return len(self._line)

    def wake(self) -> None:
        """Have the first of the line ask again: there is news of the pace."""
        with self._lock:
            self._wake_first()
        self._settle()

    def _wake_first(self) -> None:
        while self._line:
            first = self._line[0]
            first.woken = True
            try:
                if first.wake is not None:
                    first.wake()
            except RuntimeError:  # its event loop was closed while it slept: nobody will come for this place
                first.waiting = False
                heapq.heappop(self._line)
            else:
                return
