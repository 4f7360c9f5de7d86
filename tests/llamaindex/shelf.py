"""A first stage for the pipelines under test."""

from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle, TextNode

from llamaindex_hosted_rerank import HostedRerank

TEXTS = ("swift", "salmon", "dormouse", "heron")


def nodes(*texts: str, **metadata: Any) -> list[NodeWithScore]:
    return [
        NodeWithScore(node=TextNode(text=text, id_=f"id-{place}", metadata=dict(metadata)), score=0.9 - place / 10)
        for place, text in enumerate(texts or TEXTS)
    ]


def scored(*given: BaseNode) -> list[NodeWithScore]:
    return [NodeWithScore(node=node, score=0.5) for node in given]


def texts(found: list[NodeWithScore]) -> list[str]:
    return [node.node.get_content() for node in found]


class Shelf(BaseRetriever):
    """Finds all its nodes, whatever the question."""

    def __init__(self, found: list[NodeWithScore]) -> None:
        self.found = found
        self.asked: list[str] = []
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        self.asked.append("blocking")
        return self.found

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        self.asked.append("awaiting")
        return self.found


def engine_with(
    reranker: HostedRerank, retriever: BaseRetriever | None = None, **settings: Any
) -> RetrieverQueryEngine:
    """A query engine whose language model repeats what it is asked."""
    return RetrieverQueryEngine.from_args(
        retriever or Shelf(nodes()), llm=MockLLM(), node_postprocessors=[reranker], **settings
    )
