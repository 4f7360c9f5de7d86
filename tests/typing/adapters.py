"""The types of the adapters: checked, and never run. A line with an ignore must be an error."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, assert_type

from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.messages import HumanMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import ConfigurableField, Runnable, RunnableLambda, RunnablePassthrough
from llama_index.core.base.base_retriever import BaseRetriever as NodeRetriever
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle
from pydantic import SecretStr

import langchain_hosted_rerank as lc
import llamaindex_hosted_rerank as li
from hosted_rerank import Provider, Reranker


async def langchain(documents: Sequence[Document], base: BaseRetriever) -> None:
    """A compressor, a Runnable and a retriever, each with its results' types."""
    reranker = lc.HostedRerank(
        provider="fireworks", model="m", api_key=SecretStr("k"), top_n=None, on_error="passthrough"
    )
    compressor: BaseDocumentCompressor = reranker
    runnable: Runnable[lc.RerankInput, list[Document]] = reranker
    assert_type(reranker.top_n, int | None)
    assert_type(reranker.reranker, Reranker)
    assert_type(reranker.compress_documents(documents, "q"), list[Document])
    assert_type(
        reranker.compress_documents(documents, "q", top_n=1, score_threshold=0.5, instruction=None), list[Document]
    )
    assert_type(await reranker.acompress_documents(documents, "q", top_n=None), list[Document])
    assert_type(reranker.invoke({"query": "q", "documents": documents}), list[Document])
    assert_type(await reranker.ainvoke({"query": "q", "documents": documents}), list[Document])
    assert_type(reranker.rerank(["a", {"text": "b"}, *documents], "q", rank_fields=["text"]), list[dict[str, Any]])
    assert_type(await reranker.arerank(["a"], "q", top_n=1), list[dict[str, Any]])
    assert_type(reranker.as_retriever(base, top_n=1), lc.RerankRetriever)
    retriever: BaseRetriever = lc.RerankRetriever(base_retriever=base, reranker=lc.NebiusRerank(ai_project_id="p"))
    with lc.FireworksRerank(document_to_text=lambda document: document.page_content) as fireworks:
        assert_type(fireworks, lc.FireworksRerank)
    async with fireworks as again:
        assert_type(again, lc.FireworksRerank)
    print(compressor, runnable, retriever)


@dataclass
class State:
    """The state of a graph."""

    query: str
    documents: list[Document]


def langchain_users(documents: list[Document], base: BaseRetriever, message: HumanMessage, state: State) -> None:
    """What users write: keys as text, names by position, chains on both sides, states, other arguments of a call."""
    lc.HostedRerank("cohere", "rerank-v4.0-fast", api_key="sk-...")
    lc.HostedRerank(provider="my-own-row", api_key=os.environ["KEY"], headers={"x": "y"})
    lc.FireworksRerank(api_key=os.environ.get("KEY")).api_key = "sk-..."
    reranker = lc.HostedRerank("cohere")
    chain = RunnablePassthrough.assign(documents=itemgetter("query") | base) | reranker
    longer = reranker | RunnableLambda(len)
    print(chain.invoke({"query": "q"}), longer.invoke({"query": "q", "documents": documents}))
    reranker.invoke({"query": message, "documents": [{"page_content": "a"}], "top_n": 1, "model": "m"})
    reranker.invoke(state)
    reranker.compress_documents(documents, "q", model="m")
    retriever = lc.RerankRetriever(base_retriever=base, reranker=reranker.with_retry(), top_n=1)
    assert_type(retriever.invoke("q", top_n=2, filter={"tenant": "a"}), list[Document])
    lc.RerankRetriever(base_retriever=base, reranker=reranker.configurable_fields(top_n=ConfigurableField(id="n")))
    lc.RerankRetriever(base_retriever=base, reranker=reranker.with_fallbacks([lc.NebiusRerank()]))


def langchain_refuses(reranker: lc.HostedRerank, documents: Sequence[Document]) -> None:
    """Mistakes that a type checker finds."""
    reranker.compress_documents(documents, "q", topn=1)  # type: ignore[call-arg]
    reranker.compress_documents(documents, "q", top_n="1")  # type: ignore[arg-type]
    lc.HostedRerank(on_error="ignore")  # type: ignore[arg-type]
    lc.HostedRerank(topn=1)  # type: ignore[call-arg]
    lc.FireworksRerank(ai_project_id="p")  # type: ignore[call-arg]


async def llamaindex(nodes: list[NodeWithScore], base: NodeRetriever) -> None:
    """A postprocessor and a retriever, each with its results' types."""
    row = Provider(name="acme", url="https://rerank.example")
    reranker = li.HostedRerank(provider=row, metadata_mode=MetadataMode.LLM, text_fn=lambda node: node.get_content())
    postprocessor: BaseNodePostprocessor = reranker
    assert_type(reranker.postprocess_nodes(nodes, query_str="q"), list[NodeWithScore])
    assert_type(reranker.postprocess_nodes(nodes, QueryBundle("q"), top_n=1, instruction="i"), list[NodeWithScore])
    assert_type(await reranker.apostprocess_nodes(nodes, query_str="q", score_threshold=0.5), list[NodeWithScore])
    retriever: NodeRetriever = li.RerankRetriever(base, li.NebiusRerank(service_tier="flex"), top_n=1)
    assert_type(li.RerankedNode(node=nodes[0].node).retrieval_score, float | None)
    li.HostedRerank("cohere", api_key="sk-1", unscored="drop")
    li.HostedRerank(provider="voyage", api_key=os.environ["VOYAGE_API_KEY"])
    reranker.postprocess_nodes(nodes, query_str="q", model="m-2")
    with li.FireworksRerank(keep_retrieval_score=True) as fireworks:
        assert_type(fireworks, li.FireworksRerank)
    print(postprocessor, retriever)


def llamaindex_refuses(reranker: li.HostedRerank, nodes: list[NodeWithScore]) -> None:
    """Mistakes that a type checker finds."""
    reranker.postprocess_nodes(nodes, query_str="q", topn=1)  # type: ignore[call-arg]
    reranker.postprocess_nodes(nodes, query_str=1)  # type: ignore[arg-type]
    li.HostedRerank(on_error="ignore")  # type: ignore[arg-type]
    li.HostedRerank(topn=1)  # type: ignore[call-arg]


def event(end: li.HostedReRankEndEvent) -> None:
    """The fields of the end event."""
    assert_type(end.usage, dict[str, int | float] | None)
    assert_type(end.request_ids, list[str])
    assert_type(end.nodes, list[NodeWithScore])
