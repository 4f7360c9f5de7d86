"""The circuit breaker and the retry budget, with plain values."""

from itertools import pairwise

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hosted_rerank.limits.circuit_breaker import BREAKER_SETTINGS, BreakerSettings, CircuitBreaker, RetryBudget
from hosted_rerank.limits.classification import Verdict
from hosted_rerank.limits.endpoint_state import EndpointState
from hosted_rerank.limits.request_queue import Ticket


def opened(now: float = 0.0) -> CircuitBreaker:
    """A breaker whose circuit opened just now."""
    breaker = CircuitBreaker()
    rounds = BREAKER_SETTINGS.rounds
    known = [now - (rounds - 1 - number) for number in range(rounds)]
    assert [breaker.record_failure(at, at - 0.5, "status 500") for at in known] == [False] * (rounds - 1) + [True]
    return breaker


def test_circuit_opens_tries_and_closes() -> None:
    """Rounds of failures open the circuit; one request tries; its failure doubles the pause, its success ends it."""
    breaker = opened()
    assert breaker.open_for(1.0) == pytest.approx(4.0)
    assert breaker.open_for(5.0) == 0
    assert breaker.start_probe(5.0, 1.0)
    assert not breaker.start_probe(5.1, 1.0)
    assert breaker.open_for(5.0) == pytest.approx(1.0)
    breaker.end_probe()
    assert not breaker.record_failure(5.5, 5.0, "status 500")
    assert breaker.open_for(6.0) == pytest.approx(9.5)
    assert breaker.open_for(16.0) == 0
    assert breaker.start_probe(16.0, 1.0)
    breaker.record_success()
    assert breaker.open_for(16.0) == 0
    assert not breaker.start_probe(16.0, 1.0)


def test_pause_is_bounded() -> None:
    """However often a probe fails, the next one is sent a minute later."""
    breaker, now = opened(), 0.0
    for _ in range(10):
        now += breaker.open_for(now)
        breaker.record_failure(now, now, "status 500")
    assert breaker.open_for(now) == BREAKER_SETTINGS.pause_max


def test_failures_in_the_pause_say_nothing_new() -> None:
    """A request that was sent before the pause was over does not lengthen it."""
    breaker = opened()
    breaker.record_failure(4.0, 3.0, "status 500")
    breaker.record_failure(6.0, 4.9, "status 500")
    assert breaker.open_for(4.0) == pytest.approx(1.0)
    assert breaker.open_for(6.0) == 0


def test_requests_in_flight_together_are_one_failure() -> None:
    """A thousand requests that were in flight when the first one failed are one round."""
    breaker = CircuitBreaker()
    for number in range(1000):
        assert not breaker.record_failure(1.0 + number, 0.5, "no response")
    assert breaker.open_for(1001.0) == 0


def test_short_trouble_opens_nothing() -> None:
    """A hundred rounds of failures within three seconds are a blip."""
    breaker = CircuitBreaker()
    assert not any(breaker.record_failure(at / 50, at / 50, "status 500") for at in range(100))
    assert breaker.record_failure(3.1, 3.0, "status 500")


def test_success_begins_anew() -> None:
    """One success among many failures keeps the circuit closed."""
    breaker = CircuitBreaker()
    for number in range(100):
        if number % 4 == 0:
            breaker.record_success()
        assert not breaker.record_failure(number, number - 0.5, "status 500")


