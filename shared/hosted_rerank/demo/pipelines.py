"""The second stage, built as users of each framework build it: a retriever and a hosted reranker in a pipeline.

Only the base URL makes the rerankers use the local server instead of their vendor's.
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
"""A key for the local server, so that a real key in the environment is not sent."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Search and rerank in one framework."""

    name: str
    ask: Callable[[str, int], list[Hit]]
    """Returns the best answers to a question, at most `top_n`, best first."""


class FaqRetriever(BaseRetriever):
    """The first stage as a LangChain retriever."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    search: FaqSearch

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        del run_manager
        return [Document(found.text, id=found.id) for found in self.search.find(query)]


class FaqNodeRetriever(NodeRetriever):
    """The first stage as a LlamaIndex retriever."""

    def __init__(self, search: FaqSearch) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType] - takes a bare Dict
        self._search = search

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = self._search.find(query_bundle.query_str)
        return [NodeWithScore(node=TextNode(id_=each.id, text=each.text), score=each.score) for each in found]


def build_langchain(search: FaqSearch, base_url: str) -> Pipeline:
    """Builds a LangChain retriever that reranks through the Fireworks API."""
    reranker = langchain_hosted_rerank.FireworksRerank(base_url=base_url, api_key=PLACEHOLDER_KEY)
    retriever = reranker.as_retriever(FaqRetriever(search=search))

    def ask(question: str, top_n: int) -> list[Hit]:
        documents = retriever.invoke(question, top_n=top_n)
        return [Hit(str(d.id), d.page_content, d.metadata["relevance_score"]) for d in documents]

    return Pipeline("LangChain, Fireworks API", ask)


def build_llamaindex(search: FaqSearch, base_url: str) -> Pipeline:
    """Builds a LlamaIndex query engine with a postprocessor that reranks through the Nebius API."""
    reranker = llamaindex_hosted_rerank.NebiusRerank(base_url=base_url, api_key=PLACEHOLDER_KEY)
    synthesizer = NoText(llm=MockLLM())  # generates no text, because only the ranking is shown
    engine = RetrieverQueryEngine(FaqNodeRetriever(search), synthesizer, node_postprocessors=[reranker])

    def ask(question: str, top_n: int) -> list[Hit]:
        reranker.top_n = top_n
        nodes = engine.query(question).source_nodes
        return [Hit(n.node_id, n.get_content(), n.get_score()) for n in nodes]

    return Pipeline("LlamaIndex, Nebius API", ask)
