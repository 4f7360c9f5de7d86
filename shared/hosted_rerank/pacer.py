"""The pace at which one account asks one model: as fast as it is allowed to, which only its answers tell.

Two bounds are learned. The window is how many requests may be under way: it doubles while all goes well, and shrinks to
what was under way when a request was refused. The rate, in requests a second, is unknown until a request is refused; it
is then what was answered in the last second (or in as long as the API asked to wait, where that is longer), and grows
again, slowly at first and ever faster. So a limit is met with a few refusals, and one that moves is followed.

Whoever may not go yet stands in one line, first come, first served; a refused request comes back to its old place. A
`Pacer` holds no clock and starts no thread: callers say what time it is, and sleep until they are woken.
"""

import heapq
import math
import threading
from collections import deque
from collections.abc import Callable
from itertools import count

from hosted_rerank.retry import Quota

FIRST_WINDOW = 32
"""Requests under way before anything is known."""
LARGEST_WINDOW = 1000
BUNCH = 0.005
"""Seconds in which what would go one by one may go together: nobody sleeps for less than half of it."""
PATIENCE = 0.1
"""Seconds without an answer after which the window doubles all the same: refusals come fast, answers may not."""
MEASURED = 1.0
"""Seconds over which answers are counted for the rate, at least."""
FIRST_GROWTH, LEAST_GROWTH = 1.5, 0.02
"""How much of itself the rate grows by in a second: while it is a first guess, and right after it was measured."""
QUIET = 2.0
"""Seconds without a refusal after which the growth doubles."""

LEAST_LEFT, LEAST_WINDOW = 0.7, 0.5
"""What one refusal leaves of the rate and the burst, and of the window, that were learned: it may be a chance one."""
CALM, LONGEST_CALM = 8.0, 30.0
"""Seconds without growth after a refusal, for each second that it cost; and the most of them."""
LONGEST_RESET = 60.0
"""Seconds that an API's word of a used-up quota is trusted."""

_ARRIVALS = count()


class Ticket:
    """A request's place in the line; kept through its retries."""

    __slots__ = ("going", "number", "sent", "waiting", "wake", "woken")

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

    def __lt__(self, other: "Ticket") -> bool:
        return self.number < other.number


