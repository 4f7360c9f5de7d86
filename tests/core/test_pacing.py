"""The queue and the rate with plain values, then services that throttle, fail and recover, in both ways of calling."""

import asyncio
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from hosted_rerank import (
    DeadlineExceededError,
    RateLimitError,
    Reranker,
    RerankError,
    RerankResponse,
)
from hosted_rerank.limits.adaptive_rate import AdaptiveRate
from hosted_rerank.limits.rate_controller import Ticket
from hosted_rerank.limits.rate_settings import RATE_SETTINGS
from hosted_rerank.limits.request_queue import ABANDONED_CHECK_INTERVAL, RequestQueue
from hosted_rerank.limits.retry import Quota, quota
from tests.bounded import ends_within, within
from tests.conftest import DOCUMENTS, QUERY, Acme, Rerank
from tests.hostile import Act, HostileServer, Peer, ranking, reply


def go(queue: RequestQueue, now: float, limit: float = math.inf) -> Ticket:
    """A ticket that goes at once."""
    ticket = Ticket()
    assert queue.admit(ticket, now, limit) == 0
    return ticket


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
    assert len(admitted(queue, 0.0, 0.0005)) == RATE_SETTINGS.initial_burst
    first = admitted(queue, 0.0005, 0.1)
    assert len(first) == RATE_SETTINGS.initial_window - RATE_SETTINGS.initial_burst
    for ticket in first:
        queue.on_success(ticket, 0.1)
    assert len(admitted(queue, 0.1, 0.2)) < RATE_SETTINGS.initial_window  # others of the round are still in flight


def test_window_grows_where_responses_take_long() -> None:
    """A slow service is not a full one: refusals come faster than the timeout."""
    queue = RequestQueue(AdaptiveRate())
    assert len(admitted(queue, 0.0, 0.3)) == RATE_SETTINGS.initial_window
    assert len(admitted(queue, 0.3, 0.5)) > 10 * RATE_SETTINGS.initial_window


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


def simulate(
    queue: RequestQueue, allowed: Any, count: int, began: float = 0.0, round_trip: float = 0.01
) -> tuple[float, int]:
    """The seconds until `count` requests that came at `began` are answered, and the refusals on the way."""
    now, refused, line, coming = began, 0, [Ticket() for _ in range(count)], list[tuple[float, Ticket, float]]()
    while line or coming:
        for due, ticket, hold in [entry for entry in coming if entry[0] <= now]:
            coming.remove((due, ticket, hold))
            if hold:
                refused += 1
                queue.on_throttled(ticket, now, hold)
                line.insert(0, ticket)
            else:
                queue.on_success(ticket, now)
        line.sort()
        while line and queue.admit(line[0], now) == 0:
            hold = allowed(now)
            coming.append((now + (round_trip if hold else 0.1), line.pop(0), hold))
        now += 0.005
        assert now < began + 1000
    return now - began, refused


