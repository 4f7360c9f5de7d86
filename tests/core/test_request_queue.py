"""The queue, with plain values."""

import asyncio
import math
import threading
from collections.abc import Callable

import pytest

from hosted_rerank.limits.adaptive_rate import AdaptiveRate
from hosted_rerank.limits.rate_controller import Ticket
from hosted_rerank.limits.rate_settings import RATE_SETTINGS
from hosted_rerank.limits.request_queue import ABANDONED_CHECK_INTERVAL, RequestQueue
from tests.bounded import within
from tests.core.rate_simulation import go


def admitted(queue: RequestQueue, begin: float, end: float) -> list[Ticket]:
    """The tickets that go from one time to another, as fast as they are admitted."""
    tickets, waiting, steps = list[Ticket](), Ticket(), round((end - begin) / 0.0005)
    for step in range(steps):
        while queue.admit(waiting, begin + step * 0.0005) == 0:
            tickets.append(waiting)
            waiting = Ticket()
    queue.drop(waiting)
    return tickets


def test_window_starts_gently_and_grows_while_all_goes_well() -> None:
    """A few requests go at once, the window then one by one; when it succeeded, it is several times as wide."""
    queue = RequestQueue(AdaptiveRate())
    first = admitted(queue, 0.0, 0.0005)
    assert len(first) == RATE_SETTINGS.initial_burst
    first += admitted(queue, 0.0005, 0.1)
    assert len(first) == RATE_SETTINGS.initial_window
    for ticket in first[:4]:
        queue.on_success(ticket, 0.1)
    assert not admitted(queue, 0.1, 0.2)  # others of the round are still in flight
    for ticket in first[4:]:
        queue.on_success(ticket, 0.2)
    assert len(admitted(queue, 0.2, 0.4)) > 4 * RATE_SETTINGS.initial_window


def test_window_grows_where_responses_take_long() -> None:
    """A slow service is not a full one: refusals come faster than the timeout."""
    queue = RequestQueue(AdaptiveRate())
    assert len(admitted(queue, 0.0, 0.3)) == RATE_SETTINGS.initial_window
    assert len(admitted(queue, 0.3, 0.5)) > 4 * RATE_SETTINGS.initial_window


def test_overload_that_refuses_all_says_nothing_of_their_number() -> None:
    """A service that answers 503 to all is down: the window is not narrowed; where it accepts some, to these."""
    for accepted in (0, 4):
        queue = RequestQueue(AdaptiveRate())
        first = admitted(queue, 0.0, 0.05)
        for ticket in first[accepted:]:
            queue.on_throttled(ticket, 0.1, overloaded=True)
        assert len(admitted(queue, 0.1, 0.11)) == (RATE_SETTINGS.initial_window if not accepted else 0)


def test_full_limit_of_one_caller_delays_no_other() -> None:
    """A request whose caller may have one in flight keeps its position, and goes when that one ends."""
    queue = RequestQueue(AdaptiveRate())
    only, parked, other = go(queue, 0.0, limit=1), Ticket(), Ticket()
    assert queue.admit(parked, 0.0, limit=1) == math.inf
    assert queue.admit(other, 0.0) == 0
    notified = threading.Event()
    parked.notify = notified.set
    queue.on_success(only, 0.1)
    assert notified.is_set()
    assert queue.admit(parked, 0.1, limit=1) == 0


def test_throttled_request_stops_all() -> None:
    """After a throttled request, none is sent for as long as the API asks, and then one, not all."""
    queue = RequestQueue(AdaptiveRate())
    refused = go(queue, 0.0)
    queue.on_throttled(refused, 0.1, 2.0)
    others = [Ticket() for _ in range(5)]
    assert queue.admit(refused, 0.1) == pytest.approx(2.0)
    assert all(queue.admit(other, 1.0) > 0 for other in others)
    assert queue.admit(refused, 2.11) == 0
    assert queue.admit(others[0], 2.11) > 0


