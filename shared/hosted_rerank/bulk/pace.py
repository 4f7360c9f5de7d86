"""One rate limit for all workers of an account.

A `SharedPace` is the core's `AdaptiveRate` behind one message: a worker tells what became of its requests and asks for the next
ones, many at a time. What it is granted says when each may go, up to half a second ahead, so that workers slow down and
speed up together. A worker's own requests then go at `Granted`, the pace of what it was granted, so that retries and
the parts of a large row are counted too. Neither knows an engine: on Ray a `SharedPace` lives in a named actor.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, Self

from hosted_rerank.limits.adaptive_rate import AdaptiveRate
from hosted_rerank.limits.request_queue import RequestQueue, Ticket
from hosted_rerank.limits.retry import Quota

AHEAD = 0.5
"""Seconds ahead for which requests are granted, once a rate is known."""
FIRST_REST, REST = 0.02, 0.1
"""Seconds between two questions of a worker, at first and once a rate is known."""
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
    refused: bool = False
    hold: float | None = None
    """Seconds that a refusal asked to wait, if it said so."""
    quota: Quota | None = None
    overloaded: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """What a worker may send."""

    starts: Sequence[tuple[int, float]] = ()
    """Numbers of requests, and in how many seconds each may go."""
    rest: float = 0.0
    """Seconds after which to ask again."""
    rate: float = math.inf
    """Requests a second that all workers together may make, as far as it is known."""


class Lessor(Protocol):
    """Where a worker asks."""

    async def lease(self, wanted: int, news: Sequence[News]) -> Grant:
        """Report, and ask for so many requests."""
        ...


class SharedPace:
    """The pace of one account at one model, for many workers. Used from one thread, as an actor is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rate = AdaptiveRate(WINDOW)
        self._asked: deque[float] = deque(maxlen=100_000)
        self._granted: dict[int, tuple[Ticket, float]] = {}
        """What is on its way, and when it may go."""
        self._counts = {"answered": 0, "refused": 0}

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
            self._rate.on_dropped(ticket)
        return self._grant(wanted, now)

    def counts(self) -> dict[str, float]:
        """Return how many requests were answered and refused, and the rate that is allowed, as it was learned."""
        return {**self._counts, "rate": self._rate.rate}

    def _settle(self, news: News, now: float) -> None:
        self._counts["answered"] += news.answered
        self._counts["refused"] += news.refused
        ticket, _ = self._granted.pop(news.number, (None, 0.0))
        if ticket is None:
            return  # its lease was over
        if news.refused:
            self._rate.on_throttled(ticket, now, news.hold, news.quota, overloaded=news.overloaded)
        elif news.answered:
            self._rate.on_success(ticket, now, news.quota)
        else:
            self._rate.on_dropped(ticket)

    def _grant(self, wanted: int, now: float) -> Grant:
        starts: list[tuple[int, float]] = []
        ahead = 0.0
        while len(starts) < wanted:
            wait = self._rate.wait(now + ahead)
            if wait:
                ahead += wait
                if ahead > AHEAD or self._rate.rate == math.inf:
                    break  # what is not known yet is not planned ahead
                continue
            ticket = Ticket()
            self._rate.on_sent(ticket, now + ahead)
            ticket.sent = now  # a refusal that comes before it goes was not known when it was granted
            self._granted[ticket.number] = ticket, now + ahead
            starts.append((ticket.number, ahead))
        rest = FIRST_REST if self._rate.rate == math.inf else REST
        return Grant(starts, rest * max(1.0, len(self._asked) / ASKED), self._rate.rate)


class Granted:
    """What a worker may send of a pace that it shares: a `RateController` of the core's, for use in one event loop."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.blocked_until = -math.inf
        self.rate = math.inf
        self.pacer = RequestQueue(self)
        self._starts: deque[tuple[int, float]] = deque()
        """Numbers of granted requests, and when each may go."""
        self._numbers: dict[Ticket, int] = {}
        """Of what is under way."""
        self._news: list[News] = []
        self._lacking, self._refused = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def leased_from(self, lessor: Lessor) -> AsyncGenerator[Self]:
        """Have requests granted while within; what was not used is given back at the end."""
        async with asyncio.TaskGroup() as group:
            leasing = group.create_task(self._lease(lessor))
            yield self
            leasing.cancel()

    async def _lease(self, lessor: Lessor) -> None:
        """Report, and ask for more wherever it lacks."""
        try:
            while True:
                await self._lacking.wait()
                self._lacking.clear()
                news, self._news = self._news, []
                grant = await lessor.lease(max(0, self.pacer.queued - len(self._starts)), news)
                now, self.rate = time.monotonic(), grant.rate
                self._starts.extend((number, now + delay) for number, delay in grant.starts)
                self.pacer.notify()
                with suppress(TimeoutError):  # of a refusal all others should know at once
                    await asyncio.wait_for(self._refused.wait(), grant.rest)
                self._refused.clear()
        finally:
            await lessor.lease(0, [*self._news, *(News(number) for number, _ in self._starts)])

    def wait(self, now: float) -> float:
        """Return 0 if a request may go, else the seconds until one may; infinite if none is granted."""
        if not self._starts:
            self._lacking.set()
            return math.inf
        return max(0.0, self._starts[0][1] - now)

    def on_sent(self, ticket: Ticket, now: float) -> None:  # noqa: ARG002 - a pace's
        """Take a grant."""
        self._numbers[ticket] = self._starts.popleft()[0]
        self.in_flight += 1

    def on_success(self, ticket: Ticket, now: float, quota: Quota | None) -> None:  # noqa: ARG002 - a pace's
        """Remember to tell of an answer."""
        self._tell(ticket, answered=True, quota=quota)

    def on_throttled(
        self, ticket: Ticket, now: float, retry_after: float | None, quota: Quota | None, *, overloaded: bool
    ) -> None:
        """Tell of a refusal; what else was granted waits as long as the API asked to, too."""
        self._tell(ticket, refused=True, hold=retry_after, quota=quota, overloaded=overloaded)
        self._starts = deque((number, max(at, now + (retry_after or 0.0))) for number, at in self._starts)
        self._refused.set()
        self._lacking.set()

    def on_dropped(self, ticket: Ticket) -> None:
        """Remember to tell that a request came to nothing."""
        self._tell(ticket)

    def _tell(self, ticket: Ticket, **what: Any) -> None:
        self.in_flight -= 1
        self._news.append(News(self._numbers.pop(ticket), **what))

    def estimated_wait(self, now: float, waiting: int) -> float:  # noqa: ARG002 - a pace's
        """Return 0: what will be granted is not known here."""
        return 0.0
