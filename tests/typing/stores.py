"""The types of what `cache=` takes: mappings, LangChain's stores, and objects that read many keys at once."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from langchain_classic.storage import LocalFileStore
from langchain_core.stores import BaseStore, InMemoryByteStore

from hosted_rerank import Reranker
from langchain_hosted_rerank import HostedRerank
from llamaindex_hosted_rerank import HostedRerank as HostedRerankOfNodes


class Many:
    """A store of many keys, as Django's caches are."""

    def get_many(self, keys: Iterable[str]) -> Mapping[str, float]:
        return dict.fromkeys(keys, 0.5)

    def set_many(self, scores: Mapping[str, float]) -> None: ...


class OnlyReads:
    """No cache: nothing is written."""

    def get_many(self, keys: Iterable[str]) -> Mapping[str, float]:
        return dict.fromkeys(keys, 0.5)


def made(store: BaseStore[str, bytes], folder: Path) -> list[Reranker]:
    return [
        Reranker(cache={}),
        Reranker(cache=dict[str, float]()),
        Reranker(cache=Many()),
        Reranker(cache=store),
        Reranker(cache=InMemoryByteStore()),
        Reranker(cache=LocalFileStore(folder)),
    ]


def of_frameworks(store: BaseStore[str, bytes]) -> tuple[HostedRerank, HostedRerankOfNodes]:
    return HostedRerank(cache=store), HostedRerankOfNodes(cache=Many())


def wrong() -> None:
    Reranker(cache=dict[str, str]())  # type: ignore[arg-type]
    Reranker(cache=OnlyReads())  # type: ignore[arg-type]
