"""The circuit breaker and the retry budget, and services that fail and recover, in both ways of calling."""

import asyncio
import math
import threading
import time

import pytest

from hosted_rerank import (
    CircuitOpenError,
    InvalidRequestError,
    Reranker,
    RerankError,
    RerankResponse,
    ServerError,
)
from hosted_rerank.limits.circuit_breaker import BREAKER_SETTINGS, BreakerSettings, CircuitBreaker, RetryBudget
from hosted_rerank.limits.endpoint_state import EndpointRegistry, EndpointState
from hosted_rerank.local.conditions import RateLimit
from tests.bounded import patience
from tests.conftest import DOCUMENTS, QUERY, Acme, Rerank
from tests.hostile import Act, HostileServer, Peer, ranking, reply, silence


def test_circuit_opens_tries_and_closes() -> None:
    """Failures in a row open the circuit; one request tries; its failure doubles the pause, its success ends it."""
    breaker = CircuitBreaker()
    for number in range(BREAKER_SETTINGS.failures):
        assert breaker.open_for(0.0) == 0
        assert breaker.record_failure(0.0, 0.0, "status 500") is (number == BREAKER_SETTINGS.failures - 1)
    assert breaker.open_for(1.0) == pytest.approx(4.0)
    assert breaker.open_for(5.0) == 0
    breaker.start_probe(5.0, 1.0)
    assert breaker.open_for(5.0) == pytest.approx(1.0)
    assert breaker.record_failure(5.5, 0.0, "status 500")  # sent before it opened: nothing new
    assert breaker.record_failure(5.5, 5.0, "status 500")
    assert breaker.open_for(6.0) == pytest.approx(9.5)
    assert breaker.open_for(16.0) == 0
    breaker.start_probe(16.0, 1.0)
    breaker.record_response()
    assert breaker.open_for(16.0) == 0


def test_try_that_is_answered_or_given_up() -> None:
    """A try that finds a wrong request has found the service well; one that finds nothing leaves it to the next."""
    breaker = CircuitBreaker()
    for _ in range(BREAKER_SETTINGS.failures):
        breaker.record_failure(0.0, 0.0, "status 500")
    assert breaker.start_probe(5.0, 30.0)
    assert breaker.open_for(6.0) == pytest.approx(29.0)
    breaker.cancel_probe(6.0)
    assert breaker.open_for(6.0) == 0
    assert breaker.start_probe(6.0, 30.0)
    breaker.record_response()
    assert breaker.open_for(6.0) == 0
    assert not breaker.start_probe(6.0, 30.0)
    assert not breaker.record_failure(7.0, 6.0, "status 500")


def test_retries_are_a_share_of_requests() -> None:
    """An outage takes the reserve, then a fifth of the requests; with time the reserve comes back."""
    budget = RetryBudget()
    tries = [budget.withdraw(0.0) for _ in range(20)]
    assert tries.count(True) == 10
    for _ in range(50):
        budget.deposit()
    assert [budget.withdraw(0.0) for _ in range(20)].count(True) == 10
    assert [budget.withdraw(100.0) for _ in range(20)].count(True) == 10


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


def bucket(rate: float, burst: int) -> Act:
    """An act that takes `rate` requests a second and refuses the others with 429 and `Retry-After`."""
    limit, lock = RateLimit(rate, burst), threading.Lock()

    async def act(peer: Peer) -> None:
        with lock:
            wait = limit.take(time.monotonic())
        await (reply(429, "", retry_after=str(math.ceil(wait))) if wait else ranking(0.1, 0.3, 0.2, after=0.05))(peer)

    return act


def test_storm_of_429(server: HostileServer, acme: Acme, way: str) -> None:
    """Many calls at once at a small limit are all served."""
    server.play(bucket(40, 40))
    came = many(acme(max_retries=2), 120, way)
    assert [type(answer) for answer in came] == [RerankResponse] * 120


def test_circuit(server: HostileServer, acme: Acme, rerank: Rerank, way: str) -> None:
    """An outage opens the circuit, so that calls fail at once and say so, until it is tried again and works."""
    server.play(reply(500, ""))
    reranker = acme(api_key=f"sk-circuit-{way}")
    for _ in range(BREAKER_SETTINGS.failures):
        with pytest.raises(ServerError):
            rerank(reranker)
    with pytest.raises(CircuitOpenError, match="10 requests in a row failed") as caught:
        rerank(reranker)
    assert len(server.requests) == BREAKER_SETTINGS.failures
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 5
    assert caught.value.provider == "acme"


def test_circuit_closes(server: HostileServer, acme: Acme, rerank: Rerank, way: str) -> None:
    """When its pause is over one call tries, and when that works all may."""
    server.play(*[reply(500, "")] * BREAKER_SETTINGS.failures, ranking())
    reranker = acme(api_key=f"sk-closes-{way}")
    for _ in range(BREAKER_SETTINGS.failures):
        with pytest.raises(ServerError):
            rerank(reranker)
    with pytest.raises(CircuitOpenError) as caught:
        rerank(reranker)
    time.sleep((caught.value.retry_after or 0.0) + 0.05)
    for _ in range(3):
        assert len(rerank(reranker).results) == 3


def quick(reranker: Reranker) -> Reranker:
    """A reranker whose circuit breaker lets a probe through after a moment."""
    settings = BreakerSettings(pause_initial=0.1)
    reranker._endpoints = EndpointRegistry(lambda: EndpointState(breaker_settings=settings))
    return reranker


def test_try_that_is_a_wrong_request(server: HostileServer, acme: Acme, rerank: Rerank, way: str) -> None:
    """A service that finds a request wrong is there: the circuit closes."""
    server.play(*[reply(500, "")] * BREAKER_SETTINGS.failures, reply(400, ""), ranking())
    reranker = quick(acme(api_key=f"sk-wrong-{way}", timeout=30.0))
    for _ in range(BREAKER_SETTINGS.failures):
        with pytest.raises(ServerError):
            rerank(reranker)
    time.sleep(0.15)
    with pytest.raises(InvalidRequestError):
        rerank(reranker)
    assert len(rerank(reranker).results) == 3


async def test_try_that_is_cancelled(server: HostileServer, acme: Acme) -> None:
    """When the call that tries is cancelled, the next one may try at once."""
    server.play(*[reply(500, "")] * BREAKER_SETTINGS.failures, silence(), ranking())
    reranker = quick(acme(api_key="sk-cancelled", timeout=30.0))
    async with asyncio.timeout(patience(10.0)):
        for _ in range(BREAKER_SETTINGS.failures):
            with pytest.raises(ServerError):
                await reranker.arerank(QUERY, DOCUMENTS)
        await asyncio.sleep(0.15)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reranker.arerank(QUERY, DOCUMENTS), 0.2)
        assert len((await reranker.arerank(QUERY, DOCUMENTS)).results) == 3


def test_outage_is_not_tripled(server: HostileServer, acme: Acme, way: str) -> None:
    """In an outage the retries are a share of the calls, and then there are none."""
    server.play(reply(500, "", retry_after_ms="1"))
    came = many(acme(max_retries=2, api_key=f"sk-outage-{way}"), 60, way)
    assert not [answer for answer in came if isinstance(answer, RerankResponse)]
    assert len(server.requests) <= 60 + 10 + 60 * 0.2
