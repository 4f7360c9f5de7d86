"""Servers that do not keep to HTTP, or to anything."""

import asyncio
import gzip
import time
from itertools import cycle, islice

import pytest

from hosted_rerank import DeadlineExceededError, RerankConnectionError, RerankTimeoutError
from tests.bounded import ends_within, within
from tests.conftest import Acme, Rerank
from tests.hostile import Act, HostileServer, Peer, encoded, eventually, http, ranked, ranking, raw, silence

BODY = encoded(ranked(0.1, 0.3, 0.2))
WHOLE = http(200, BODY)


def chunked(*pieces: bytes, size: str = "{:x}") -> bytes:
    """A reply in chunks."""
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%s\r\n%s\r\n" % (size.format(len(piece)).encode(), piece) for piece in pieces)


BROKEN = {
    "reset at once": raw(end="reset"),
    "closed at once": raw(end="hang_up"),
    "closed in the status line": raw(b"HTTP/1.1 20", end="hang_up"),
    "closed in the head": raw(b"HTTP/1.1 200 OK\r\ncontent-le", end="hang_up"),
    "reset in the head": raw(b"HTTP/1.1 200 OK\r\ncontent-le", every=0.05, end="reset"),
    "closed before the body": raw(WHOLE[: -len(BODY)], end="hang_up"),
    "closed in the body": raw(WHOLE[:-7], end="hang_up"),
    "reset in the body": raw(WHOLE[:-7], every=0.05, end="reset"),
    "closed in a chunk": raw(chunked(BODY)[:-9], end="hang_up"),
    "closed before the last chunk": raw(chunked(BODY), end="hang_up"),
    "no HTTP": raw(b"220 mail.example ESMTP ready\r\n", end="hang_up"),
    "no status": raw(b"HTTP/1.1 OK\r\n\r\n", end="hang_up"),
    "status a word": raw(b"HTTP/1.1 two OK\r\ncontent-length: 0\r\n\r\n", end="hang_up"),
    "another protocol": raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", end="hang_up"),
    "zeros": raw(b"\0" * 4096, end="hang_up"),
    "chunk size a word": raw(chunked(BODY, b"", size="many"), end="hang_up"),
    "chunk size negative": raw(chunked(BODY, b"", size="-{:x}"), end="hang_up"),
    "length a word": raw(http(200, BODY, content_length="many"), end="hang_up"),
    "length negative": raw(http(200, BODY, content_length="-5"), end="hang_up"),
    "endless head": raw(b"HTTP/1.1 200 OK\r\n" + b"x-a: 1\r\n" * 40_000, end="hang_up"),
    "endless header": raw(b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 400_000, end="hang_up"),
}


