"""An outage, short, partial or total: a caller is answered at least as often as by httpx with two retries."""

import asyncio
import errno
import random
import time

import httpx
import pytest

from hosted_rerank import (
    CircuitOpenError,
    DeadlineExceededError,
    InvalidRequestError,
    Provider,
    RateLimitError,
    Reranker,
    RerankError,
    ServerError,
)
from hosted_rerank.limits.circuit_breaker import BreakerSettings
from hosted_rerank.limits.endpoint_state import EndpointRegistry, EndpointState
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.transport.response_reader import ResponseReader
from hosted_rerank.wire import Request, TransportFailure
from tests.bounded import ends_within, patience
from tests.conftest import DOCUMENTS, QUERY, Acme, Rerank
from tests.crowd import answered, at_once, by_attempt, names, once
from tests.hostile import Act, HostileServer, Peer, ranking, raw, reply, silence

FAILURES: dict[str, Act] = {"reset": raw(end="reset"), "500": reply(500), "503": reply(503)}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_all_fail_once(server: HostileServer, acme: Acme, way: str, failure: Act) -> None:
    """Calls at once that each fail once are all answered, and so is the next one."""
    server.play(once(failure))
    reranker = acme(max_retries=2)
    assert answered(at_once(reranker, names(20), way)) == 20
    assert answered(at_once(reranker, ["another"], way)) == 1


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


def alarmed(reranker: Reranker, **settings: float) -> Reranker:
    """A reranker with a circuit breaker of its own, which opens after five failures however short the time."""
    settings_ = BreakerSettings(**{"min_outage": 0.0} | settings)  # type: ignore[arg-type]
    registry = EndpointRegistry(lambda: EndpointState(breaker_settings=settings_))
    for each in (reranker, *reranker._fallbacks):
        each._endpoints = registry
    return reranker


def open_circuit(reranker: Reranker, rerank: Rerank) -> None:
    """Lets a reranker without fallbacks fail until its circuit is open."""
    for _ in range(5):
        with pytest.raises(RerankError):
            rerank(reranker)


