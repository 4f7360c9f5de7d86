"""One rate limit for all workers of an account.

A `SharedPace` is the core's pacer behind one message: a worker tells what became of its requests and asks for the next
ones, a batch at a time. What it is granted says when each may go, up to half a second ahead, so that workers slow down
and speed up together. It knows no engine: on Ray it lives in a named actor.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hosted_rerank.pacer import Pacer, Ticket

AHEAD = 0.5
"""Seconds ahead for which requests are granted, once a rate is known."""
REST = 0.1
"""Seconds between two questions of a worker, once a rate is known: what it has to tell is told at once."""
ASKED = 300
"""Questions a second that all workers may ask; where more come, all rest for longer."""
WINDOW = 100_000
"""Requests on their way at most, those that are granted ahead included."""
LEASE = 120.0
"""Seconds after which a grant that nobody reported on is taken back: its worker is gone."""


@dataclass(frozen=True, slots=True)
class News:
    """What became of a granted request."""

    number: int
    answered: bool = False
    refused_for: float | None = None
    """Seconds that a 429 or 503 asked to wait; `None` where nothing was refused."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a worker may send."""

    starts: Sequence[tuple[int, float]] = ()
    """Numbers of requests, and in how many seconds each may go."""
    rest: float = 0.0
    """Seconds after which to ask again."""


class Pace(Protocol):
    """Where a worker asks."""

    async def lease(self, wanted: int, news: Sequence[News]) -> Grant:
        """Report, and ask for so many requests."""
        ...


class SharedPace:
    """The pace of one account at one model, for many workers. Used from one thread, as an actor is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pacer = Pacer(WINDOW)
        self._asked: deque[float] = deque(maxlen=100_000)
        self._granted: dict[int, tuple[Ticket, float]] = {}
        """What is on its way, and when it may go."""

    def lease(self, wanted: int, news: Sequence[News]) -> Grant:
        """Take note of what became of requests, and grant up to so many more."""
        now = self._clock()
        self._asked.append(now)
        while self._asked[0] < now - 1:
            self._asked.popleft()
        for each in news:
            self._settle(each, now)
        for number, (ticket, start) in list(self._granted.items()):
            if start + LEASE > now:
                break  # they are in the order of their grants
            del self._granted[number]
            self._pacer.leave(ticket)
        return self._grant(wanted, now)

    def _settle(self, news: News, now: float) -> None:
        ticket, _ = self._granted.pop(news.number, (None, 0.0))
        if ticket is None:
            return  # its lease was over
        if news.refused_for is not None:
            self._pacer.refused(ticket, now, news.refused_for)
        elif news.answered:
            self._pacer.answered(ticket, max(now, ticket.sent))
        else:
            self._pacer.leave(ticket)

    def _grant(self, wanted: int, now: float) -> Grant:
        starts: list[tuple[int, float]] = []
        ahead = 0.0
        while len(starts) < wanted:
            ticket = Ticket()
            wait = self._pacer.admit(ticket, now + ahead)
            if not wait:
                self._granted[ticket.number] = ticket, now + ahead
                ticket.sent = now  # a refusal that comes before it goes was not known when it was granted
                starts.append((ticket.number, ahead))
                continue
            self._pacer.leave(ticket)
            ahead += wait
            if ahead > AHEAD or self._pacer.rate == math.inf:
                break  # what is not known yet is not planned ahead
        rest = 0.0 if self._pacer.rate == math.inf else REST
        if not starts:
            rest = max(rest, min(ahead, REST))
        return Grant(starts, rest * max(1.0, len(self._asked) / ASKED))
