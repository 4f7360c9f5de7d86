"""One rate limit for all workers of an account.

A `SharedRate` is the core's `Rate` behind one message: a worker tells what became of its requests and asks for the next
ones, many at a time. What it is granted says when each may go, up to half a second ahead, so that workers slow down and
speed up together. A worker's own requests then go at `LeasedRate`, the pace of what it was granted, so that retries and
the parts of a large row are counted too. Neither knows an engine: on Ray a `SharedRate` lives in a named actor.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, Self

from hosted_rerank.limits.adaptive_rate import Rate
from hosted_rerank.limits.request_queue import Pacer, Ticket
from hosted_rerank.limits.retry import Quota

GRANT_HORIZON = 0.5
"""Seconds ahead for which requests are granted, once a rate is known."""
POLL_INTERVAL_INITIAL, POLL_INTERVAL = 0.02, 0.1
"""Seconds between two questions of a worker, at first and once a rate is known."""
MAX_LEASES_PER_SECOND = 300
"""Questions a second that all workers may ask; where more come, all rest for longer."""
MAX_IN_FLIGHT = 100_000
"""Requests on their way at most, those that are granted ahead included."""
LEASE_TIMEOUT = 120.0
"""Seconds after which a grant that nobody reported on is taken back: its worker is gone."""


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What became of a granted request."""

    number: int
    answered: bool = False
    refused: bool = False
    retry_after: float | None = None
    """Seconds that a refusal asked to wait, if it said so."""
    quota: Quota | None = None
    overloaded: bool = False


@dataclass(frozen=True, slots=True)
class RateGrant:
    """What a worker may send."""

    starts: Sequence[tuple[int, float]] = ()
    """Numbers of requests, and in how many seconds each may go."""
    poll_after: float = 0.0
    """Seconds after which to ask again."""
    rate: float = math.inf
    """Requests a second that all workers together may make, as far as it is known."""


class RateLeaseClient(Protocol):
    """Where a worker asks."""

    async def lease(self, wanted: int, reports: Sequence[UsageReport]) -> RateGrant:
        """Report, and ask for so many requests."""
        ...


