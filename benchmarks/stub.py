"""The server that everybody is measured against: as little of a rerank API as all clients take, in a process of its own.

It costs some 30 microseconds an answer, so that what is measured is the client. Scores fall with the index.

    python -m benchmarks.stub --latency 0.1 --rate 50 --burst 50 --max-documents 100 --tls CERTIFICATE
    python -m benchmarks.stub --latency 0.1 --fault reset --first 20
    python -m benchmarks.stub --latency 0.1 --fault 500 --share 0.3
    python -m benchmarks.stub --latency 0.1 --fault 503 --capacity 16
"""

import argparse
import asyncio
import math
import random
import socket
import ssl
import time
import zlib
from collections import Counter
from typing import Any

import orjson

from hosted_rerank.local.conditions import RateLimit

ASKED = Counter[str]()
"""How often each query was asked."""


def text_score(text: str) -> float:
    """Return the score of a text: the same always, another one for almost each text."""
    return zlib.crc32(text.encode()) / 2**32


class Stub(asyncio.Protocol):
    """One connection."""

    connections = 0
    most = 0
    answered = 0
    refused = 0
    faults = 0
    under_way = 0
    most_under_way = 0
    allowed = 0.0
    """Requests that the limit has allowed, as it grew, since the first one."""
    asked = 0.0
    """When it was asked last."""

    def __init__(self, settings: argparse.Namespace, limit: RateLimit | None) -> None:
        self._settings, self._limit, self._came = settings, limit, bytearray()
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        Stub.connections += 1
        Stub.most = max(Stub.most, Stub.connections)

    def connection_lost(self, exc: Exception | None) -> None:
        Stub.connections -= 1

    def data_received(self, data: bytes) -> None:
        self._came += data
        end = self._came.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._came[:end]).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if len(self._came) >= end + 4 + length:
            target, body = head.split(b" ", 2)[1], bytes(self._came[end + 4 : end + 4 + length])
            del self._came[: end + 4 + length]
            self._answer(target, body)

    def _answer(self, target: bytes, content: bytes) -> None:
        if target == b"/counts":
            counts = ("connections", "most", "answered", "refused", "faults", "most_under_way", "allowed")
            self._send(200, {name: getattr(Stub, name) for name in counts})
            for name in ("answered", "refused", "faults", "most_under_way"):
                setattr(Stub, name, 0)
            Stub.most = Stub.connections
            return
        if target.endswith(b"/models"):
            self._send(200, {"object": "list", "data": [{"id": "m", "object": "model"}]})
            return
        now = time.monotonic()
        if self._limit is not None and Stub.asked:
            Stub.allowed += (now - Stub.asked) * self._limit.rate
        Stub.asked = now
        if self._limit is not None and (wait := self._limit.take(now)):
            Stub.refused += 1
            told = "" if self._settings.silent else f"retry-after: {math.ceil(wait)}\r\n"
            self._send(429, {"error": {"message": "too many"}}, told)
            return
        body = orjson.loads(content)
        if self._settings.fault and self._is_faulty(str(body.get("query"))):
            Stub.faults += 1
            self._fail()
            return
        documents = body.get("documents") or body.get("passages") or body.get("texts")
        if self._settings.max_documents and len(documents) > self._settings.max_documents:
            self._send(400, {"error": {"message": f"at most {self._settings.max_documents} documents"}})
            return
        Stub.answered += 1
        Stub.under_way += 1
        Stub.most_under_way = max(Stub.most_under_way, Stub.under_way)
        if self._settings.latency:
            asyncio.get_running_loop().call_later(self._settings.latency, self._rank, target, body, len(documents))
        else:
            self._rank(target, body, len(documents))

    def _is_faulty(self, query: str) -> bool:
        """Whether this request is one of those that meet the fault.

        By chance, it depends on the query and on how often it was asked, so that all clients meet the same faults.
        """
        settings = self._settings
        if settings.capacity is not None:
            return bool(Stub.under_way >= settings.capacity)
        if settings.share is not None:
            ASKED[query] += 1
            return random.Random(f"{query} {ASKED[query]}").random() < settings.share
        return bool(Stub.faults < settings.first)

    def _fail(self) -> None:
        if self._settings.fault == "reset":
            self._transport.abort()
            return
        told = "retry-after: 1\r\n" if self._settings.capacity is not None else ""
        self._send(int(self._settings.fault), {"error": {"message": "it failed"}}, told)

    def _rank(self, target: bytes, body: Any, count: int) -> None:
        Stub.under_way -= 1
        score = "logit" if b"ranking" in target else "relevance_score"
        most = body.get("top_n") or body.get("top_k") or count
        ranked = [{"index": index, score: 1 - index / count} for index in range(min(most, count))]
        if self._settings.by_text:
            ranked = [{"index": index, score: text_score(text)} for index, text in enumerate(body["documents"])]
        name = "rankings" if score == "logit" else "results" if b"cohere" in target or b"jina" in target else "data"
        usage = {"prompt_tokens": 9 * count, "total_tokens": 9 * count}
        self._send(200, {"id": "r-1", "object": "list", "model": "m", name: ranked, "usage": usage})

    def _send(self, status: int, body: Any, more: str = "") -> None:
        if not self._transport.is_closing():
            content = orjson.dumps(body)
            head = (
                f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n{more}\r\n"
            )
            self._transport.write(head.encode() + content)


async def main() -> None:
    """Serve until killed; the port is the first line of the output."""
    parser = argparse.ArgumentParser()
    for name in ("latency", "rate", "burst"):
        parser.add_argument(f"--{name}", type=float, default=None)
    parser.add_argument("--growing", action="store_true")
    parser.add_argument("--by-text", action="store_true", help="a score is text_score of the document")
    parser.add_argument("--silent", action="store_true", help="a refusal has no Retry-After")
    parser.add_argument("--fault", help="a status, or reset")
    parser.add_argument("--first", type=int, default=0, help="the first requests meet the fault")
    parser.add_argument("--share", type=float, help="a share of the requests meets the fault, by chance")
    parser.add_argument("--capacity", type=int, help="requests beyond so many at once meet the fault")
    parser.add_argument("--max-documents", type=int)
    parser.add_argument("--tls")
    parser.add_argument("--round-trip", type=float, default=0.0)
    settings = parser.parse_args()
    limit = RateLimit(settings.rate, settings.burst, growing=settings.growing) if settings.rate else None
    tls = None
    if settings.tls:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(settings.tls)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Stub(settings, limit), "127.0.0.1", 0, backlog=2048, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    if settings.round_trip:
        port = await _far_away(port, settings.round_trip / 2)
    print(port, flush=True)
    await server.serve_forever()


async def _far_away(port: int, delay: float) -> int:
    """Put a server behind a proxy that holds everything back for a while, each way."""

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while data := await source.read(1 << 16):
            loop.call_later(delay, sink.write, data)
        loop.call_later(delay, sink.close)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * delay)  # the handshake's way there and back
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, back), carry(there, writer), return_exceptions=True)

    proxy = await asyncio.start_server(talk, "127.0.0.1", 0)
    return int(proxy.sockets[0].getsockname()[1])


if __name__ == "__main__":
    asyncio.run(main())