@pytest.mark.parametrize("act", BROKEN.values(), ids=BROKEN.keys())
def test_broken_reply(act: object, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A reply that never became whole is a RerankConnectionError, whatever was wrong; the next call goes well."""
    server.play(act, ranking())
    reranker = acme()
    with pytest.raises(RerankConnectionError) as caught:
        rerank(reranker)
    assert not isinstance(caught.value, RerankTimeoutError)
    assert (caught.value.status, caught.value.provider) == (None, "acme")
    assert len(server.requests) == 1
    assert len(rerank(reranker).results) == 3


@pytest.mark.parametrize("act", ["reset at once", "closed in the body", "no HTTP"])
def test_broken_reply_is_asked_for_again(act: str, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A broken reply is retried, and the second one counts."""
    server.play(BROKEN[act], ranking())
    response = rerank(acme(max_retries=1))
    assert (len(response.results), response.attempts) == (3, 2)
    assert server.requests[0].content == server.requests[1].content


GOOD = {
    "in chunks": chunked(*(BODY[at : at + 5] for at in range(0, len(BODY), 5)), b""),
    "in chunks with extensions and trailers": chunked(BODY).replace(b"\r\n{", b';ext="a"\r\n{')
    + b"0\r\nx-t: 1\r\n\r\n",
    "without a reason": WHOLE.replace(b"200 Any", b"200 "),
    "with headers in odd case": WHOLE.replace(b"content-length", b"cOnTeNt-LENGTH"),
    "with headers twice": http(200, BODY, x_a="1\r\nx-a: 2\r\nx-request-id: r-1\r\nx-request-id: r-2"),
    "with header values not in ASCII": http(200, BODY, x_a="\xfc\xe4", x_b="\x80"),
    "with empty headers": http(200, BODY, x_a=" ", x_b="\t"),
    "as plain text": http(200, BODY, content_type="text/plain; charset=utf-16"),
    "after early hints": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + WHOLE,
    "after a continue": b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE,
    "as 201": WHOLE.replace(b"200 Any", b"201 Made"),
}


@pytest.mark.parametrize("reply", GOOD.values(), ids=GOOD.keys())
def test_odd_but_whole_reply(reply: bytes, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A reply that HTTP allows is read, however odd."""
    server.play(raw(reply))
    assert [result.index for result in rerank(acme()).results] == [1, 2, 0]


@pytest.mark.parametrize("length", [9_000, 30_000])
def test_long_header(length: int, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A gateway's long header, such as a security policy or a cookie, does not cost the answer."""
    server.play(raw(http(200, BODY, content_security_policy="a" * length)))
    assert [result.index for result in rerank(acme()).results] == [1, 2, 0]


def test_switch_of_protocols(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A server that switches to another protocol unasked has not replied."""
    server.play(raw(b"HTTP/1.1 101 Switching\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", end="hang_up"))
    with pytest.raises(RerankConnectionError):
        rerank(acme())


def test_trailers_are_no_headers(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Trailers change neither the request id nor the pace."""
    trailers = b"x-request-id: t-1\r\nx-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 30s\r\n\r\n"
    server.play(raw(chunked(BODY).replace(b"\r\n", b"\r\nx-request-id: r-1\r\n", 1) + b"0\r\n" + trailers))
    reranker = acme(deadline=5.0)
    assert [rerank(reranker).request_ids for _ in range(2)] == [("r-1",)] * 2


def test_reason_not_in_ascii(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """The words beside a status are of no account, in whatever encoding they are."""
    server.play(raw(WHOLE.replace(b"200 Any", b"200 Fa\xe7on")))
    assert [result.index for result in rerank(acme()).results] == [1, 2, 0]


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
def test_reply_that_ends_with_the_connection(version: bytes, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A body without a length ends where the connection does."""
    server.play(raw(version + b" 200 OK\r\n\r\n" + BODY, end="hang_up"))
    assert [result.index for result in rerank(acme()).results] == [1, 2, 0]


EMPTY = [b"\x00\x00\x00\xff\xff"]
"""A block of deflate that holds nothing."""

SLOW = {
    "silence": silence(),
    "silence after the head": raw(WHOLE[: -len(BODY)], end="gone"),
    "silence in the body": raw(WHOLE[:-7], end="gone"),
    "body in drops": raw(WHOLE[: -len(BODY)], *islice(cycle([b" "]), 100), every=0.1, end="gone"),
    "gzip of nothing in drops": raw(
        http(200, content_encoding="gzip", content_length="999999"), *[gzip.compress(b"")[:10], *EMPTY * 100], every=0.1
    ),
    "chunks in drops": raw(chunked(), *[b"1\r\n \r\n"] * 100, every=0.1, end="gone"),
}


@pytest.mark.parametrize("act", SLOW.values(), ids=SLOW.keys())
def test_slow_response(act: object, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """`deadline` ends a call that is not done, however busy the server looks, and closes its connection."""
    server.play(act)
    began = time.monotonic()
    with ends_within(3.0), pytest.raises(DeadlineExceededError) as caught:
        rerank(acme(timeout=30.0, deadline=0.25))
    assert time.monotonic() - began > 0.2
    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.status, len(server.requests)) == (None, 1)
    assert eventually(lambda: server.open == 0)


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(raw(b"HTTP/1.1 200 OK\r\n", *[b"x-a: 1\r\n"] * 40, every=0.1, end="gone"), id="head in drops"),
        pytest.param(raw(*[b"HTTP/1.1 103 Wait\r\n\r\n"] * 40, every=0.1, end="gone"), id="only hints"),
        pytest.param(raw(b"", WHOLE[:-7], every=0.7, end="gone"), id="head at the last moment"),
    ],
)
def test_slow_head(act: object, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """`deadline` holds from connecting to the last byte: the head and the body share it."""
    server.play(act)
    with pytest.raises(DeadlineExceededError):
        within(5.0, lambda: rerank(acme(timeout=30.0, deadline=0.8)))


@pytest.mark.parametrize("act", [SLOW["silence"], SLOW["silence after the head"], SLOW["silence in the body"]])
def test_silence(act: object, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """`timeout` ends an attempt in which no byte comes for so long."""
    server.play(act)
    with pytest.raises(RerankTimeoutError):
        within(5.0, lambda: rerank(acme(timeout=0.25)))
    assert eventually(lambda: server.open == 0)


def endless(start: bytes, more: bytes, every: float = 0.0) -> Act:
    """An act that goes on until the client gives up."""

    async def act(peer: Peer) -> None:
        await peer.send(start)
        while True:
            await peer.send(more)
            await asyncio.sleep(every)

    return act


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nx-a: ", chunked(BODY) + b"0\r\nx-a: "], ids=["head", "trailer"])
def test_reply_that_goes_on_byte_by_byte(start: bytes, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A server that sends one byte after the other does not outlast the deadline."""
    server.play(endless(start, b"a", every=0.01))
    with pytest.raises(DeadlineExceededError):
        within(5.0, lambda: rerank(acme(deadline=0.25)))
    assert eventually(lambda: server.open == 0)


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(endless(chunked(BODY) + b"0\r\n", b"x-a: %s\r\n" % (b"a" * 9_000)), id="trailers"),
        pytest.param(endless(chunked(BODY) + b"1;a=", b"a" * 9_000), id="extension of a chunk"),
    ],
)
def test_endless_reply(act: Act, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """The bytes around a body have a bound as well, and their connection is closed."""
    server.play(act)
    with pytest.raises(RerankConnectionError) as caught:
        within(10.0, lambda: rerank(acme()))
    assert not isinstance(caught.value, RerankTimeoutError)
    assert eventually(lambda: server.open == 0)


def test_timeout_is_for_one_attempt(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """After an attempt that took too long the next one has the whole time again."""
    server.play(silence(), ranking(after=0.3))
    response = rerank(acme(timeout=0.5, max_retries=1))
    assert response.attempts == 2
    assert response.elapsed > 0.75
