"""A simulation of callers at one limit: real queues and rates, simulated time, requests that cost nothing."""

import heapq
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from hosted_rerank.limits.rate_controller import Ticket
from hosted_rerank.limits.request_queue import RequestQueue


def go(queue: RequestQueue, now: float, limit: float = math.inf) -> Ticket:
    """A ticket that goes at once."""
    ticket = Ticket()
    assert queue.admit(ticket, now, limit) == 0
    return ticket


@dataclass
class Bucket:
    """A server's limit: so many requests a second, and so many at once."""

    rate: float
    burst: float
    retry_after: bool = True
    """Whether a refusal says how many seconds to wait, rounded up."""
    overloaded: bool = False
    """Whether a refusal is a 503, and not a 429."""
    down: tuple[float, float] = (0.0, 0.0)
    """The time from which, and until which, all requests are refused."""
    chance: float = 0.0
    """The share of requests that is refused whatever their rate."""
    left: float = field(init=False)
    at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.left = self.burst
        self._random = random.Random(1)

    def take(self, now: float) -> float | None:
        """Returns `None` if a request is accepted, else the seconds to wait; 0 if it does not say."""
        if self.down[0] <= now < self.down[1] or self._random.random() < self.chance:
            return float(self.retry_after)
        self.left, self.at = min(self.burst, self.left + (now - self.at) * self.rate), now
        if self.left >= 1 - 1e-9:
            self.left -= 1
            return None
        return float(math.ceil((1 - self.left) / self.rate)) if self.retry_after else 0.0


@dataclass(frozen=True)
class Latency:
    """Seconds until a response comes, each at random within a fifth of its value."""

    accepted: float = 0.1
    refused: float = 0.01


@dataclass
class Caller:
    """A process with a queue of its own, which sends a number of requests as soon as its queue admits them."""

    queue: RequestQueue
    requests: int
    begins: float = 0.0
    served: int = field(default=0, init=False)
    refused: int = field(default=0, init=False)
    finished: float = field(default=0.0, init=False)


@dataclass
class Simulation:
    """Runs callers against one limit, event by event, in simulated time."""

    bucket: Bucket
    callers: Sequence[Caller]
    latency: Latency = field(default_factory=Latency)
    seed: int = 1
    until: float = math.inf
    now: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._order = count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def run(self) -> None:
        """Runs until all requests are served, or until the end."""
        for caller in self.callers:
            for _ in range(caller.requests):
                self._at(caller.begins, self._asking(caller, Ticket()))
        self.resume()

    def resume(self) -> None:
        """Goes on until all requests are served, or until the end, which may have been moved."""
        while self._events and self._events[0][0] <= self.until:
            self.now, _, event = heapq.heappop(self._events)
            event()

    def _at(self, time: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time, next(self._order), event))

    def _asking(self, caller: Caller, ticket: Ticket) -> Callable[[], None]:
        """Returns what asks for the turn of a request until it is sent; a wake-up after that does nothing."""
        waits = True

        def notified() -> None:
            ticket.notify = None
            self._at(self.now, ask)

        def ask() -> None:
            nonlocal waits
            if not waits:
                return
            wait = caller.queue.admit(ticket, self.now)
            if wait == 0:
                waits = False
                self._send(caller, ticket)
                return
            ticket.notify = notified
            if wait < math.inf:
                self._at(self.now + wait, ask)

        return ask

    def _send(self, caller: Caller, ticket: Ticket) -> None:
        wait = self.bucket.take(self.now)
        takes = self.latency.accepted if wait is None else self.latency.refused

        def accepted() -> None:
            caller.served += 1
            caller.finished = self.now
            caller.queue.on_success(ticket, self.now)

        def refused() -> None:
            caller.refused += 1
            hold = wait * self._random.uniform(1, 1.1) if wait else None
            caller.queue.on_throttled(ticket, self.now, hold, overloaded=self.bucket.overloaded)
            backoff = 0.0 if wait else self._random.uniform(0.25, 0.5)
            self._at(self.now + backoff, self._asking(caller, ticket))

        self._at(self.now + takes * self._random.uniform(0.9, 1.1), accepted if wait is None else refused)
