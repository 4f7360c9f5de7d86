"""`timeout` is for each read, `deadline` is for the whole call: our own connections and a custom client, both ways."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, TypeAlias

import httpx
import pytest

from hosted_rerank import DeadlineExceededError, RerankResponse, RerankTimeoutError
from tests.bounded import ends_within
from tests.conftest import DOCUMENTS, QUERY, Acme
from tests.hostile import HostileServer, encoded, http, ranked, ranking, raw

Ask: TypeAlias = Callable[..., RerankResponse]

HOST = "rerank.example"
BODY = b" " * 10 + encoded(ranked(0.1, 0.3, 0.2))
HEAD = http(200, BODY).removesuffix(BODY)


@pytest.fixture(params=["default", "custom"])
def ask(request: pytest.FixtureRequest, way: str, acme: Acme) -> Iterator[Ask]:
    """Calls a reranker over our connections or a custom client; the clients are closed after the test."""
    with asyncio.Runner() as runner, httpx.Client() as client:
        async_client = httpx.AsyncClient()
        clients = {"client": client, "async_client": async_client} if request.param == "custom" else {}

        def ask(**settings: Any) -> RerankResponse:
            reranker = acme(**clients, **settings)
            if way == "blocking":
                return reranker.rerank(QUERY, DOCUMENTS)
            return runner.run(reranker.arerank(QUERY, DOCUMENTS))

        yield ask
        runner.run(async_client.aclose())


def test_timeout_is_for_each_read(server: HostileServer, ask: Ask) -> None:
    """A reply that drips for a second is read to its end, with a `timeout` of which each read needs a third."""
    server.play(raw(HEAD, *[b" "] * 10, BODY[10:], every=0.1))
    response = ask(timeout=0.3)
    assert [result.index for result in response.results] == [1, 2, 0]
    assert response.elapsed > 0.9


def test_a_copy_with_another_timeout(server: HostileServer, acme: Acme, way: str) -> None:
    """`with_timeout` changes the timeout of the copy and nothing else; a wrong one is refused as by the parameter."""
    server.play(*[raw(HEAD, BODY[:1], BODY[1:], every=0.5)] * 2)
    reranker = acme(max_retries=0, timeout=30.0, instruction_in_query=True, instruction="Find birds.")
    hasty = reranker.with_timeout(0.1)
    for each in (hasty, reranker):
        with pytest.raises(RerankTimeoutError) if each is hasty else nullcontext():
            asyncio.run(each.arerank(QUERY, DOCUMENTS)) if way == "awaiting" else each.rerank(QUERY, DOCUMENTS)
    assert server.requests[0].body == server.requests[1].body
    with pytest.raises(ValueError, match="timeout must be a positive"):
        reranker.with_timeout(0)


def test_deadline_ends_a_reply_that_drips(server: HostileServer, ask: Ask) -> None:
    """A reply that drips does not outlast the deadline, on a new connection or on one that was kept."""
    drip = raw(HEAD, *[b" "] * 200, every=0.1, end="gone")  # each read is in time, and the whole takes 20 s
    server.play(ranking(), drip)
    ask()
    for _ in range(2):
        with ends_within(0.8), pytest.raises(DeadlineExceededError, match=r"0\.3 s"):
            ask(timeout=30.0, deadline=0.3)
    assert len(server.requests) == 3


def test_deadline_ends_the_search_for_a_host(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the resolver does not answer, the call ends at the deadline."""
    over, real = threading.Event(), socket.getaddrinfo

    def silent(host: Any, *arguments: Any, **more: Any) -> Any:
        if host not in (HOST, HOST.encode()):
            return real(host, *arguments, **more)
        over.wait(20.0)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    try:
        with ends_within(1.5), pytest.raises(DeadlineExceededError, match=r"0\.3 s"):
            ask(row={"url": f"http://{HOST}/v1/rerank", "allow_http": True}, timeout=30.0, deadline=0.3)
    finally:
        over.set()
