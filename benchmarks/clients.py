"""Who is measured: each as its users call it, blocking and awaiting, with a client that is kept.

`floor` is a bare socket or `asyncio.Protocol` with orjson; `httpx` and `aiohttp` are what one would write by hand.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from benchmarks.client import KEY, QUERY, Client, request_body, through_langchain, through_llamaindex
from benchmarks.peers import PEERS


def make(name: str, url: str, documents: Sequence[str], top_n: int | None, **settings: Any) -> Client:
    """Return a client of a name, which sends `documents` to the stub at `url`."""
    return CLIENTS[name](url, documents, top_n, **settings)


def _floor(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 0
    kept: list[socket.socket] = []
    free: list[_Exchange] = []

    def message(query: str = QUERY) -> bytes:
        body = request_body(documents, top_n, query)
        head = f"POST /v1/rerank HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
        return head.encode() + body

    def blocking() -> Any:
        if not kept:
            kept.append(socket.create_connection((host, port)))
            kept[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kept[0].sendall(message())
        came = b""
        while True:
            came += kept[0].recv(1 << 20)
            if (body := _whole(came)) is not None:
                return orjson.loads(body)["data"]

    async def awaiting(query: str = QUERY) -> Any:
        loop = asyncio.get_running_loop()
        exchange = free.pop() if free else (await loop.create_connection(_Exchange, host, port))[1]
        body = await exchange.ask(message(query))
        free.append(exchange)
        return orjson.loads(body)["data"]

    return Client(blocking, awaiting)


class _Exchange(asyncio.Protocol):
    """One connection of the floor."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def ask(self, message: bytes) -> "asyncio.Future[bytes]":
        self._came, self._answer = b"", asyncio.get_running_loop().create_future()
        self._transport.write(message)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._came += data
        if (body := _whole(self._came)) is not None:
            self._answer.set_result(body)


def _whole(came: bytes) -> bytes | None:
    end = came.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = int(came[:end].partition(b"content-length: ")[2].split(b"\r\n")[0])
    return came[end + 4 :] if len(came) >= end + 4 + length else None


def _httpx(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    import httpx

    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    client, aclient = httpx.Client(), httpx.AsyncClient()

    def blocking() -> Any:
        response = client.post(f"{url}/v1/rerank", content=request_body(documents, top_n), headers=headers)
        return orjson.loads(response.raise_for_status().content)["data"]

    async def awaiting(query: str = QUERY) -> Any:
        response = await aclient.post(
            f"{url}/v1/rerank", content=request_body(documents, top_n, query), headers=headers
        )
        return orjson.loads(response.raise_for_status().content)["data"]

    return Client(blocking, awaiting)


def _httpx_retrying(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    """Return httpx as one would write it by hand: two retries, after what `Retry-After` says, else 0.5 s and 1 s."""
    import httpx

    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    aclient = httpx.AsyncClient(timeout=30)

    async def awaiting(query: str = QUERY) -> Any:
        for pause in (0.5, 1.0, None):
            try:
                body = request_body(documents, top_n, query)
                response = await aclient.post(f"{url}/v1/rerank", content=body, headers=headers)
                told = response.headers.get("retry-after")
                if response.status_code != 429 and response.status_code < 500:
                    break
            except httpx.TransportError:
                told = None
                if pause is None:
                    raise
            if pause is not None:
                await asyncio.sleep(float(told) if told else pause)
        return orjson.loads(response.raise_for_status().content)["data"]

    return Client(None, awaiting)


def _aiohttp(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    import aiohttp

    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    kept: list[aiohttp.ClientSession] = []

    async def awaiting(query: str = QUERY) -> Any:
        if not kept:
            kept.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2000)))
        async with kept[0].post(
            f"{url}/v1/rerank", data=request_body(documents, top_n, query), headers=headers
        ) as response:
            response.raise_for_status()
            return orjson.loads(await response.read())["data"]

    return Client(None, awaiting)


def _core(url: str, documents: Sequence[str], top_n: int | None, **settings: Any) -> Client:
    from hosted_rerank import Reranker

    reranker = Reranker("fireworks", "m", api_key=KEY, base_url=url, **settings)
    return Client(
        lambda: reranker.rerank(QUERY, documents, top_n=top_n).results,
        lambda query=QUERY: reranker.arerank(query, documents, top_n=top_n),
    )


def _ours_langchain(url: str, documents: Sequence[str], top_n: int | None, **settings: Any) -> Client:
    from langchain_hosted_rerank import HostedRerank

    return through_langchain(HostedRerank(model="m", api_key=KEY, base_url=url, top_n=top_n, **settings), documents)


def _ours_on_aiohttp(url: str, documents: Sequence[str], top_n: int | None, **settings: Any) -> Client:
    import httpx
    from httpx_aiohttp import HttpxAiohttpClient

    client = HttpxAiohttpClient(limits=httpx.Limits(max_connections=2000))
    return _ours_langchain(url, documents, top_n, client=httpx.Client(), async_client=client, **settings)


def _ours_llamaindex(url: str, documents: Sequence[str], top_n: int | None, **settings: Any) -> Client:
    from llamaindex_hosted_rerank import HostedRerank

    return through_llamaindex(HostedRerank(model="m", api_key=KEY, base_url=url, top_n=top_n, **settings), documents)


CLIENTS: dict[str, Callable[..., Client]] = {
    "floor": _floor,
    "httpx": _httpx,
    "httpx, two retries": _httpx_retrying,
    "aiohttp": _aiohttp,
    "core": _core,
    "langchain": _ours_langchain,
    "langchain on httpx-aiohttp": _ours_on_aiohttp,
    "llamaindex": _ours_llamaindex,
    **PEERS,
}
OURS = ("core", "langchain", "langchain on httpx-aiohttp", "llamaindex")