class SharedRate:
    """The pace of one account at one model, for many workers. Used from one thread, as an actor is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rate = Rate(MAX_IN_FLIGHT)
        self._lease_times: deque[float] = deque(maxlen=100_000)
        self._in_flight: dict[int, tuple[Ticket, float]] = {}
        """What is on its way, and when it may go."""
        self._counts = {"answered": 0, "refused": 0}

    def lease(self, wanted: int, reports: Sequence[UsageReport]) -> RateGrant:
        """Take note of what became of requests, and grant up to so many more."""
        now = self._clock()
        self._lease_times.append(now)
        while self._lease_times[0] < now - 1:
            self._lease_times.popleft()
        for each in reports:
            self._apply(each, now)
        for number, (ticket, start) in list(self._in_flight.items()):
            if start + LEASE_TIMEOUT > now:
                break  # they are in the order of their grants
            del self._in_flight[number]
            self._rate.lost(ticket)
        return self._grant(wanted, now)

    def counts(self) -> dict[str, float]:
        """Return how many requests were answered and refused, and the rate that is allowed, as it was learned."""
        return {**self._counts, "rate": self._rate.rate}

    def _apply(self, report: UsageReport, now: float) -> None:
        self._counts["answered"] += report.answered
        self._counts["refused"] += report.refused
        ticket, _ = self._in_flight.pop(report.number, (None, 0.0))
        if ticket is None:
            return  # its lease was over
        if report.refused:
            self._rate.refused(ticket, now, report.retry_after, report.quota, overloaded=report.overloaded)
        elif report.answered:
            self._rate.answered(ticket, now, report.quota)
        else:
            self._rate.lost(ticket)

    def _grant(self, wanted: int, now: float) -> RateGrant:
        starts: list[tuple[int, float]] = []
        ahead = 0.0
        while len(starts) < wanted:
            wait = self._rate.wait(now + ahead)
            if wait:
                ahead += wait
                if ahead > GRANT_HORIZON or self._rate.rate == math.inf:
                    break  # what is not known yet is not planned ahead
                continue
            ticket = Ticket()
            self._rate.went(ticket, now + ahead)
            ticket.sent = now  # a refusal that comes before it goes was not known when it was granted
            self._in_flight[ticket.number] = ticket, now + ahead
            starts.append((ticket.number, ahead))
        rest = POLL_INTERVAL_INITIAL if self._rate.rate == math.inf else POLL_INTERVAL
        return RateGrant(starts, rest * max(1.0, len(self._lease_times) / MAX_LEASES_PER_SECOND), self._rate.rate)


class LeasedRate:
    """What a worker may send of a pace that it shares: a `Pace` of the core's, for use in one event loop."""

    def __init__(self) -> None:
        self.under_way = 0
        self.resume = -math.inf
        self.rate = math.inf
        self.pacer = Pacer(self)
        self._starts: deque[tuple[int, float]] = deque()
        """Numbers of granted requests, and when each may go."""
        self._request_numbers: dict[Ticket, int] = {}
        """Of what is under way."""
        self._reports: list[UsageReport] = []
        self._needs_grants, self._refusal_seen = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def lease_from(self, client: RateLeaseClient) -> AsyncGenerator[Self]:
        """Have requests granted while within; what was not used is given back at the end."""
        async with asyncio.TaskGroup() as group:
            leasing = group.create_task(self._renew(client))
            yield self
            leasing.cancel()

    async def _renew(self, client: RateLeaseClient) -> None:
        """Report, and ask for more wherever it lacks."""
        try:
            while True:
                await self._needs_grants.wait()
                self._needs_grants.clear()
                reports, self._reports = self._reports, []
                grant = await client.lease(max(0, self.pacer.waiting - len(self._starts)), reports)
                now, self.rate = time.monotonic(), grant.rate
                self._starts.extend((number, now + delay) for number, delay in grant.starts)
                self.pacer.wake()
                with suppress(TimeoutError):  # of a refusal all others should know at once
                    await asyncio.wait_for(self._refusal_seen.wait(), grant.poll_after)
                self._refusal_seen.clear()
        finally:
            await client.lease(0, [*self._reports, *(UsageReport(number) for number, _ in self._starts)])

    def wait(self, now: float) -> float:
        """Return 0 if a request may go, else the seconds until one may; infinite if none is granted."""
        if not self._starts:
            self._needs_grants.set()
            return math.inf
        return max(0.0, self._starts[0][1] - now)

    def went(self, ticket: Ticket, now: float) -> None:  # noqa: ARG002 - a pace's
        """Take a grant."""
        self._request_numbers[ticket] = self._starts.popleft()[0]
        self.under_way += 1

    def answered(self, ticket: Ticket, now: float, quota: Quota | None) -> None:  # noqa: ARG002 - a pace's
        """Remember to tell of an answer."""
        self._report(ticket, answered=True, quota=quota)

    def refused(self, ticket: Ticket, now: float, hold: float | None, quota: Quota | None, *, overloaded: bool) -> None:
        """Tell of a refusal; what else was granted waits as long as the API asked to, too."""
        self._report(ticket, refused=True, retry_after=hold, quota=quota, overloaded=overloaded)
        self._starts = deque((number, max(at, now + (hold or 0.0))) for number, at in self._starts)
        self._refusal_seen.set()
        self._needs_grants.set()

    def lost(self, ticket: Ticket) -> None:
        """Remember to tell that a request came to nothing."""
        self._report(ticket)

    def _report(self, ticket: Ticket, **what: Any) -> None:
        self.under_way -= 1
        self._reports.append(UsageReport(self._request_numbers.pop(ticket), **what))

    def foresee(self, now: float, waiting: int) -> float:  # noqa: ARG002 - a pace's
        """Return 0: what will be granted is not known here."""
        return 0.0
