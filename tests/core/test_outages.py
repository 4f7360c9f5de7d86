"""An outage, short, partial or total: a caller is answered at least as often as by httpx with two retries."""

import asyncio
import random
import time

import httpx
import pytest

from hosted_rerank import (
    DeadlineExceededError,
    RateLimitError,
    Reranker,
    ServerError,
)
from tests.bounded import ends_within
from tests.conftest import DOCUMENTS, Acme, Rerank
from tests.crowd import answered, at_once, by_attempt, names, once
from tests.hostile import Act, HostileServer, Peer, ranking, raw, reply

FAILURES: dict[str, Act] = {"reset": raw(end="reset"), "500": reply(500), "503": reply(503)}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_all_fail_once(server: HostileServer, acme: Acme, way: str, failure: Act) -> None:
    """Calls at once that each fail once are all answered, and so is the next one."""
    server.play(once(failure))
    reranker = acme(max_retries=2)
    assert answered(at_once(reranker, names(20), way)) == 20
    assert answered(at_once(reranker, ["another"], way)) == 1


def test_refusals_of_everybody_end(server: HostileServer, acme: Acme, way: str) -> None:
    """After a service refused everything with 429, and did not say for how long, all are soon answered."""
    begins = time.monotonic()

    async def act(peer: Peer) -> None:
        await (reply(429) if time.monotonic() < begins + 1.5 else ranking())(peer)

    server.play(act)
    with ends_within(15):
        assert answered(at_once(acme(max_retries=2), names(20), way)) == 20


def test_service_that_takes_few_at_once(server: HostileServer, acme: Acme, way: str) -> None:
    """A service that takes 16 requests at once and refuses the others with `Retry-After` answers all in the end."""
    in_flight = 0

    async def act(peer: Peer) -> None:
        nonlocal in_flight
        if in_flight >= 16:
            await reply(503, retry_after="1")(peer)
            return
        in_flight += 1
        await ranking(after=0.05)(peer)
        in_flight -= 1

    server.play(act)
    assert answered(at_once(acme(max_retries=2), names(100), way)) == 100


def at_random(query: str, attempt: int) -> Act:
    """Fails 30 % of the attempts, which ones depends on nothing but the query and the attempt."""
    return reply(500) if random.Random(f"{query}/{attempt}").random() < 0.3 else ranking()


async def httpx_answers(url: str, queries: list[str]) -> int:
    """How many queries plain httpx gets an answer for, with two retries each."""

    async def call(client: httpx.AsyncClient, query: str) -> bool:
        for wait in (0.1, 0.2, 0.0):
            response = await client.post(f"{url}/v1/rerank", json={"query": query, "documents": DOCUMENTS})
            if response.is_success:
                return True
            await asyncio.sleep(wait)
        return False

    async with httpx.AsyncClient(timeout=30.0) as client:
        return sum(await asyncio.gather(*(call(client, query) for query in queries)))


def test_failures_by_chance(server: HostileServer, acme: Acme, way: str) -> None:
    """Where 30 % of all attempts fail, as many calls are answered as by httpx with two retries."""
    queries = names(200)
    server.play(by_attempt(at_random))
    plain = asyncio.run(httpx_answers(server.url, queries))
    server.play(by_attempt(at_random))
    assert answered(at_once(acme(max_retries=2, timeout=30.0), queries, way)) >= plain > 180


def test_batches_that_all_fail_once(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """One call in 30 requests of which each is reset once is answered."""
    seen: set[str] = set()

    async def act(peer: Peer) -> None:
        first = peer.seen.body["documents"][0]
        is_known = first in seen
        seen.add(first)
        await (ranking() if is_known else raw(end="reset"))(peer)

    server.play(act)
    response = rerank(acme(max_retries=2, batch_size=10), documents=[f"document {number}" for number in range(300)])
    assert len(response.results) == 300
    assert len(seen) == 30


def test_deadline_of_another_caller(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Callers who are in too much of a hurry do not keep out one who waits long enough."""
    server.play(ranking(after=0.15))
    for _ in range(10):
        with pytest.raises(DeadlineExceededError):
            rerank(acme(deadline=0.05))
    assert len(rerank(acme(timeout=30.0, fallbacks=[nobody(acme)])).results) == 3


def nobody(acme: Acme) -> Reranker:
    """A fallback that cannot be reached."""
    return acme(row={"name": "nobody", "url": "http://127.0.0.1:9/rerank"})


def test_dead_service_is_known_soon(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A service that answers nobody with 503 fails a call after its retries, and not after a minute."""
    server.play(reply(503))
    with ends_within(5.0), pytest.raises(ServerError):
        rerank(acme(max_retries=2))
    assert len(server.requests) == 3


def test_outage_is_at_most_tripled(server: HostileServer, acme: Acme, way: str) -> None:
    """In an outage each call makes its retries, and no more."""
    server.play(reply(500, retry_after_ms="1"))
    assert answered(at_once(acme(max_retries=2), names(60), way)) == 0
    assert len(server.requests) == 180


def test_refusals_cost_no_retry(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A call with one retry outlasts any number of refusals by a rate limit; without retries the first one ends it."""
    server.play(*[reply(429, retry_after="0.05")] * 4, ranking())
    assert rerank(acme(max_retries=1)).attempts == 5
    server.play(reply(429, retry_after="0.05"))
    with pytest.raises(RateLimitError):
        rerank(acme(max_retries=0))
    assert len(server.requests) == 6


def test_refusals_end_with_the_deadline(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Refusals go on until the deadline, whose end is said at once."""
    server.play(reply(429, retry_after="0.1"))
    with ends_within(3.0), pytest.raises(RateLimitError, match=r"deadline of 1 s"):
        rerank(acme(max_retries=1, deadline=1.0))
    assert len(server.requests) > 3