def test_first_come_first_served() -> None:
    """No request overtakes another, and a throttled one returns to its old position."""
    queue = RequestQueue(AdaptiveRate())
    early = go(queue, 0.0)
    late, later = Ticket(), Ticket()
    queue.on_throttled(early, 0.0, 1.0)
    assert queue.admit(later, 0.1) > 0
    assert queue.admit(late, 0.1) > 0
    assert queue.admit(early, 0.1) > 0
    assert queue.admit(later, 1.1) == math.inf
    assert queue.admit(late, 1.1) == math.inf
    assert queue.admit(early, 1.1) == 0


def test_dropped_request_delays_no_other() -> None:
    """A cancelled request leaves the queue, and the next one is notified."""
    queue = RequestQueue(AdaptiveRate())
    in_flight = go(queue, 0.0, limit=1)
    first, second = Ticket(), Ticket()
    assert queue.admit(first, 0.0, limit=1) == math.inf
    assert queue.admit(second, 0.0, limit=1) == math.inf
    notified = threading.Event()
    second.notify = notified.set
    queue.drop(first)
    assert queue.admit(second, 0.0, limit=1) == math.inf
    queue.drop(in_flight)
    queue.drop(in_flight)
    assert notified.is_set()
    assert queue.admit(second, 0.0, limit=1) == 0


def test_notification_of_a_closed_loop() -> None:
    """A queued request that cannot be notified any more delays no other."""
    queue = RequestQueue(AdaptiveRate())
    in_flight, gone, after = go(queue, 0.0, limit=1), Ticket(), Ticket()
    assert queue.admit(gone, 0.0, limit=1) == math.inf
    assert queue.admit(after, 0.0, limit=1) == math.inf
    loop = asyncio.new_event_loop()
    gone.notify = lambda: loop.call_soon_threadsafe(print)
    loop.close()
    queue.drop(in_flight)
    assert queue.admit(after, 0.0, limit=1) == 0


def test_abandoned_requests_at_the_head_of_the_queue() -> None:
    """All abandoned requests before a request are removed; one that is not abandoned stays."""
    queue = RequestQueue(AdaptiveRate())
    in_flight, line = go(queue, 0.0, limit=1), [Ticket() for _ in range(4)]
    for ticket in line:
        assert queue.admit(ticket, 0.0, limit=1) == math.inf
    line[0].is_abandoned = line[1].is_abandoned = lambda: True
    line[2].is_abandoned = lambda: False
    queue.drop(in_flight)
    assert queue.admit(line[3], 0.0, limit=1) == math.inf
    assert queue.admit(line[2], 0.0, limit=1) == 0
    assert queue.queued == 1


def test_abandoned_request_in_flight() -> None:
    """An abandoned request in flight is dropped when another request waits for it."""
    queue, over = RequestQueue(AdaptiveRate()), list[bool]()
    in_flight, after = go(queue, 0.0, limit=1), Ticket()
    in_flight.is_abandoned = lambda: bool(over)
    assert queue.admit(after, 0.0, limit=1) == math.inf
    over.append(True)
    assert queue.admit(after, ABANDONED_CHECK_INTERVAL, limit=1) == 0
    assert (in_flight.in_flight, queue.controller.in_flight) == (False, 1)
    queue.drop(in_flight)
    assert queue.controller.in_flight == 1


class Interrupted(AdaptiveRate):
    """A rate during whose `wait` the garbage collector ends another call."""

    collect: Callable[[], object] = staticmethod(lambda: None)

    def wait(self, now: float) -> float:
        self.collect()
        return super().wait(now)


def test_call_that_ends_within_another_ones_turn() -> None:
    """Requests that are dropped while the same thread admits another one are removed right after that."""
    queue = RequestQueue(pace := Interrupted())
    in_flight, refused, first, second = go(queue, 0.0), go(queue, 0.0), Ticket(), Ticket()
    queue.on_throttled(refused, 0.0, 1.0)
    for ticket in (first, second):
        assert queue.admit(ticket, 0.0) > 0

    def collect() -> None:
        queue.drop(in_flight)
        queue.drop(second)

    pace.collect = collect
    assert within(5.0, lambda: queue.admit(first, 2.0)) == 0
    assert (first.in_flight, in_flight.in_flight, second.queued) == (True, False, False)
    assert (pace.in_flight, queue.queued) == (1, 0)
