"""Servers that cannot be reached: no host, no listener, no TLS, nothing accepted, nothing read."""

import asyncio
import gc
import socket
from contextlib import ExitStack

import pytest

from hosted_rerank import Provider, RerankConnectionError, Reranker, RerankError, RerankTimeoutError
from tests.bounded import ends_within, within
from tests.conftest import KEY, QUERY, Acme, Rerank
from tests.hostile import HostileServer


def test_nobody_accepts(rerank: Rerank) -> None:
    """A connection that does not come about is given up in time as well."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as busy, ExitStack() as waiting:
        for _ in range(3):
            other = waiting.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(busy.getsockname())
        row = Provider(name="acme", url=f"http://127.0.0.1:{busy.getsockname()[1]}/v1/rerank")
        with ends_within(3.0), pytest.raises(RerankTimeoutError):
            rerank(Reranker(row, api_key=KEY, max_retries=0, timeout=0.25))


def test_upload_that_nobody_reads(acme: Acme) -> None:
    """A request that is too large for the buffers of a server that reads nothing ends in time, and with one word."""
    told: list[str] = []

    async def main(port: int) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
        reranker = acme(row={"url": f"http://127.0.0.1:{port}"}, timeout=0.25)
        with pytest.raises(RerankTimeoutError):
            await reranker.arerank(QUERY, ["a" * 20_000_000])
        await asyncio.sleep(0.05)
        gc.collect()

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        within(10.0, lambda: asyncio.run(main(deaf.getsockname()[1])))
    gc.collect()
    assert told == []


def test_nobody_listens(rerank: Rerank, server: HostileServer) -> None:
    """No connection is a RerankConnectionError too."""
    with HostileServer() as other:
        gone = other.url
    with pytest.raises(RerankConnectionError) as caught:
        rerank(Reranker(Provider(name="acme", url=gone), api_key=KEY, max_retries=0))
    assert not isinstance(caught.value, RerankTimeoutError)


def test_no_such_host(rerank: Rerank) -> None:
    """Nor is there a reply from a host that does not exist."""
    with pytest.raises(RerankConnectionError):
        rerank(Reranker(Provider(name="acme", url="https://example.invalid/v1"), api_key=KEY, max_retries=0))


def test_no_tls_where_it_should_be(server: HostileServer, rerank: Rerank) -> None:
    """A server that does not speak TLS where it was asked to gets neither key nor documents."""
    row = Provider(name="acme", url=server.url.replace("http:", "https:"))
    with pytest.raises(RerankError):
        rerank(Reranker(row, api_key=KEY, max_retries=0, timeout=0.25))
    assert server.requests == []