class Bucket:
    """A limit: so many requests a second, and so many at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst, self.left, self.at = rate, burst, burst, 0.0

    def __call__(self, now: float) -> float:
        self.left, self.at = min(self.burst, self.left + (now - self.at) * self.rate), now
        if self.left >= 1:
            self.left -= 1
            return 0.0
        return math.ceil((1 - self.left) / self.rate)


@pytest.mark.parametrize("rate", [20, 50, 200])
def test_rate_is_found_and_kept(rate: float) -> None:
    """Whatever is allowed, most of it is used, and hardly a request is refused."""
    seconds, refused = simulate(RequestQueue(AdaptiveRate()), Bucket(rate, rate), 600)
    assert 600 / seconds >= 0.9 * rate
    assert refused <= 90


def test_limit_that_moves() -> None:
    """A limit that falls is met again, and one that rises is followed."""
    queue, allowed, now = RequestQueue(AdaptiveRate()), Bucket(100, 100), 0.0
    for rate, count, share in ((100, 600, 0.9), (20, 400, 0.8), (100, 2000, 0.7)):
        allowed.rate = allowed.burst = rate
        seconds, refused = simulate(queue, allowed, count, now)
        assert count / seconds >= share * rate
        assert refused <= 0.15 * count
        now += seconds


def rate_after(queue: RequestQueue, now: float) -> tuple[float, float]:
    """The rate that was learned from a storm at 100 a second, and when the storm was over."""
    seconds, _ = simulate(queue, Bucket(100, 100), 600, now)
    return queue.controller.rate, now + seconds


def test_refusal_that_says_nothing_may_be_by_chance() -> None:
    """A 429 without `Retry-After` stops no other request, and one of twenty lowers no limit; many do."""
    queue = RequestQueue(AdaptiveRate())
    learned, now = rate_after(queue, 0.0)
    for number in range(200):
        ticket = go(queue, now)
        if number % 20 == 10:
            queue.on_throttled(ticket, now)
            assert queue.blocked_for(now) == 0
        else:
            queue.on_success(ticket, now)
        now += 0.05
    assert queue.controller.rate >= learned
    for _ in range(10):
        queue.on_throttled(go(queue, now), now)
        now += 1.0
    assert queue.controller.rate < learned / 2


def test_rate_that_is_not_used_is_not_raised() -> None:
    """A bound grows only while it holds requests up; a quiet hour, or a quiet year, tells nothing."""
    queue = RequestQueue(AdaptiveRate())
    learned, now = rate_after(queue, 0.0)
    for _ in range(1_000):
        now += 3.6
        queue.on_success(go(queue, now), now)
    assert queue.controller.rate == pytest.approx(learned, rel=0.1)
    now += 3e7
    seconds, refused = simulate(queue, Bucket(100, 100), 600, now)
    assert 600 / seconds >= 0.9 * 100
    assert refused <= 60


def test_quota_of_a_refusal_counts() -> None:
    """A refusal that says when there is more, by the headers of the quota alone, is not asked again before."""
    queue = RequestQueue(AdaptiveRate())
    queue.on_throttled(go(queue, 0.0), 0.1, None, Quota(0, 4.0))
    other = Ticket()
    assert queue.admit(other, 0.2) == pytest.approx(3.9)
    assert queue.admit(other, 4.2) == 0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x-ratelimit-remaining-requests": "7", "x-ratelimit-reset-requests": "900s"}, Quota(7, 900)),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, Quota(0, 360)),
        ({"x-ratelimit-remaining-requests": "1.00", "x-ratelimit-reset-requests": "20ms"}, Quota(1, 0.02)),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1.5s"}, Quota(0, 1.5)),
        ({"x-ratelimit-remaining-tokens": "10", "x-ratelimit-reset-tokens": "1s"}, None),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "12"}, Quota(3, 12)),
        ({"x-ratelimit-remaining-requests": "7"}, None),
        ({"x-ratelimit-remaining-requests": "0%", "x-ratelimit-reset-requests": "1s"}, None),
        ({"x-ratelimit-remaining-requests": "7", "x-ratelimit-reset-requests": "soon"}, None),
        ({"x-ratelimit-remaining-requests": "-1", "x-ratelimit-reset-requests": "1s"}, None),
        ({"x-ratelimit-remaining-requests": "7", "x-ratelimit-reset-requests": "9" * 5000 + "s"}, None),
        (
            {
                "x-ratelimit-remaining": "0",
                "x-ratelimit-reset": "1795262430000",
                "date": "Sat, 21 Nov 2026 12:00:00 GMT",
            },
            Quota(0, 30),
        ),
    ],
)
def test_quota(headers: dict[str, str], expected: Quota | None) -> None:
    """What is left of a limit is read with any unit, and not at all where it makes no sense."""
    assert quota(headers) == expected


def test_quota_is_not_overdrawn() -> None:
    """When the quota is used up, no request is sent before its reset."""
    queue = RequestQueue(AdaptiveRate())
    queue.on_success(go(queue, 0.0), 0.1, Quota(2, 5.0))
    go(queue, 0.1)
    second = go(queue, 0.1)
    third = Ticket()
    assert queue.admit(third, 0.1) == pytest.approx(5.0)
    queue.on_success(second, 0.2, Quota(0, 0.3))
    assert queue.admit(third, 0.6) == 0


def bucket(rate: float, burst: int) -> Act:
    """An act that takes `rate` requests a second and refuses the others with 429 and `Retry-After`."""
    limit, lock = Bucket(rate, burst), threading.Lock()

    async def act(peer: Peer) -> None:
        with lock:
            wait = limit(time.monotonic())
        await (reply(429, "", retry_after=str(int(wait))) if wait else ranking(0.1, 0.3, 0.2, after=0.05))(peer)

    return act


def many(reranker: Reranker, count: int, way: str) -> list[RerankResponse | BaseException]:
    """What comes of calls at once."""
    if way == "awaiting":

        async def main() -> list[RerankResponse | BaseException]:
            calls = (reranker.arerank(QUERY, DOCUMENTS) for _ in range(count))
            return await asyncio.gather(*calls, return_exceptions=True)

        return asyncio.run(main())
    came: list[RerankResponse | BaseException] = []

    def call() -> None:
        try:
            came.append(reranker.rerank(QUERY, DOCUMENTS))
        except RerankError as error:
            came.append(error)

    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return came


def test_storm_of_429(server: HostileServer, acme: Acme, way: str) -> None:
    """Many calls at once at a small limit are all served."""
    server.play(bucket(40, 40))
    came = many(acme(max_retries=2), 120, way)
    assert [type(answer) for answer in came] == [RerankResponse] * 120


def test_storm_of_429_is_mostly_held_back() -> None:
    """Many calls at once at a small limit meet few refusals where those come back soon; in simulated time."""
    _, refused = simulate(RequestQueue(AdaptiveRate()), Bucket(40, 40), 120)
    assert refused <= 120 * 0.1


def test_deadline_that_cannot_be_met_fails_at_once(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """While the API has everybody wait, a call with less time than that is told so without a request."""
    server.play(reply(429, "", retry_after="30"), ranking())
    with pytest.raises(RateLimitError):
        rerank(acme(max_retries=0))
    with ends_within(1), pytest.raises(DeadlineExceededError, match="its turn would come in"):
        rerank(acme(deadline=5.0))
    assert len(server.requests) == 1


def test_quota_of_an_answer_fails_at_once(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """When an answer says that nothing is left, a call with less time than until there is more is told so at once."""
    server.play(ranking(x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="30s"))
    rerank(acme())
    with ends_within(1), pytest.raises(DeadlineExceededError, match="its turn would come in"):
        rerank(acme(deadline=5.0))
    assert len(server.requests) == 1


def test_quota_of_an_answer_is_not_overdrawn(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """When an answer says that nothing is left, a call whose deadline comes before there is more is not sent."""
    server.play(ranking(x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="30s"))
    rerank(acme())
    with ends_within(2), pytest.raises(DeadlineExceededError):
        rerank(acme(deadline=0.3))
    assert len(server.requests) == 1


def test_quota_of_an_answer_is_waited_for(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """When an answer says that nothing is left, the next call is sent when there is more."""
    server.play(ranking(x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="500ms"), ranking())
    rerank(acme())
    assert rerank(acme(deadline=30.0)).elapsed > 0.3
    assert len(server.requests) == 2


def test_other_accounts_are_not_held(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A limit is an account's: another key goes on."""
    server.play(reply(429, "", retry_after="30"), ranking())
    with pytest.raises(RateLimitError):
        rerank(acme(max_retries=0))
    assert len(rerank(acme(api_key="sk-another-1234")).results) == 3


class Limiter:
    """A rate limiter as LangChain's are."""

    def __init__(self, *, lets: bool = True) -> None:
        self.lets, self.asked = lets, 0

    def acquire(self, *, blocking: bool = True) -> bool:
        self.asked += 1
        return self.lets

    async def aacquire(self, *, blocking: bool = True) -> bool:
        self.asked += 1
        if not self.lets:
            await asyncio.Event().wait()
        return True


def test_rate_limiter_is_asked_once_for_each_request(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Retries and parts of a call are requests too."""

    async def score(peer: Peer) -> None:
        await ranking(*[0.5] * len(peer.seen.body["documents"]))(peer)

    server.play(reply(500, "", retry_after_ms="1"), score)
    limiter = Limiter()
    rerank(acme(rate_limiter=limiter, max_retries=1, batch_size=2), documents=["a", "b", "c"])
    assert limiter.asked == len(server.requests) == 3


def test_rate_limiter_and_deadline(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A limiter that does not let go does not outlast the deadline."""
    with pytest.raises(DeadlineExceededError):
        rerank(acme(rate_limiter=Limiter(lets=False), deadline=0.3))
    assert server.requests == []
