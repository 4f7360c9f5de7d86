"""The way to a host: TLS, proxies that the environment names, and a host's addresses in turn."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import trustme

from hosted_rerank import Provider, RequestTooLargeError, RerankConnectionError, Reranker, RerankTimeoutError
from tests.bounded import within
from tests.conftest import DOCUMENTS, KEY, QUERY, Rerank
from tests.hostile import Act, HostileServer, Peer, eventually, raw, reply

HOST = "rerank.example"


@pytest.fixture
def _trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> trustme.CA:
    """An authority that the process trusts for the time of a test."""
    authority, pem = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(pem))
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    return authority


@pytest.fixture
def secure(_trusted: trustme.CA) -> Iterator[HostileServer]:
    """A server that speaks TLS for `rerank.example` and for this machine."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _trusted.issue_cert(HOST, "127.0.0.1").configure_cert(context)
    with HostileServer(context) as server:
        yield server


def asks(url: str, **settings: Any) -> Reranker:
    row = Provider(name="acme", url=f"{url}/v1/rerank?a=1", allow_http=True)
    return Reranker(row, **{"api_key": KEY, "max_retries": 0, "timeout": 5.0, **settings})


def once(reranker: Reranker, way: str, documents: Sequence[str] = DOCUMENTS) -> None:
    """A call, and the end of its connections; awaiting, of its event loop too."""
    with reranker:
        if way == "blocking":
            reranker.rerank(QUERY, documents)
        else:
            asyncio.run(reranker.arerank(QUERY, documents))


def tunnel(target: str) -> Act:
    """A proxy that makes tunnels to one server, for any target."""
    host, port = target.rpartition("//")[2].split(":")

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(1 << 16):
            sink.write(data)
        sink.close()

    async def act(peer: Peer) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        try:
            await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
            async with asyncio.TaskGroup() as group:
                group.create_task(carry(peer.reader, back))
                group.create_task(carry(there, peer.writer))
        except* OSError:
            pass  # one of them has gone
        finally:
            back.transport.abort()

    return act


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[HostileServer]:
    """A proxy, which the environment names with a user and a password."""
    with HostileServer() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url.replace("//", "//us%20er:pass@"))
        yield proxy


def test_tls(secure: HostileServer, rerank: Rerank) -> None:
    """Over TLS connections are kept as well."""
    reranker = asks(secure.url)
    for _ in range(3):
        assert len(rerank(reranker).results) == 3
    assert (len(secure.requests), secure.connections) == (3, 1)


def test_large_request_over_tls(secure: HostileServer, rerank: Rerank) -> None:
    """A body larger than any buffer arrives whole, and the connection is kept."""
    reranker = asks(secure.url)
    for size in (3_000_000, 10):
        documents = ["a" * size, "b" * size]
        rerank(reranker, documents=documents)
        assert secure.requests[-1].body["documents"] == documents
    assert secure.connections == 1