class Pacer:
    """Learns how fast it may go, and lets requests go so; used from any thread and any event loop."""

    def __init__(self, largest_window: int = LARGEST_WINDOW) -> None:
        self._lock = threading.Lock()
        self._largest = largest_window
        self._line: list[Ticket] = []
        self._under_way = 0
        self._window = float(FIRST_WINDOW)
        self._moved = -math.inf
        """When the first request went or the last answer came."""
        self._latency = 0.0
        """Seconds that an answer takes, about; counted until the first refusal."""
        self._spread = -math.inf
        """When the next request goes while nothing was refused: what a wider window lets go is spread over half of the
        time that an answer takes, so that a refusal of the first of them stops the last."""
        self._rate = math.inf
        """Requests a second."""
        self._burst = math.inf
        """Requests that may go at once after a pause."""
        self._tokens = math.inf
        """Requests that may go now."""
        self._counted = -math.inf
        """Up to when tokens and growth are counted."""
        self._resume = -math.inf
        """When anybody may go again, after a refusal."""
        self._refused = -math.inf
        """When the last refusal came that was no echo of the one before it."""
        self._refusals = 0
        self._narrowest = 1.0
        """What the last refusal leaves of the window at least."""
        self._calm = 0.0
        """Seconds after a refusal in which nothing grows, so that refusals do not cost more than they find out."""
        self._answers: deque[float] = deque(maxlen=20_000)
        self._least = 0.0
        """What the last refusal leaves of the rate at least."""
        self._guessed = False
        """Whether the rate is a first guess."""
        self._kept: int | None = None
        """Answers between the last pause and a refusal right after it."""
        self._done = 0
        """Answers in the time that the last refusal was judged by."""
        self._span = MEASURED
        self._left: int | None = None
        """Requests that the API says are left until `_reset`."""
        self._reset = -math.inf

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
                return wait
            if ticket.waiting:
                ticket.waiting = False
                heapq.heappop(self._line)
            ticket.sent, ticket.going = now, True
            if not self._under_way:
                self._moved = now
            self._under_way += 1
            self._tokens -= 1
            if not self._refusals:
                self._spread = max(self._spread, now - BUNCH) + self._latency / (2 * self._window)
            if self._left is not None:
                self._left -= 1
            if self._line:
                self._wake_first()
            return 0.0

    def _wait(self, ticket: Ticket, now: float, limit: float) -> float:
        if self._line and self._line[0] is not ticket and (ticket.waiting or self._line[0] < ticket):
            return math.inf
        if self._under_way >= limit:
            return math.inf
        if self._under_way >= self._window:
            if self._refusals:
                return math.inf
            patience = self._moved + PATIENCE - now
            if patience > 0:
                return patience
            self._window, self._moved = min(self._window * 2, self._largest), now
        at = max(self._resume, self._spread)
        if self._refusals:
            self._count(now)
            if self._tokens < 1:
                at = max(at, now + (1 - self._tokens) / self._rate)
        if self._left is not None and self._left <= 0:
            at = max(at, self._reset)
        return max(at - now, BUNCH / 2) if at > now else 0.0

    def _count(self, now: float) -> None:
        """Count what the time since the last count has brought: tokens, and growth where it was quiet."""
        past = now - self._counted
        if past < 0.01:
            return
        self._tokens = min(self._burst, self._tokens + past * self._rate)
        self._counted = now
        quiet = now - max(self._resume, self._refused) - self._calm
        if quiet <= 0:
            return
        growth = FIRST_GROWTH if self._guessed else min(FIRST_GROWTH, LEAST_GROWTH * 2 ** (quiet / QUIET))
        factor = 1 + growth * min(past, quiet, 1.0)
        self._rate *= factor
        self._window = min(self._window * factor, self._largest)

    def foresee(self, now: float) -> float:
        """The seconds that the last of the line has to wait at least, as far as it is known."""
        with self._lock:
            waiting = (len(self._line) - self._tokens) / self._rate if self._rate < math.inf else 0.0
            return max(0.0, self._resume - now, waiting)

    @property
    def rate(self) -> float:
        """The requests a second that are allowed, as far as it is known; else infinite."""
        return self._rate

    def held(self, now: float) -> float:
        """The seconds for which the API asked everybody to wait."""
        return max(0.0, self._resume - now)

    def answered(self, ticket: Ticket, now: float, quota: Quota | None = None) -> None:
        """Take note of an answer, and of what the API says may follow it."""
        with self._lock:
            if not self._refusals:
                self._latency += (now - ticket.sent - self._latency) / 8
                self._moved = now
                self._window = min(self._window + 1, self._largest)
            self._answers.append(now)
            self._gone(ticket)
            if quota is not None:
                self._left, self._reset = quota.left - self._under_way, now + min(quota.reset, LONGEST_RESET)
            elif now >= self._reset:
                self._left = None

    def refused(self, ticket: Ticket, now: float, hold: float, *, overloaded: bool = False) -> None:
        """Take note of a refusal: nobody goes for `hold` seconds, and all more slowly after it.

        Where the service is overloaded, that tells of what was under way, and nothing of a rate.
        """
        with self._lock:
            self._gone(ticket)
            news = ticket.sent >= self._refused
            if news:
                self._refused = self._counted = now
                self._refusals += 1
            self._resume, resumed = max(self._resume, now + hold), self._resume
            if news:
                self._narrowest = max(1.0, self._window * LEAST_WINDOW if self._refusals > 1 else 1.0)
            self._window = max(self._narrowest, min(self._window, self._under_way))
            if not overloaded:
                self._learn(now, hold, resumed if news else None)
                self._tokens = 0.0
            if self._rate < math.inf:  # one request may go when the pause is over
                self._tokens = max(self._tokens, 1.0 - hold * self._rate)

    def _learn(self, now: float, hold: float, resumed: float | None) -> None:
        """Learn the rate from a 429; `resumed` is when the last pause ended, `None` for an echo of the last 429."""
        first = self._rate == math.inf
        if resumed is not None:
            self._span = max(MEASURED, hold)
            self._done = self._since(now - self._span)
            since = self._since(resumed)
            early = not first and now - resumed < 0.5 * self._span and since + self._under_way < self._burst
            self._kept = since if early else None
        if self._kept is not None:  # right after a pause: it was too many at once, which tells nothing of the rate
            least = max(1.0, self._burst * LEAST_LEFT) if resumed is not None else 1.0
            self._burst = max(least, min(self._burst, self._kept + self._under_way))
        else:
            measured = max(self._done + self._under_way, 1) / self._span
            if resumed is not None:
                self._least = 0.0 if first else self._rate * LEAST_LEFT
            self._rate = max(measured, self._least)
            self._guessed = first or (self._guessed and resumed is None)
            if self._guessed:
                self._burst = max(1.0, self._rate * self._span)
        cost = max(0.0, hold - self._burst / self._rate)
        self._calm = 0.0 if self._guessed else min(CALM * cost, LONGEST_CALM)

    def _since(self, start: float) -> int:
        done = 0
        for at in reversed(self._answers):
            if at < start:
                break
            done += 1
        return done

    def leave(self, ticket: Ticket) -> None:
        """Take a request out, wherever it is: it was given up, or failed for what tells nothing of the pace."""
        if not (ticket.going or ticket.waiting):
            return
        with self._lock:
            if ticket.going:
                self._gone(ticket)
            elif ticket.waiting:
                ticket.waiting = False
                self._line.remove(ticket)
                heapq.heapify(self._line)
                self._wake_first()

    def _gone(self, ticket: Ticket) -> None:
        ticket.going = False
        self._under_way -= 1
        self._wake_first()

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
