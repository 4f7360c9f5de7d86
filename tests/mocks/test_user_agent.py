"""Who asks is said, unless the caller says it; and no call knows the cookies of another."""

import asyncio

import httpx
import pytest

from hosted_rerank import __version__
from tests.conftest import DOCUMENTS, QUERY, Acme, Rerank
from tests.hostile import HostileServer, ranking


@pytest.mark.parametrize("batch_size", [None, 1])
def test_default(server: HostileServer, acme: Acme, rerank: Rerank, batch_size: int | None) -> None:
    """Each request says the package and its version."""
    rerank(acme(batch_size=batch_size))
    for seen in server.requests:
        assert seen.headers["user-agent"].split()[0] == f"hosted-rerank/{__version__}"


@pytest.mark.parametrize("name", ["user-agent", "User-Agent"])
def test_own_header_wins(name: str, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A caller's own header is sent in its place, once."""
    rerank(acme(headers={name: "shop/2.0"}))
    assert server.requests[0].headers["user-agent"] == "shop/2.0"


def test_custom_client_says_its_own(server: HostileServer, acme: Acme, way: str) -> None:
    """A custom client's own user agent stays, because the client is used as it is."""
    mine = {"user-agent": "shop/2.0"}

    async def awaiting() -> None:
        async with httpx.AsyncClient(headers=mine) as client, acme(async_client=client) as reranker:
            await reranker.arerank(QUERY, DOCUMENTS)

    if way == "blocking":
        with httpx.Client(headers=mine) as client:
            acme(client=client).rerank(QUERY, DOCUMENTS)
    else:
        asyncio.run(awaiting())
    assert server.requests[0].headers["user-agent"] == "shop/2.0"


def test_no_cookies(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A cookie that a server sets is in no later request, of this reranker or of another."""
    server.play(ranking(set_cookie="session=abc; Path=/"))
    first, second = acme(), acme()
    for reranker in (first, first, second):
        rerank(reranker)
    rerank(acme(batch_size=1))
    assert len(server.requests) == 6
    assert not [seen for seen in server.requests if "cookie" in seen.headers]
