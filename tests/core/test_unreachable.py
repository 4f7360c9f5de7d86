"""Servers that cannot be reached: no host, no listener, no TLS, nothing accepted, nothing read."""

import asyncio
import gc
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
import trustme

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
    """A host that does not exist is told with the remedy, whose words stay when a document has them too."""
    reranker = Reranker(Provider(name="acme", url="https://example.invalid/v1"), api_key=KEY, max_retries=0)
    with pytest.raises(RerankConnectionError, match=r"the host is not found: check its name and the network [(]"):
        rerank(reranker, documents=["Check its name and the network, and write down what is not found."])


def test_no_tls_where_it_should_be(server: HostileServer, rerank: Rerank) -> None:
    """A server that does not speak TLS where it was asked to gets neither key nor documents."""
    row = Provider(name="acme", url=server.url.replace("http:", "https:"))
    with pytest.raises(RerankError):
        rerank(Reranker(row, api_key=KEY, max_retries=0, timeout=0.25))
    assert server.requests == []


def answer_in_plain_text(peer: socket.socket) -> None:
    peer.recv(9999)
    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def answer_with_an_unknown_certificate(peer: socket.socket) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with suppress(ssl.SSLError):
        context.wrap_socket(peer, server_side=True)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (answer_in_plain_text, "the server answers without TLS: is its URL http://[?] [(]"),
        (answer_with_an_unknown_certificate, "the server's certificate is not trusted: .* SSL_CERT_FILE [(]"),
    ],
)
def test_no_trusted_tls(rerank: Rerank, answer: Callable[[socket.socket], None], says: str) -> None:
    """The usual faults of TLS are told with what to look at."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as threads:

        def serve() -> None:
            with listener.accept()[0] as peer:
                answer(peer)

        threads.submit(serve)
        row = Provider(name="acme", url=f"https://127.0.0.1:{listener.getsockname()[1]}/v1/rerank")
        with pytest.raises(RerankConnectionError, match=says):
            rerank(Reranker(row, api_key=KEY, max_retries=0))
