"""One rate limit for all workers of an account.

A `SharedRate` puts the core's adaptive rate behind one message: a worker reports its finished requests and asks for the
next ones, many at a time. The `RateGrant` that it receives says when each request may start, up to half a second ahead,
so all workers slow down and speed up together. A `LeasedRate` is the worker's side: the worker's own queue follows it,
so retries and the batches of a large row are counted as well. Neither depends on an engine. On Ray, a `SharedRate`
lives in a named actor.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

from hosted_rerank.limits.adaptive_rate import AdaptiveRate
from hosted_rerank.limits.rate_controller import Ticket
from hosted_rerank.limits.rate_settings import RATE_SETTINGS
from hosted_rerank.limits.request_queue import RequestQueue
from hosted_rerank.limits.retry import Quota

GRANT_HORIZON = 0.5
"""Seconds ahead for which requests are granted, once a limit is known."""
POLL_INTERVAL_INITIAL, POLL_INTERVAL = 0.02, 0.1
"""Minimum seconds between two leases of a worker, before and after a limit is known."""
MAX_LEASES_PER_SECOND = 300
"""Leases per second of all workers. Above that, each worker waits longer between two leases."""
MAX_IN_FLIGHT = 100_000
"""Maximum number of requests in flight, including requests that are granted ahead."""
SETTINGS = replace(RATE_SETTINGS, max_window=MAX_IN_FLIGHT, window_growth=1.7, growth=0.5)
"""The constants of the rate: the window counts the requests of all workers, and limits grow slower, because more
requests are refused before a report is there; chosen by `tests/bulk/simulation.py`."""
LEASE_TIMEOUT = 120.0
"""Seconds after which a grant without a report is taken back, because its worker is gone."""


@dataclass(frozen=True, slots=True)
class UsageReport:
    """The outcome of a granted request. A request that is neither answered nor refused did not count."""

    number: int
    answered: bool = False
    refused: bool = False
    retry_after: float | None = None
    """The seconds to wait that came with a refusal, if any."""
    quota: Quota | None = None
    overloaded: bool = False


@dataclass(frozen=True, slots=True)
class RateGrant:
    """The requests that a worker may send."""

    starts: Sequence[tuple[int, float]] = ()
    """The number of each request, and the delay in seconds before it may start."""
    poll_after: float = 0.0
    """Seconds after which the worker may lease again."""
    rate: float = math.inf
    """The learned limit of all workers together in requests per second; infinite while no limit is known."""


class RateLeaseClient(Protocol):
    """A worker's connection to a `SharedRate`."""

    async def lease(self, wanted: int, reports: Sequence[UsageReport]) -> RateGrant:
        """Report finished requests and ask for up to `wanted` more."""
        ...


