"""Who is measured: each as its users call it, blocking and awaiting, with a client that is kept.

`floor` is a bare socket or `asyncio.Protocol` with orjson; `httpx` and `aiohttp` are what one would write by hand.
"""

import asyncio
import random
import socket
import string
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

KEY = "sk-benchmark"
QUERY = "Which of these was written for a benchmark?"


@dataclass
class Client:
    """One way to rerank."""

    blocking: Callable[[], Any] | None = None
    awaiting: Callable[[], Awaitable[Any]] | None = None


def texts(count: int, size: int = 1024) -> list[str]:
    """Return documents of words, of `size` characters, always the same and no two alike."""
    chance = random.Random(count)
    words = ["".join(chance.choices(string.ascii_lowercase, k=chance.randint(2, 9))) for _ in range(2000)]
    return [f"{number} {' '.join(chance.choices(words, k=size // 5))}"[:size] for number in range(count)]


def make(name: str, url: str, documents: Sequence[str], top_n: int | None, **settings: Any) -> Client:
    """Return a client of a name, which sends `documents` to the stub at `url`."""
    return CLIENTS[name](url, documents, top_n, **settings)


def _body(documents: Sequence[str], top_n: int | None) -> bytes:
    body = {"model": "m", "query": QUERY, "documents": documents, "return_documents": False}
    return orjson.dumps(body if top_n is None else body | {"top_n": top_n})


def _floor(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 0
    kept: list[socket.socket] = []
    free: list[_Exchange] = []

    def message() -> bytes:
        body = _body(documents, top_n)
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

    async def awaiting() -> Any:
        loop = asyncio.get_running_loop()
        exchange = free.pop() if free else (await loop.create_connection(_Exchange, host, port))[1]
        body = await exchange.ask(message())
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
        response = client.post(f"{url}/v1/rerank", content=_body(documents, top_n), headers=headers)
        return orjson.loads(response.raise_for_status().content)["data"]

    async def awaiting() -> Any:
        response = await aclient.post(f"{url}/v1/rerank", content=_body(documents, top_n), headers=headers)
        return orjson.loads(response.raise_for_status().content)["data"]

    return Client(blocking, awaiting)


def _aiohttp(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    import aiohttp

    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    kept: list[aiohttp.ClientSession] = []

    async def awaiting() -> Any:
        if not kept:
            kept.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2000)))
        async with kept[0].post(f"{url}/v1/rerank", data=_body(documents, top_n), headers=headers) as response:
            response.raise_for_status()
            return orjson.loads(await response.read())["data"]

    return Client(None, awaiting)


def _core(url: str, documents: Sequence[str], top_n: int | None, **settings: Any) -> Client:
    from hosted_rerank import Reranker

    reranker = Reranker("fireworks", "m", api_key=KEY, base_url=url, **settings)
    return Client(
        lambda: reranker.rerank(QUERY, documents, top_n=top_n).results,
        lambda: reranker.arerank(QUERY, documents, top_n=top_n),
    )


_METADATA = {
    "source": "papers/paper.pdf",
    "title": "A paper",
    "author": "A. Writer",
    "creationdate": "2026-01-31T12:00:00+00:00",
    "total_pages": 1000,
    "start_index": 0,
}
"""What a PDF loader and a splitter of LangChain's leave on a document, with its page; what is returned carries it."""


def _langchain(reranker: Any, documents: Sequence[str]) -> Client:
    from langchain_core.documents import Document

    pages = [
        Document(
            id=f"paper-{number}",
            page_content=text,
            metadata=_METADATA | {"page": number, "page_label": f"{number + 1}"},
        )
        for number, text in enumerate(documents)
    ]
    return Client(lambda: reranker.compress_documents(pages, QUERY), lambda: reranker.acompress_documents(pages, QUERY))


def _llamaindex(reranker: Any, documents: Sequence[str]) -> Client:
    from llama_index.core.schema import NodeWithScore, TextNode

    nodes = [NodeWithScore(node=TextNode(text=text, metadata={"source": "a.txt"}), score=0.5) for text in documents]
    return Client(
        lambda: reranker.postprocess_nodes(nodes, query_str=QUERY),
        lambda: reranker.apostprocess_nodes(nodes, query_str=QUERY),
    )


