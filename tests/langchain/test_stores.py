"""LangChain's own stores as a cache."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_classic.storage import LocalFileStore
from langchain_core.documents import Document
from langchain_core.stores import InMemoryByteStore, InMemoryStore

from langchain_hosted_rerank import HostedRerank

DOCUMENTS = [Document("Bread rises."), Document("Python is a programming language.")]


@pytest.mark.parametrize("kind", [InMemoryStore, InMemoryByteStore, LocalFileStore])
async def test_stores(kind: Callable[..., Any], tmp_path: Path) -> None:
    """The second call finds the scores of the first in the store, blocking and awaiting, and ranks by them."""
    store = kind(tmp_path) if kind is LocalFileStore else kind()
    responses: list[Any] = []
    reranker = HostedRerank(provider="local", cache=store, on_response=responses.append)
    first = reranker.compress_documents(DOCUMENTS, "What is Python?")
    again = reranker.compress_documents(DOCUMENTS, "What is Python?")
    awaited = await reranker.acompress_documents(DOCUMENTS, "What is Python?")
    assert [(response.sent, response.cached) for response in responses] == [(2, 0), (0, 2), (0, 2)]
    assert first == again == awaited
    assert all(isinstance(value, bytes) for value in store.mget(list(store.yield_keys())))
