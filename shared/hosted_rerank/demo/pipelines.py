"""The second stage, built as users of each framework build it: a retriever, a hosted reranker, and what runs the two.

A base URL is all that points the rerankers at the local server instead of their vendor's.
"""

from collections.abc import Callable
from dataclasses import dataclass

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from llama_index.core.base.base_retriever import BaseRetriever as NodeRetriever
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers.no_text import NoText
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from pydantic import ConfigDict, SecretStr

import langchain_hosted_rerank
import llamaindex_hosted_rerank
from hosted_rerank.demo.search import FaqSearch, Hit

PLACEHOLDER_KEY = SecretStr("no-key-is-needed")
"""Given so that a real key in the environment is left alone."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A framework's search and rerank."""

    name: str
    ask: Callable[[str, int], list[Hit]]
    """The best answers to a question, at most so many, best first."""


class FaqRetriever(BaseRetriever):
    """The first stage as a retriever of LangChain."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    search: FaqSearch

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        del run_manager
        return [Document(found.text, id=found.id) for found in self.search.find(query)]


class FaqNodeRetriever(NodeRetriever):
    """The first stage as a retriever of LlamaIndex."""

    def __init__(self, search: FaqSearch) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType] - takes a bare Dict
        self._search = search

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = self._search.find(query_bundle.query_str)
        return [NodeWithScore(node=TextNode(id_=each.id, text=each.text), score=each.score) for each in found]


def build_langchain(search: FaqSearch, base_url: str) -> Pipeline:
    """LangChain: a retriever that reranks, through the Fireworks API."""
    reranker = langchain_hosted_rerank.FireworksRerank(base_url=base_url, api_key=PLACEHOLDER_KEY)
    retriever = reranker.as_retriever(FaqRetriever(search=search))

    def ask(question: str, top_n: int) -> list[Hit]:
        documents = retriever.invoke(question, top_n=top_n)
        return [Hit(str(d.id), d.page_content, d.metadata["relevance_score"]) for d in documents]

    return Pipeline("LangChain, Fireworks API", ask)


def build_llamaindex(search: FaqSearch, base_url: str) -> Pipeline:
    """LlamaIndex: a query engine with the reranker as its postprocessor, through the Nebius API."""
    reranker = llamaindex_hosted_rerank.NebiusRerank(base_url=base_url, api_key=PLACEHOLDER_KEY)
    nothing = NoText(llm=MockLLM())  # nothing is generated: the ranking is what counts here
    engine = RetrieverQueryEngine(FaqNodeRetriever(search), nothing, node_postprocessors=[reranker])

    def ask(question: str, top_n: int) -> list[Hit]:
        reranker.top_n = top_n
        nodes = engine.query(question).source_nodes
        return [Hit(n.node_id, n.get_content(), n.get_score()) for n in nodes]

    return Pipeline("LlamaIndex, Nebius API", ask)