@pytest.mark.parametrize("url", ["127.0.0.1", "localhost"])
def test_certificate_that_is_not_the_hosts(
    url: str, secure: HostileServer, rerank: Rerank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate of another host, or of an unknown authority, gets neither key nor documents."""
    if url == "127.0.0.1":
        monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(RerankConnectionError, match=r"(?i)certificate"):
        rerank(asks(secure.url.replace("127.0.0.1", url)))
    assert secure.requests == []


BASIC = "Basic dXMgZXI6cGFzcw=="


def test_tunnel_through_a_proxy(proxy: HostileServer, secure: HostileServer, rerank: Rerank) -> None:
    """A proxy gets a CONNECT with its password, and sees nothing of the tunnel's content; the tunnel is kept."""
    proxy.play(tunnel(secure.url))
    reranker = asks(f"https://{HOST}")
    for _ in range(2):
        assert len(rerank(reranker).results) == 3
    told = proxy.requests[0]
    assert (told.method, told.target, len(proxy.requests)) == ("CONNECT", f"{HOST}:443", 1)
    assert told.headers == {"host": f"{HOST}:443", "proxy-authorization": BASIC, "accept": "*/*"}
    seen = secure.requests[0]
    assert (seen.target, seen.headers["host"]) == ("/v1/rerank?a=1", HOST)
    assert "proxy-authorization" not in seen.headers


@pytest.mark.parametrize("act", [reply(407, ""), raw(b"220 mail\r\n", end="hang_up"), raw(end="hang_up")])
def test_proxy_that_refuses(act: Act, proxy: HostileServer, rerank: Rerank) -> None:
    """A proxy that makes no tunnel is no reply, and the error says so."""
    proxy.play(act)
    with pytest.raises(RerankConnectionError):
        rerank(asks(f"https://{HOST}"))


def test_silence_in_a_tunnel(proxy: HostileServer, way: str) -> None:
    """A tunnel without an answer to the handshake is given up in time, and its event loop can end."""
    proxy.play(raw(b"HTTP/1.1 200 OK\r\n\r\n", end="gone"))
    with pytest.raises(RerankTimeoutError):
        within(5.0, lambda: once(asks(f"https://{HOST}", timeout=0.25, api_key="sk-silence"), way))
    assert eventually(lambda: proxy.left == 1)


def test_plain_request_through_a_proxy(proxy: HostileServer, rerank: Rerank) -> None:
    """A proxy is told the whole address of a plain request, and who asks."""
    reranker = asks(f"http://{HOST}:8080")
    for _ in range(2):
        assert len(rerank(reranker).results) == 3
    seen = proxy.requests[0]
    assert (seen.target, seen.headers["host"]) == (f"http://{HOST}:8080/v1/rerank?a=1", f"{HOST}:8080")
    assert (seen.headers["proxy-authorization"], proxy.connections) == (BASIC, 1)


def test_proxy_that_is_not_running(rerank: Rerank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a proxy refuses the connection, the error asks for the proxy, not for the server."""
    monkeypatch.setenv("ALL_PROXY", "http://user:word@127.0.0.1:1")
    with pytest.raises(RerankConnectionError, match="is the proxy of ALL_PROXY running"):
        rerank(asks(f"http://{HOST}:8080", max_retries=0))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_asked_without_a_proxy(
    host: str, proxy: HostileServer, server: HostileServer, rerank: Rerank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request to this machine does not leave it by a proxy, whatever the environment says."""
    monkeypatch.setenv("ALL_PROXY", proxy.url)
    assert len(rerank(asks(server.url.replace("127.0.0.1", host))).results) == 3
    assert (len(server.requests), proxy.connections) == (1, 0)


def test_name_that_takes_long(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking up a name is inside the deadline, and nothing waits for its end, not even the end of an event loop."""
    over, real = threading.Event(), socket.getaddrinfo

    def slow(host: Any, *arguments: Any, **more: Any) -> Any:
        if host not in (HOST, HOST.encode()):
            return real(host, *arguments, **more)
        over.wait(8.0)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    try:
        with pytest.raises(RerankTimeoutError):
            within(4.0, lambda: once(asks(f"http://{HOST}", deadline=0.25, api_key="sk-name"), way))
    finally:
        over.set()


@pytest.mark.parametrize("then", ["reads"])
@pytest.mark.parametrize("size", [1_500_000, 20_000_000])
def test_answer_before_the_request_has_come(then: str, size: int, way: str) -> None:
    """A server may refuse a large request by its head: its words count, though the rest could not be sent."""
    with refusing(then) as url, pytest.raises(RequestTooLargeError):
        within(10.0, lambda: once(asks(url, timeout=30.0), way, ["a" * size]))


@contextmanager
def refusing(then: str) -> Iterator[str]:
    """A server that answers 413 as soon as it has read a head, and then reads the rest, hangs up, or does nothing."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                made, _ = listening.accept()
                with made:
                    made.recv(1 << 12)
                    made.sendall(b"HTTP/1.1 413 Too large\r\ncontent-length: 0\r\n\r\n")
                    made.settimeout(1)
                    while then == "reads" and made.recv(1 << 16):
                        pass
                    if then == "holds":
                        over.wait(30)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
    thread.join()
