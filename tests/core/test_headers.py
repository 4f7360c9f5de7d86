"""Headers of the caller's own: what is refused when a reranker is made, and what a fallback gets of them."""

import asyncio

import httpx
import pytest

from hosted_rerank import Provider, Reranker
from tests.conftest import DOCUMENTS, KEY, QUERY, Acme
from tests.hostile import HostileServer, reply

WRONG = [
    ("Transfer-Encoding", "chunked"),
    ("transfer-encoding", "gzip, chunked"),
    ("Content-Length", "5"),
    ("content-length", "0"),
    ("x-team\r\nx-more", "birds"),
    ("x-team\n", "birds"),
    ("x-team: birds\r\nx-more", "fish"),
    ("x-team", "birds\r\nx-more: fish"),
    ("x-team", "birds\n"),
    ("x-team", "birds\rfish"),
]


class Limiter:
    """Counts who asks it."""

    def __init__(self) -> None:
        self.asked = 0

    def acquire(self, *, blocking: bool = True) -> bool:
        self.asked += 1
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        return self.acquire(blocking=blocking)


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_header_that_cannot_be_sent(name: str, value: str, acme: Acme) -> None:
    """A header that would frame the body anew, or with a line break, is refused by its name, without its value."""
    with pytest.raises(ValueError, match=r"^headers: ") as caught:
        acme(headers={"x-other": "birds", name: value})
    assert repr(name[:12])[1:-1] in str(caught.value)
    assert value not in str(caught.value).replace(repr(name), "")


def test_what_a_fallback_gets(way: str, server: HostileServer) -> None:
    """A fallback gets the custom client, the limiter and the harmless headers, and none that may be a secret."""
    server.play(reply(503, ""))
    secret = {"Authorization": "Bearer of-the-first", "X-Api-Key": "sk-of-the-first", "x-auth-token": "of-the-first"}
    limiter = Limiter()
    with HostileServer() as spare:

        def make(**client: object) -> Reranker:
            return Reranker(
                "cohere",
                base_url=server.url,
                api_key=KEY,
                max_retries=0,
                rate_limiter=limiter,
                headers={"X-Title": "birds", "X-Team": "of-the-first", **secret},
                fallbacks=[Provider(name="spare", url=f"{spare.url}/v1/rerank")],
                **client,
            )

        async def awaiting() -> str:
            async with httpx.AsyncClient(headers={"x-custom": "yes"}) as client:
                return (await make(async_client=client).arerank(QUERY, DOCUMENTS)).provider

        if way == "awaiting":
            assert asyncio.run(awaiting()) == "spare"
        else:
            with httpx.Client(headers={"x-custom": "yes"}) as client:
                assert make(client=client).rerank(QUERY, DOCUMENTS).provider == "spare"
        (first,), (second,) = server.requests, spare.requests
    assert {name.lower(): value for name, value in secret.items()}.items() <= first.headers.items()
    for seen in (first, second):
        assert (seen.headers["x-title"], seen.headers["x-custom"]) == ("birds", "yes")
    assert "of-the-first" not in str(second)
    assert KEY not in str(second)
    assert limiter.asked == 2
