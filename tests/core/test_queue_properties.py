"""The queue under any order of arrivals, admissions, ends and cancellations, with callers of different limits."""

import math

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hosted_rerank.limits.adaptive_rate import AdaptiveRate
from hosted_rerank.limits.rate_controller import Ticket
from hosted_rerank.limits.request_queue import RequestQueue
from hosted_rerank.limits.retry import Quota

LIMITS = (1.0, 2.0, math.inf)
PLACES = 4
"""Requests that the controller lets be in flight."""


class Places(AdaptiveRate):
    """A controller with a fixed number of places, which only an end frees."""

    def wait(self, now: float) -> float:
        return 0.0 if self.in_flight < PLACES else math.inf

    def on_success(self, ticket: Ticket, now: float, quota: Quota | None = None) -> None:
        self.on_dropped(ticket)


class QueueMachine(RuleBasedStateMachine):
    """Callers that ask once, and then whenever they are notified."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = RequestQueue(Places())
        self.limits: dict[Ticket, float] = {}
        self.in_flight: list[Ticket] = []
        self.waiting: list[Ticket] = []

    def ask(self, ticket: Ticket) -> None:
        if self.queue.admit(ticket, 0.0, self.limits[ticket]) == 0:
            earlier = [each for each in self.waiting if each < ticket and self.limits[each] == self.limits[ticket]]
            assert not earlier, "overtaken"
            if ticket in self.waiting:
                self.waiting.remove(ticket)
            self.in_flight.append(ticket)
        elif ticket not in self.waiting:
            self.waiting.append(ticket)

    def serve_notified(self) -> None:
        while notified := [each for each in self.waiting if each.notified]:
            self.ask(notified[0])

    @rule(limit=st.sampled_from(LIMITS))
    def arrive(self, limit: float) -> None:
        ticket = Ticket()
        self.limits[ticket] = limit
        self.ask(ticket)
        self.serve_notified()

    @rule(data=st.data(), success=st.booleans())
    def end(self, data: st.DataObject, success: bool) -> None:  # noqa: FBT001 - hypothesis passes it
        if self.in_flight:
            ticket = self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))
            if success:
                self.queue.on_success(ticket, 0.0)
            else:
                self.queue.drop(ticket)
            self.serve_notified()

    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        """A request ends and asks again, at its old position."""
        if self.in_flight:
            ticket = self.in_flight.pop(data.draw(st.integers(0, len(self.in_flight) - 1)))
            self.queue.drop(ticket)
            self.ask(ticket)
            self.serve_notified()

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.waiting:
            self.queue.drop(self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1))))
            self.serve_notified()

    @invariant()
    def no_limit_is_exceeded(self) -> None:
        """Nor is any ticket lost."""
        assert self.queue.controller.in_flight == len(self.in_flight) <= PLACES
        assert self.queue.queued == len(self.waiting)
        for limit in LIMITS:
            assert sum(self.limits[each] == limit for each in self.in_flight) <= limit

    @invariant()
    def none_waits_that_could_go(self) -> None:
        if len(self.in_flight) < PLACES:
            for each in self.waiting:
                limit = self.limits[each]
                assert sum(self.limits[other] == limit for other in self.in_flight) >= limit


TestQueue = QueueMachine.TestCase
