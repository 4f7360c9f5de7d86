"""Promise 5: a custom client, of httpx or of httpx2, is used as it is and never closed."""

import asyncio
import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from hosted_rerank import (
    ConfigurationError,
    MalformedResponseError,
    RateLimitError,
    RerankConnectionError,
    RerankError,
    RerankTimeoutError,
)
from hosted_rerank.response import RerankResponse
from tests.conftest import DOCUMENTS, KEY, QUERY, Acme, Rerank
from tests.hostile import HostileServer, encoded, eventually, ranked, ranking, raw, reply, silence


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    """Either library, where it is installed."""
    return pytest.importorskip(str(request.param))


Lend = Callable[..., RerankResponse]


@pytest.fixture
def lend(library: Any, way: str, acme: Acme) -> Lend:
    """Calls a reranker with a client made with these settings, and says whether it was left open."""

    def call(calls: int = 1, client: dict[str, Any] | None = None, **settings: Any) -> RerankResponse:
        if way == "blocking":
            with library.Client(**(client or {})) as custom_client, acme(client=custom_client, **settings) as reranker:
                for _ in range(calls):
                    response = reranker.rerank(QUERY, DOCUMENTS)
                reranker.close()
                assert not custom_client.is_closed
                return response

        async def awaiting() -> RerankResponse:
            async with (
                library.AsyncClient(**(client or {})) as custom_client,
                acme(async_client=custom_client, **settings) as reranker,
            ):
                for _ in range(calls):
                    response = await reranker.arerank(QUERY, DOCUMENTS)
                await reranker.aclose()
                assert not custom_client.is_closed
                return response

        return asyncio.run(awaiting())

    return call


def test_lent_client_is_used(lend: Lend, server: HostileServer) -> None:
    """The custom client carries the calls, with what it was set up with, over connections it keeps."""
    response = lend(3, {"headers": {"x-custom": "yes"}})
    assert [result.index for result in response.results] == [2, 1, 0]
    assert {seen.headers.get("x-custom") for seen in server.requests} == {"yes"}
    assert {seen.headers["authorization"] for seen in server.requests} == {f"Bearer {KEY}"}
    assert (len(server.requests), server.connections) == (3, 1)


def test_closed_client(library: Any, rerank: Rerank, acme: Acme) -> None:
    """A client that was closed is a fault of configuration, which is named before any request."""
    client, async_client = library.Client(), library.AsyncClient()
    client.close()
    asyncio.run(async_client.aclose())
    reranker = acme(client=client, async_client=async_client)
    with pytest.raises(ConfigurationError, match="client= is closed"):
        rerank(reranker)


def test_mock_transport(lend: Lend, library: Any) -> None:
    """A client with a transport that makes up its answers is as good as any."""
    asked = []

    def answer(request: Any) -> Any:
        asked.append(request)
        return library.Response(200, content=encoded(ranked(0.1, 0.3, 0.2)))

    assert [result.index for result in lend(client={"transport": library.MockTransport(answer)}).results] == [1, 2, 0]
    assert len(asked) == 1


@pytest.mark.parametrize(
    "kind", ["ConnectError", "ReadError", "WriteError", "RemoteProtocolError", "ProxyError", "DecodingError"]
)
def test_no_reply(kind: str, lend: Lend, library: Any) -> None:
    """An error of the library without a reply becomes a RerankConnectionError, without that error as its cause."""

    def answer(request: Any) -> Any:
        raise getattr(library, kind)(f"broken, said {KEY}", request=request)

    with pytest.raises(RerankConnectionError) as caught:
        lend(client={"transport": library.MockTransport(answer)})
    assert not isinstance(caught.value, RerankTimeoutError)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("kind", ["ConnectTimeout", "ReadTimeout", "WriteTimeout", "PoolTimeout"])
