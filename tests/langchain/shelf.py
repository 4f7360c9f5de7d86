"""A first stage for the pipelines under test."""

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import PrivateAttr

TEXTS = ("swift", "salmon", "dormouse", "heron")


def documents(*texts: str, **metadata: Any) -> list[Document]:
    return [
        Document(text, id=f"id-{place}", metadata={"place": place} | metadata)
        for place, text in enumerate(texts or TEXTS)
    ]


def texts(found: list[Document]) -> list[str]:
    return [document.page_content for document in found]


class Shelf(BaseRetriever):
    """Finds all its documents, whatever the question."""

    documents: list[Document]
    _asked: list[str] = PrivateAttr(default_factory=list)

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        self._asked.append("blocking")
        return self.documents

    async def _aget_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        self._asked.append("awaiting")
        return self.documents