class Arrivals(RuleBasedStateMachine):
    """Requests that are sent, fail and succeed in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = CircuitBreaker()
        self.in_flight: list[float] = []
        """When each request in flight was sent."""
        self.failures: list[tuple[float, float]] = []
        """When each request was sent that failed since the last success, and when that was known."""
        self.was_open = False

    @rule(seconds=st.sampled_from([0.001, 0.3, 1.0, 4.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def send(self) -> None:
        half_open = self.was_open and not self.breaker.open_for(self.now)
        assert self.breaker.start_probe(self.now, 1.0) is half_open
        assert not self.breaker.start_probe(self.now, 1.0)  # there is one probe at a time
        self.in_flight.append(self.now)

    @precondition(lambda self: self.in_flight)
    @rule(place=st.integers(0, 1000))
    def fail(self, place: int) -> None:
        sent = self.in_flight.pop(place % len(self.in_flight))
        self.failures.append((sent, self.now))
        opened_now = self.breaker.record_failure(self.now, sent, "status 500")
        assert not (opened_now and self.was_open)
        if opened_now:
            assert self.breaker.open_for(self.now) == BREAKER_SETTINGS.pause_initial
            assert self.rounds() >= BREAKER_SETTINGS.rounds
            assert self.now - self.failures[0][1] >= BREAKER_SETTINGS.min_outage
        self.was_open |= opened_now

    @precondition(lambda self: self.in_flight)
    @rule(place=st.integers(0, 1000))
    def succeed(self, place: int) -> None:
        self.in_flight.pop(place % len(self.in_flight))
        self.breaker.record_success()
        self.failures, self.was_open = [], False

    def rounds(self) -> int:
        """The longest series of failures of which each was sent after the one before was known."""
        longest = [1] * len(self.failures)
        for place, (sent, _) in enumerate(self.failures):
            before = [longest[earlier] for earlier in range(place) if self.failures[earlier][1] <= sent]
            longest[place] = 1 + max(before, default=0)
        return max(longest)

    @invariant()
    def is_open_no_longer_than_a_minute(self) -> None:
        left = self.breaker.open_for(self.now)
        assert left <= BREAKER_SETTINGS.pause_max
        assert self.was_open or left == 0


TestArrivals = Arrivals.TestCase


def test_machine_finds_open_circuits() -> None:
    """The longest series of the machine above is what the breaker counts."""
    machine = Arrivals()
    machine.failures = [(0.0, 1.0), (0.5, 1.1), (1.0, 2.0), (1.5, 2.5), (2.6, 3.0)]
    assert machine.rounds() == 3
    assert all(first[1] <= second[1] for first, second in pairwise(machine.failures))


def sent(state: EndpointState, at: float) -> Ticket:
    """A request that was sent at a time."""
    ticket = Ticket()
    assert state.queue.admit(ticket, at) == 0
    return ticket


def test_short_timeouts_say_nothing() -> None:
    """A timeout of less than five seconds is the caller's own; a longer one may be an outage."""
    settings = BreakerSettings(rounds=1, min_outage=0.0)
    timeout = Verdict(False, "a timeout", retryable=True, outage="a timeout", timed_out=True)
    state = EndpointState(breaker_settings=settings)
    assert not state.record(timeout, sent(state, 0.0), 4.9)
    assert state.record(timeout, sent(state, 5.0), 10.0)
    other = Verdict(False, "no response", retryable=True, outage="no response")
    state = EndpointState(breaker_settings=settings)
    assert state.record(other, sent(state, 0.0), 0.1)


def test_requests_that_were_not_sent_close_nothing() -> None:
    """What says nothing of the service, such as a refusal or a lack of descriptors, does not close the circuit."""
    state = EndpointState(breaker_settings=BreakerSettings(rounds=1, min_outage=0.0))
    outage = Verdict(False, "status 500", retryable=True, answered=False, outage="status 500")
    state.record(outage, sent(state, 0.0), 0.1)
    state.record(Verdict(False, "no response"), sent(state, 0.2), 0.3)
    state.record(Verdict(False, "status 429", throttled=True), sent(state, 0.4), 0.5)
    assert state.breaker.open_for(0.5) > 0
    state.record(Verdict(False, "status 400", answered=True), sent(state, 10.0), 10.1)
    assert state.breaker.open_for(10.1) == 0


def test_first_retries_are_never_denied() -> None:
    """The first two retries of a request are its own; the others come out of a budget that no burst exhausts."""
    budget = RetryBudget()
    assert all(budget.withdraw(0.0, retries) for retries in (0, 1) for _ in range(2000))
    assert [budget.withdraw(0.0, 2) for _ in range(1100)].count(True) == 1000
    assert budget.withdraw(0.0, 1)
    for _ in range(50):
        budget.deposit()
    assert [budget.withdraw(0.0, 2) for _ in range(20)].count(True) == 10
    assert [budget.withdraw(2.0, 2) for _ in range(30)].count(True) == 20