def test_timeouts(kind: str, lend: Lend, library: Any) -> None:
    """The library's timeouts are ours."""

    def answer(request: Any) -> Any:
        raise getattr(library, kind)("too late", request=request)

    with pytest.raises(RerankTimeoutError):
        lend(client={"transport": library.MockTransport(answer)})


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (raw(end="reset"), RerankConnectionError),
        (raw(end="hang_up"), RerankConnectionError),
        (raw(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{", end="hang_up"), RerankConnectionError),
        (raw(b"220 mail.example ESMTP\r\n", end="hang_up"), RerankConnectionError),
        (silence(), RerankTimeoutError),
        (reply(429, "", retry_after="3600"), RateLimitError),
        (reply(200, "null"), MalformedResponseError),
        (reply(200, b"no gzip", content_encoding="gzip"), RerankError),
    ],
    ids=["reset", "hang up", "cut", "no HTTP", "silence", "429", "null", "no gzip"],
)
def test_hostile_server(act: Any, kind: type[RerankError], lend: Lend, server: HostileServer) -> None:
    """Through a custom client a hostile server comes to the same errors, and frees its connection."""
    server.play(act)
    with pytest.raises(kind):
        lend(timeout=0.3)
    assert eventually(lambda: server.open == 0)


def test_timeout_of_the_reranker_counts(lend: Lend, server: HostileServer) -> None:
    """A custom client's own timeout does not make an attempt longer than `timeout`."""
    server.play(silence())
    with pytest.raises(RerankTimeoutError):
        lend(client={"timeout": None}, timeout=0.25)


def test_redirects_are_not_followed(lend: Lend, server: HostileServer) -> None:
    """Not even if the custom client would."""
    with HostileServer() as other:
        server.play(reply(307, "", location=f"{other.url}/v1/rerank"))
        with pytest.raises(RerankError, match="redirects are not followed"):
            lend(client={"follow_redirects": True})
        assert other.connections == 0


def test_dead_kept_connection_of_a_lent_client(lend: Lend, server: HostileServer) -> None:
    """The quiet retry works for custom clients too."""
    server.play(ranking(), raw(end="hang_up"), ranking())
    assert len(lend(2, max_retries=0).results) == 3
    assert server.connections == 2


@pytest.mark.parametrize("name", ["httpx", "httpx2"])
def test_swapped_clients_are_refused(name: str, acme: Acme) -> None:
    """A client of the other kind is refused when it is passed, not at the first call."""
    library = pytest.importorskip(name)
    with library.Client() as blocking:
        with pytest.raises(TypeError, match="async_client must be"):
            acme(async_client=blocking)
        awaiting = library.AsyncClient()
        with pytest.raises(TypeError, match="client must be"):
            acme(client=awaiting)
        asyncio.run(awaiting.aclose())


@pytest.mark.parametrize("thing", [object(), "client", 5, dict])
def test_what_is_no_client_is_refused(thing: object, acme: Acme) -> None:
    """So is what is no client at all."""
    for parameter in ("client", "async_client"):
        with pytest.raises(TypeError, match=f"^{parameter} must be"):
            acme(**{parameter: thing})


def test_client_of_ones_own_class(library: Any, acme: Acme, server: HostileServer) -> None:
    """A subclass of a client is one."""
    own = type("Own", (library.Client,), {})
    with own() as custom_client:
        assert len(acme(client=custom_client).rerank(QUERY, DOCUMENTS).results) == 3


def test_copies_share_and_pickles_leave(library: Any, acme: Acme, server: HostileServer) -> None:
    """A copy uses the custom client as well; a pickle, which may go anywhere, does without."""
    with library.Client(headers={"x-custom": "yes"}) as custom_client:
        reranker = acme(client=custom_client)
        twins = copy.copy(reranker), copy.deepcopy(reranker)
        for twin in (*twins, pickle.loads(pickle.dumps(reranker))):
            twin.rerank(QUERY, DOCUMENTS)
            twin.close()
    assert [seen.headers.get("x-custom") for seen in server.requests] == ["yes", "yes", None]


def test_lent_client_for_one_way_only(library: Any, acme: Acme, server: HostileServer) -> None:
    """Where a client was given for one way, the other way is refused with what to pass."""
    with library.Client(headers={"x-custom": "yes"}) as custom_client:
        reranker = acme(client=custom_client)
        with pytest.raises(ConfigurationError, match="pass async_client= too"):
            asyncio.run(reranker.arerank(QUERY, DOCUMENTS))
        reranker.rerank(QUERY, DOCUMENTS)
    assert [seen.headers.get("x-custom") for seen in server.requests] == ["yes"]