def _ours_langchain(url: str, documents: Sequence[str], top_n: int | None, **settings: Any) -> Client:
    from langchain_hosted_rerank import HostedRerank

    return _langchain(HostedRerank(model="m", api_key=KEY, base_url=url, top_n=top_n, **settings), documents)


def _ours_on_aiohttp(url: str, documents: Sequence[str], top_n: int | None, **settings: Any) -> Client:
    import httpx
    from httpx_aiohttp import HttpxAiohttpClient

    client = HttpxAiohttpClient(limits=httpx.Limits(max_connections=2000))
    return _ours_langchain(url, documents, top_n, client=httpx.Client(), async_client=client, **settings)


def _ours_llamaindex(url: str, documents: Sequence[str], top_n: int | None, **settings: Any) -> Client:
    from llamaindex_hosted_rerank import HostedRerank

    return _llamaindex(HostedRerank(model="m", api_key=KEY, base_url=url, top_n=top_n, **settings), documents)


def _langchain_fireworks(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    from langchain_fireworks import FireworksRerank

    return _langchain(
        FireworksRerank(model="m", fireworks_api_key=KEY, base_url=f"{url}/inference/v1", top_n=top_n), documents
    )


def _langchain_cohere(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    from langchain_cohere import CohereRerank

    reranker = CohereRerank(cohere_api_key=KEY, base_url=f"{url}/cohere", model="rerank-v3.5", top_n=top_n)
    return _langchain(reranker, documents)


def _langchain_voyageai(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    from langchain_voyageai import VoyageAIRerank

    reranker = VoyageAIRerank(voyage_api_key=KEY, model="rerank-2.5", top_k=top_n, base_url=f"{url}/voyage/v1")
    return _langchain(reranker, documents)


def _langchain_nvidia(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    from langchain_nvidia_ai_endpoints import NVIDIARerank

    reranker = NVIDIARerank(base_url=f"{url}/nim/v1", model="m", api_key="nvapi-k", top_n=top_n, max_batch_size=100)
    return _langchain(reranker, documents)


def _langchain_jina(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    import requests
    from langchain_community.document_compressors import JinaRerank

    class Here(requests.adapters.HTTPAdapter):
        def send(self, request: Any, **options: Any) -> Any:
            request.url = request.url.replace("https://api.jina.ai", f"{url}/jina")
            return super().send(request, **options)

    reranker = JinaRerank(jina_api_key=KEY, top_n=top_n)
    reranker.session = requests.Session()
    reranker.session.mount("https://api.jina.ai", Here())
    return _langchain(reranker, documents)


def _llamaindex_cohere(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    from llama_index.postprocessor.cohere_rerank import CohereRerank

    return _llamaindex(CohereRerank(api_key=KEY, base_url=f"{url}/cohere", top_n=top_n or len(documents)), documents)


def _llamaindex_jina(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    from llama_index.postprocessor.jinaai_rerank import JinaRerank

    return _llamaindex(JinaRerank(api_key=KEY, base_url=f"{url}/jina/v1", top_n=top_n or len(documents)), documents)


def _litellm(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    import litellm

    settings: dict[str, Any] = {"model": "cohere/m", "query": QUERY, "documents": list(documents), "top_n": top_n}
    settings |= {"api_key": KEY, "api_base": f"{url}/cohere/v2/rerank"}
    return Client(lambda: litellm.rerank(**settings), lambda: litellm.arerank(**settings))


CLIENTS: dict[str, Callable[..., Client]] = {
    "floor": _floor,
    "httpx": _httpx,
    "aiohttp": _aiohttp,
    "core": _core,
    "langchain": _ours_langchain,
    "langchain on httpx-aiohttp": _ours_on_aiohttp,
    "llamaindex": _ours_llamaindex,
    "langchain-fireworks": _langchain_fireworks,
    "langchain-cohere": _langchain_cohere,
    "langchain-voyageai": _langchain_voyageai,
    "langchain-nvidia": _langchain_nvidia,
    "langchain-jina": _langchain_jina,
    "llama-index-cohere": _llamaindex_cohere,
    "llama-index-jinaai": _llamaindex_jina,
    "litellm": _litellm,
}
OURS = ("core", "langchain", "langchain on httpx-aiohttp", "llamaindex")
ON_AIOHTTP = ("langchain-nvidia", "langchain-voyageai", "litellm")
"""Peers whose awaiting calls go over aiohttp."""