def test_input_that_breaks_the_service(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """One input that the API answers with 500 keeps nobody else out, and the next answer closes the circuit."""
    server.play(by_attempt(lambda query, _: reply(500) if query == "bad" else ranking()))
    reranker = alarmed(acme())
    for _ in range(6):
        with pytest.raises(ServerError):
            rerank(reranker, "bad")
    assert rerank(reranker).attempts == 1
    assert len(server.requests) == 7


@pytest.fixture
def spare() -> object:
    """Another server."""
    with HostileServer() as server:
        yield server


def with_spare(acme: Acme, spare: HostileServer, **settings: object) -> Reranker:
    """A reranker whose fallback is another server."""
    return acme(fallbacks=[acme(row={"name": "spare", "url": f"{spare.url}/rerank"})], **settings)


def test_open_circuit_falls_back_at_once(
    server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank
) -> None:
    """With a fallback, an open circuit costs no request; the response says why."""
    server.play(reply(500))
    reranker = alarmed(with_spare(acme, spare))
    for _ in range(5):
        assert rerank(reranker).provider == "spare"
    response = rerank(reranker)
    (error,) = response.fallback_errors
    assert isinstance(error, CircuitOpenError)
    assert "circuit breaker open for acme: requests failed 5 times in a row, the last with status 500" in str(error)
    assert (error.attempts, len(server.requests)) == (0, 5)
    assert 0 < (error.retry_after or 0.0) <= 5


def test_open_circuit_is_asked_when_nobody_answers(
    server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank
) -> None:
    """When the fallback fails too, the reranker behind the open circuit is asked; its answer is no less an answer."""
    server.play(*[reply(500)] * 5, ranking())
    reranker = alarmed(with_spare(acme, spare))
    for _ in range(5):
        rerank(reranker)
    spare.play(reply(402))
    response = rerank(reranker)
    assert response.provider == "acme"
    assert [type(error).__name__ for error in response.fallback_errors] == ["CircuitOpenError", "PaymentRequiredError"]
    assert rerank(reranker).fallback_errors == ()


def test_open_circuit_without_fallback(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """With nobody to fall back to, a request is sent with its retries, and its success is the answer."""
    reranker = alarmed(acme(max_retries=2))
    server.play(reply(500))
    for _ in range(2):
        with pytest.raises(ServerError):
            rerank(reranker)
    server.play(reply(500, retry_after_ms="1"), reply(500, retry_after_ms="1"), ranking())
    assert rerank(reranker).attempts == 3


def test_probe_closes_the_circuit(server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """After the pause one call tries the service, and when that responds all calls do; a 400 is a response."""
    server.play(*[reply(500)] * 5, reply(400), ranking())
    reranker = alarmed(with_spare(acme, spare), pause_initial=0.1)
    for _ in range(5):
        rerank(reranker)
    time.sleep(0.15)
    with pytest.raises(InvalidRequestError):
        rerank(reranker)
    assert rerank(reranker).provider == "acme"


async def test_probe_that_is_cancelled(server: HostileServer, spare: HostileServer, acme: Acme) -> None:
    """When the call that tries is cancelled, the next one may try at once."""
    server.play(*[reply(500)] * 5, silence(), ranking())
    reranker = alarmed(with_spare(acme, spare, timeout=30.0), pause_initial=0.1)
    async with asyncio.timeout(patience(10.0)):
        for _ in range(5):
            await reranker.arerank(QUERY, DOCUMENTS)
        await asyncio.sleep(0.15)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reranker.arerank(QUERY, DOCUMENTS), 0.2)
        assert (await reranker.arerank(QUERY, DOCUMENTS)).provider == "acme"


@pytest.mark.parametrize("status", [429, 503, 529])
def test_throttling_opens_no_circuit(
    server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank, status: int
) -> None:
    """A refusal is the queue's: however many there are, the circuit stays closed."""
    server.play(reply(status))
    reranker = alarmed(with_spare(acme, spare))
    for _ in range(8):
        (error,) = rerank(reranker).fallback_errors
        assert not isinstance(error, CircuitOpenError)


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


@pytest.mark.parametrize(
    "url", ["https://gateway.example/a", "https://gateway.example:8443/b", "http://gateway.example/b"]
)
def test_another_url_is_another_endpoint(url: str) -> None:
    """Path, port and scheme tell endpoints of a host apart, and so do params in the URL, the model and the key."""
    registry = EndpointRegistry()
    row = Provider(name="acme", url="https://gateway.example/b")
    known = registry.find(Endpoint(provider=row), "key-1")
    assert registry.find(Endpoint(provider=row), "key-1") is known
    others = [
        registry.find(Endpoint(provider=Provider(name="acme", url=url)), "key-1"),
        registry.find(Endpoint(provider=row, params={"deployment": "two"}), "key-1"),
        registry.find(Endpoint(provider=row, model="m"), "key-1"),
        registry.find(Endpoint(provider=row, headers={"x-api-key": "account-two"}), "key-1"),
        registry.find(Endpoint(provider=row), "key-2"),
    ]
    assert len({id(state) for state in (known, *others)}) == 6


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_lack_of_descriptors(number: int) -> None:
    """Too many open files are no failure of the service, also where another exception hides them."""
    request = Request("http://127.0.0.1/", {}, b"", 1.0)
    for wrapped in (False, True):
        error: BaseException = OSError(number, "Too many open files")
        if wrapped:
            outer = httpx.ConnectError("all attempts failed")
            outer.__cause__ = error
            error = outer
        outcome = ResponseReader(request).failed(error)
        assert isinstance(outcome, TransportFailure)
        assert (outcome.unsent, outcome.retryable) == (True, True)
    other = ResponseReader(request).failed(ConnectionRefusedError(errno.ECONNREFUSED, "refused"))
    assert isinstance(other, TransportFailure)
    assert not other.unsent
