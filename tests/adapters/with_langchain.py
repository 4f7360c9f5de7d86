"""The LangChain adapter, under the names that the tests of both adapters use."""

from collections.abc import Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.load import dumps, loads

import langchain_hosted_rerank as package
from langchain_hosted_rerank import FireworksRerank, HostedRerank, NebiusRerank
from tests.conftest import QUERY

__all__ = ["FireworksRerank", "HostedRerank", "NebiusRerank", "package"]

UNSCORED = None
"""The score of a candidate that nothing scored."""


def candidates(*texts: str, **metadata: Any) -> list[Document]:
    return [Document(text, id=f"id-{place}", metadata={"place": place} | metadata) for place, text in enumerate(texts)]


def rank(reranker: HostedRerank, documents: Sequence[Document], query: str = QUERY, **overrides: Any) -> list[Document]:
    return reranker.compress_documents(documents, query, **overrides)


async def arank(
    reranker: HostedRerank, documents: Sequence[Document], query: str = QUERY, **overrides: Any
) -> list[Document]:
    return await reranker.acompress_documents(documents, query, **overrides)


def text(document: Document) -> str:
    return document.page_content


def score(document: Document) -> Any:
    return document.metadata.get("relevance_score")


def error(document: Document) -> str | None:
    return document.metadata.get("rerank_error")


def passage(document: Document) -> Any:
    return document.metadata.get("rerank_passage")


def metadata(document: Document) -> dict[str, Any]:
    return document.metadata


def identifier(document: Document) -> str | None:
    return document.id


def dump(reranker: HostedRerank) -> str:
    return dumps(reranker)


def load(dumped: str, key: str | None = None, *more: type) -> Any:
    return loads(
        dumped,
        secrets_map={name: key for name in ("FIREWORKS_API_KEY", "NEBIUS_API_KEY") if key},
        valid_namespaces=["langchain_hosted_rerank", "tests"],
        allowed_objects=[HostedRerank, FireworksRerank, NebiusRerank, *more],
    )


def extra(document: Document) -> dict[str, Any] | None:
    return document.metadata.get("rerank_extra")
