"""The rate that is learned in storms, with plain values, then with real calls."""

import asyncio
import math
import threading
import time
from typing import Any

import pytest

from hosted_rerank import Reranker, RerankError, RerankResponse
from hosted_rerank.limits.adaptive_rate import AdaptiveRate
from hosted_rerank.limits.rate_controller import Ticket
from hosted_rerank.limits.request_queue import RequestQueue
from tests.conftest import DOCUMENTS, QUERY, Acme
from tests.core.rate_simulation import go
from tests.hostile import Act, HostileServer, Peer, ranking, reply


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


def test_no_more_are_admitted_than_sent(server: HostileServer, acme: Acme, way: str) -> None:
    """However wide the window, requests that wait to be sent open no connections, as a refusal may stop them yet."""
    server.play(ranking(0.1, 0.3, 0.2, after=0.05))
    came = many(acme(deadline=60.0), 400, way)
    assert [type(answer) for answer in came] == [RerankResponse] * 400
    assert len({seen.connection for seen in server.requests}) <= 120


def test_storm_of_429_is_mostly_held_back() -> None:
    """Many calls at once at a small limit meet few refusals where those come back soon; in simulated time."""
    _, refused = simulate(RequestQueue(AdaptiveRate()), Bucket(40, 40), 120)
    assert refused <= 120 * 0.1