class SharedRate:
    """The rate limit of one account at one model, shared by many workers. Not thread-safe: use it from one thread.

    Args:
        clock: A function that returns the time in seconds, on any scale that never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rate = AdaptiveRate(SETTINGS)
        self._lease_times: deque[float] = deque(maxlen=100_000)
        self._in_flight: dict[int, tuple[Ticket, float]] = {}
        """The requests in flight, and the time at which each may start."""
        self._counts = {"answered": 0, "refused": 0}

    def lease(self, wanted: int, reports: Sequence[UsageReport]) -> RateGrant:
        """Record reports of finished requests and grant up to `wanted` more.

        Args:
            wanted: The number of requests that the worker wants to send.
            reports: The outcomes of requests from earlier grants.

        Returns:
            The granted requests, and the seconds to wait until the next lease.
        """
        now = self._clock()
        self._lease_times.append(now)
        while self._lease_times[0] < now - 1:
            self._lease_times.popleft()
        for each in reports:
            self._apply(each, now)
        for number, (ticket, start) in list(self._in_flight.items()):
            if start + LEASE_TIMEOUT > now:
                break  # requests are in the order of their grants
            del self._in_flight[number]
            self._rate.on_dropped(ticket)
        return self._grant(wanted, now)

    def counts(self) -> dict[str, float]:
        """Return the numbers of `answered` and `refused` requests, and the learned `rate` in requests per second."""
        return {**self._counts, "rate": self._rate.rate}

    def _apply(self, report: UsageReport, now: float) -> None:
        self._counts["answered"] += report.answered
        self._counts["refused"] += report.refused
        ticket, _ = self._in_flight.pop(report.number, (None, 0.0))
        if ticket is None:
            return  # the lease has expired
        if report.refused:
            self._rate.on_throttled(ticket, now, report.retry_after, report.quota, overloaded=report.overloaded)
        elif report.answered:
            self._rate.on_success(ticket, now, report.quota)
        else:
            self._rate.on_dropped(ticket)

    def _grant(self, wanted: int, now: float) -> RateGrant:
        starts: list[tuple[int, float]] = []
        ahead = 0.0
        while len(starts) < wanted:
            wait = self._rate.wait(now + ahead)
            if wait:
                ahead += wait
                if ahead > GRANT_HORIZON or self._rate.rate == math.inf:
                    break  # without a known limit, nothing is granted ahead
                continue
            ticket = Ticket()
            self._rate.on_sent(ticket, now + ahead)
            ticket.sent = now  # not its start: the grant could not know of refusals that arrive before the start
            self._in_flight[ticket.number] = ticket, now + ahead
            starts.append((ticket.number, ahead))
        rest = POLL_INTERVAL_INITIAL if self._rate.rate == math.inf else POLL_INTERVAL
        return RateGrant(starts, rest * max(1.0, len(self._lease_times) / MAX_LEASES_PER_SECOND), self._rate.rate)


class LeasedRate:
    """A worker's share of a `SharedRate`: the `RateController` that the worker's queue follows, in one event loop."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.blocked_until = -math.inf
        self.rate = math.inf
        self.queue = RequestQueue(self)
        self._starts: deque[tuple[int, float]] = deque()
        """The number of each granted request, and the time at which it may start."""
        self._request_numbers: dict[Ticket, int] = {}
        """The numbers of requests in flight."""
        self._reports: list[UsageReport] = []
        self._needs_grants, self._refusal_seen = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def lease_from(self, client: RateLeaseClient) -> AsyncGenerator[Self]:
        """Lease requests within the context, and return unused ones at its end."""
        async with asyncio.TaskGroup() as group:
            leasing = group.create_task(self._renew(client))
            yield self
            leasing.cancel()

    async def _renew(self, client: RateLeaseClient) -> None:
        """Send reports and lease more requests whenever they are needed."""
        try:
            while True:
                await self._needs_grants.wait()
                self._needs_grants.clear()
                reports, self._reports = self._reports, []
                grant = await client.lease(max(0, self.queue.queued - len(self._starts)), reports)
                now, self.rate = time.monotonic(), grant.rate
                self._starts.extend((number, now + delay) for number, delay in grant.starts)
                self.queue.notify()
                with suppress(TimeoutError):  # a refusal is reported at once
                    await asyncio.wait_for(self._refusal_seen.wait(), grant.poll_after)
                self._refusal_seen.clear()
        finally:
            await client.lease(0, [*self._reports, *(UsageReport(number) for number, _ in self._starts)])

    def wait(self, now: float) -> float:
        """Return 0 if a request may start, else the seconds until one may; infinite if none is granted."""
        if not self._starts:
            self._needs_grants.set()
            return math.inf
        return max(0.0, self._starts[0][1] - now)

    def on_sent(self, ticket: Ticket, now: float) -> None:  # noqa: ARG002 - of the protocol
        """Use one granted request."""
        self._request_numbers[ticket] = self._starts.popleft()[0]
        self.in_flight += 1

    def on_success(self, ticket: Ticket, now: float, quota: Quota | None) -> None:  # noqa: ARG002 - of the protocol
        """Queue the report of an answer."""
        self._report(ticket, answered=True, quota=quota)

    def on_throttled(
        self, ticket: Ticket, now: float, retry_after: float | None, quota: Quota | None, *, overloaded: bool
    ) -> None:
        """Report a refusal at once. All other granted requests wait for the requested time as well."""
        self._report(ticket, refused=True, retry_after=retry_after, quota=quota, overloaded=overloaded)
        until = now + min(retry_after or 0.0, RATE_SETTINGS.max_hold)
        self._starts = deque((number, max(at, until)) for number, at in self._starts)
        self._refusal_seen.set()
        self._needs_grants.set()

    def on_dropped(self, ticket: Ticket) -> None:
        """Queue the report of a request without an outcome."""
        self._report(ticket)

    def _report(self, ticket: Ticket, **outcome: Any) -> None:
        self.in_flight -= 1
        self._reports.append(UsageReport(self._request_numbers.pop(ticket), **outcome))

    def estimated_wait(self, now: float, ahead: int) -> float:  # noqa: ARG002 - of the protocol
        """Return 0, because future grants are not known here."""
        return 0.0
