"""Replies that are whole as HTTP and wrong as an answer, over real sockets."""

import gzip
import json
import tracemalloc
import zlib
from typing import Any

import pytest

from hosted_rerank import (
    AuthenticationError,
    InvalidRequestError,
    MalformedResponseError,
    RateLimitError,
    RerankError,
    ServerError,
)
from tests.conftest import Acme, Rerank
from tests.hostile import HostileServer, encoded, eventually, http, ranked, ranking, raw, reply
from tests.malformed import MALFORMED

GOOD = encoded(ranked(0.1, 0.3, 0.2))
PACKED = gzip.compress(GOOD, mtime=0)


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_success(body: Any, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A success that is no ranking is a MalformedResponseError, asked for once; the connection goes on."""
    server.play(reply(200, body, x_request_id="r-1"), ranking())
    reranker = acme(max_retries=2)
    with pytest.raises(MalformedResponseError) as caught:
        rerank(reranker)
    assert (caught.value.status, caught.value.request_id) == (200, "r-1")
    assert len(server.requests) == 1
    assert len(rerank(reranker).results) == 3
    assert server.connections == 1


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (502, "<html><body><h1>502 Bad Gateway</h1></body></html>", ServerError),
        (401, "", AuthenticationError),
        (429, "null", RateLimitError),
        (500, "[" * 20_000, ServerError),
        (422, b"\xff\xfe\x00", InvalidRequestError),
        (400, ranked(0.1, 0.2, 0.3), InvalidRequestError),
    ],
)
def test_status_comes_before_the_body(
    status: int, body: Any, kind: type[RerankError], server: HostileServer, acme: Acme, rerank: Rerank
) -> None:
    """Whatever the body of a failure is, even a ranking, its status is the error."""
    server.play(reply(status, body))
    with pytest.raises(RerankError) as caught:
        rerank(acme())
    assert (type(caught.value), caught.value.status) == (kind, status)


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(reply(401, b"\x0b\x02\x80", content_encoding="br"), id="encoding not asked for"),
        pytest.param(reply(401, "no gzip", content_encoding="gzip"), id="encoding a lie"),
        pytest.param(reply(401, b"x" * 5000), id="too long"),
        pytest.param(raw(http(401, "half", content_length="99"), end="hang_up"), id="cut short"),
    ],
)
def test_status_comes_before_a_body_that_cannot_be_read(
    act: Any, server: HostileServer, acme: Acme, rerank: Rerank
) -> None:
    """A 401 is a 401, also where its body is broken: nothing may take it for an outage and cover it."""
    server.play(act)
    with pytest.raises(RerankError) as caught:
        rerank(acme(row={"max_response_bytes": 1000}))
    assert (type(caught.value), caught.value.status) == (AuthenticationError, 401)


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("", GOOD),
        ("identity", GOOD),
        ("gzip", PACKED),
        ("GZIP", PACKED),
        ("deflate", zlib.compress(GOOD)),
    ],
    ids=["none", "identity", "gzip", "GZIP", "deflate"],
)
def test_compressed_answer(encoding: str, content: bytes, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """An answer may come compressed in the ways that were asked for."""
    server.play(reply(200, content, content_encoding=encoding))
    assert [result.index for result in rerank(acme()).results] == [1, 2, 0]
    accepted = server.requests[0].headers["accept-encoding"]
    assert {coding.strip() for coding in accepted.split(",")} == {"gzip", "deflate"}


def in_chunks(encoding: str, *pieces: bytes) -> bytes:
    """A whole reply whose body comes in these pieces."""
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))


BARE = zlib.compress(GOOD)[2:-4]
"""Deflate without zlib's frame, as some servers send it."""


@pytest.mark.parametrize("cuts", [(0,), (2,)], ids=str)
def test_bare_deflate_in_pieces(cuts: tuple[int, ...], server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Which kind of deflate it is does not depend on how its bytes come."""
    places = [*cuts, len(BARE)]
    pieces = [BARE[start:end] for start, end in zip([0, *places], places, strict=False) if end > start]
    server.play(raw(in_chunks("deflate", *pieces)))
    assert [result.index for result in rerank(acme()).results] == [1, 2, 0]


def test_one_byte_of_deflate_is_not_whole(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A body that ends with the byte that does not tell its kind has ended too early."""
    server.play(raw(in_chunks("deflate", BARE[:1])))
    with pytest.raises(RerankError, match="not JSON"):
        rerank(acme())


def test_bytes_after_the_end_of_gzip(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Bytes after a compressed body are ignored."""
    server.play(raw(in_chunks("gzip", PACKED, *[b"\0" * 1000] * 10)))
    assert [result.index for result in rerank(acme()).results] == [1, 2, 0]


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "x-gzip", "gzip, gzip", "gzip, br", "made-up"])
def test_encoding_not_asked_for(encoding: str, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """An encoding that was not asked for is refused, and not asked for again."""
    server.play(reply(200, PACKED, content_encoding=encoding))
    with pytest.raises(RerankError, match="encoding"):
        rerank(acme(max_retries=2))
    assert len(server.requests) == 1


@pytest.mark.parametrize("content", [b"", b"no gzip at all", PACKED[:-20], PACKED[:12]], ids=len)
def test_encoding_that_is_a_lie(content: bytes, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A body that is not what its header says is an error of the family."""
    server.play(reply(200, content, content_encoding="gzip"))
    with pytest.raises(RerankError):
        rerank(acme())


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize("over", [False, True])
def test_body_is_read_up_to_a_bound(
    encoding: str, *, over: bool, server: HostileServer, acme: Acme, rerank: Rerank
) -> None:
    """A body as long as the bound is read; one byte more, counted decompressed, is refused and not asked for again."""
    body = GOOD + b" " * (50_000 - len(GOOD))
    server.play(reply(200, gzip.compress(body) if encoding else body, content_encoding=encoding))
    reranker = acme(row={"max_response_bytes": len(body) - over}, max_retries=2)
    if over:
        with pytest.raises(RerankError, match="longer"):
            rerank(reranker)
    else:
        assert len(rerank(reranker).results) == 3
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [204, 205])
def test_success_without_a_body(status: int, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A success that has no body by its status has no ranking either."""
    server.play(raw(f"HTTP/1.1 {status} Nothing\r\ncontent-length: 0\r\n\r\n".encode()))
    with pytest.raises(MalformedResponseError):
        rerank(acme())


def test_body_is_refused_while_it_is_read(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A body without end is not waited for: past the bound the connection is closed."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n"
    server.play(raw(head, b"[" * 100_000, end="gone"))
    with pytest.raises(RerankError, match="longer"):
        rerank(acme(row={"max_response_bytes": 50_000}, timeout=30.0))
    assert eventually(lambda: server.left == 1)


def test_gzip_bomb(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A gigabyte packed into a megabyte is refused long before it is unpacked."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    megabyte = packer.compress(b" " * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    server.play(reply(200, head + megabyte * 1024, content_encoding="gzip"))
    reranker = acme(row={"max_response_bytes": 1 << 20}, timeout=30.0)
    tracemalloc.start()
    try:
        with pytest.raises(RerankError, match="longer"):
            rerank(reranker)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 300 << 20


def test_long_request_and_long_answer(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Megabytes of documents, and their echo, are no trouble."""
    documents = [f"document {place} " + "word " * 200 for place in range(2000)]
    results = [{"index": place, "relevance_score": place, "document": text} for place, text in enumerate(documents)]
    server.play(reply(200, json.dumps({"results": results})))
    response = rerank(acme(timeout=30.0), documents=documents, top_n=3)
    assert [result.index for result in response.results] == [1999, 1998, 1997]
