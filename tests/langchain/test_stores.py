"""LangChain's own stores as a cache."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.stores import InMemoryByteStore, InMemoryStore

from langchain_hosted_rerank import HostedRerank

DOCUMENTS = [Document("Bread rises."), Document("Python is a programming language.")]


def local_file_store(folder: Path) -> Any:
    return pytest.importorskip("langchain_classic.storage").LocalFileStore(folder)


@pytest.mark.parametrize(
    "make", [lambda _: InMemoryStore(), lambda _: InMemoryByteStore(), local_file_store], ids=["any", "bytes", "files"]
)
async def test_stores(make: Callable[[Path], Any], tmp_path: Path) -> None:
    """The second call finds the scores of the first in the store, blocking and awaiting, and ranks by them."""
    store = make(tmp_path)
    responses: list[Any] = []
    reranker = HostedRerank(provider="local", cache=store, on_response=responses.append)
    first = reranker.compress_documents(DOCUMENTS, "What is Python?")
    again = reranker.compress_documents(DOCUMENTS, "What is Python?")
    awaited = await reranker.acompress_documents(DOCUMENTS, "What is Python?")
    assert [(response.sent, response.cached) for response in responses] == [(2, 0), (0, 2), (0, 2)]
    assert first == again == awaited
    assert all(isinstance(value, bytes) for value in store.mget(list(store.yield_keys())))
