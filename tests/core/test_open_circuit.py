"""The circuit breaker over real sockets: it opens, is tried and closes, and never costs an answer."""

import asyncio
import errno
import time

import httpx
import pytest

from hosted_rerank import (
    CircuitOpenError,
    InvalidRequestError,
    Provider,
    Reranker,
    ServerError,
)
from hosted_rerank.limits.endpoint_state import EndpointRegistry
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.transport.response_reader import ResponseReader
from hosted_rerank.wire import Request, TransportFailure
from tests.bounded import patience
from tests.conftest import DOCUMENTS, QUERY, Acme, Rerank
from tests.crowd import alarmed, by_attempt
from tests.hostile import HostileServer, ranking, reply, silence


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
        assert (outcome.no_descriptors, outcome.retryable) == (True, True)
    other = ResponseReader(request).failed(ConnectionRefusedError(errno.ECONNREFUSED, "refused"))
    assert isinstance(other, TransportFailure)
    assert not other.no_descriptors
