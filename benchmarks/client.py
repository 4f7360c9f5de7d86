"""A client that is measured: how it is asked, blocking and awaiting, and with which texts."""

import random
import string
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

KEY = "sk-benchmark"
QUERY = "Which of these was written for a benchmark?"


@dataclass
class Client:
    """One way to rerank."""

    blocking: Callable[[], Any] | None = None
    awaiting: Callable[..., Awaitable[Any]] | None = None
    """Takes the query; without one, `QUERY`."""


def texts(count: int, size: int = 1024) -> list[str]:
    """Return documents of words, of `size` characters, always the same and no two alike."""
    chance = random.Random(count)
    words = ["".join(chance.choices(string.ascii_lowercase, k=chance.randint(2, 9))) for _ in range(2000)]
    return [f"{number} {' '.join(chance.choices(words, k=size // 5))}"[:size] for number in range(count)]


def request_body(documents: Sequence[str], top_n: int | None, query: str = QUERY) -> bytes:
    body = {"model": "m", "query": query, "documents": documents, "return_documents": False}
    return orjson.dumps(body if top_n is None else body | {"top_n": top_n})


_METADATA = {
    "source": "papers/paper.pdf",
    "title": "A paper",
    "author": "A. Writer",
    "creationdate": "2026-01-31T12:00:00+00:00",
    "total_pages": 1000,
    "start_index": 0,
}
"""The metadata of a document from LangChain's PDF loader and splitter; the page is added. Results carry it."""


def through_langchain(reranker: Any, documents: Sequence[str]) -> Client:
    from langchain_core.documents import Document

    pages = [
        Document(
            id=f"paper-{number}",
            page_content=text,
            metadata=_METADATA | {"page": number, "page_label": f"{number + 1}"},
        )
        for number, text in enumerate(documents)
    ]
    return Client(
        lambda: reranker.compress_documents(pages, QUERY),
        lambda query=QUERY: reranker.acompress_documents(pages, query),
    )


def through_llamaindex(reranker: Any, documents: Sequence[str]) -> Client:
    from llama_index.core.schema import NodeWithScore, TextNode

    nodes = [NodeWithScore(node=TextNode(text=text, metadata={"source": "a.txt"}), score=0.5) for text in documents]
    return Client(
        lambda: reranker.postprocess_nodes(nodes, query_str=QUERY),
        lambda query=QUERY: reranker.apostprocess_nodes(nodes, query_str=query),
    )
