"""The config of a call: `RerankRetriever` hands all of it on, and the arguments that are not the reranker's."""

from typing import Any

import pytest

pytest.importorskip("langchain_core")

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import ConfigurableField, RunnableConfig, RunnableLambda
from langchain_core.tracers.base import BaseTracer
from pydantic import Field

from hosted_rerank import ServerError
from langchain_hosted_rerank import FireworksRerank, HostedRerank, RerankRetriever
from tests.adapters.fixtures import Asking, Do
from tests.conftest import KEY, QUERY
from tests.hostile import HostileServer, ranking, reply
from tests.langchain.shelf import Shelf, documents, texts


class Tenants(BaseRetriever):
    """Finds the documents of one tenant, or, without a filter, of all: a vector store's retriever in short."""

    search_kwargs: dict[str, Any] = Field(default_factory=dict)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **search: Any
    ) -> list[Document]:
        search = {**self.search_kwargs, **search}
        found = [document for tenant in "ab" for document in documents(f"{tenant}1", f"{tenant}2", tenant=tenant)]
        wanted = search.get("filter", {}).get("tenant")
        return [each for each in found if wanted in (None, each.metadata["tenant"])][: search.get("k")]

    async def _aget_relevant_documents(self, query: str, *, run_manager: Any, **search: Any) -> list[Document]:
        return self._get_relevant_documents(query, run_manager=run_manager, **search)


@pytest.fixture
def retriever(asking: Asking) -> RerankRetriever:
    base = Tenants().configurable_fields(search_kwargs=ConfigurableField(id="search"))
    return RerankRetriever(base_retriever=base, reranker=asking(FireworksRerank, top_n=9))


FOR_A: RunnableConfig = {"configurable": {"search": {"filter": {"tenant": "a"}}}}


@pytest.mark.parametrize("way_in", ["invoke", "batch", "stream", "with_config"])
def test_filter_of_a_tenant(retriever: Any, do: Do, server: HostileServer, way: str, way_in: str) -> None:
    """The tenant's filter in a config reaches the base retriever, on every way in; no other documents are sent."""
    if way_in == "batch":
        (best,) = do(retriever, "batch", [QUERY], FOR_A)
    elif way_in == "stream" and way == "blocking":
        (best,) = retriever.stream(QUERY, FOR_A)
    elif way_in == "with_config":
        best = do(retriever.with_config(FOR_A), "invoke", QUERY)
    else:
        best = do(retriever, "invoke", QUERY, FOR_A)
    assert texts(best) == ["a2", "a1"]
    assert [seen.body["documents"] for seen in server.requests] == [["a1", "a2"]]


async def test_filter_of_a_tenant_in_an_async_stream(retriever: RerankRetriever) -> None:
    """Likewise where an answer is streamed."""
    assert [texts(best) async for best in retriever.astream(QUERY, FOR_A)] == [["a2", "a1"]]


def test_everything_else_in_a_config(asking: Asking, do: Do) -> None:
    """Both parts get the tags, the metadata and all other entries of the config, and neither its run's name nor id."""
    heard: list[RunnableConfig] = []

    def hear(given: Any, config: RunnableConfig) -> list[Document]:
        heard.append(config)
        return documents("swift")

    retriever = RerankRetriever(base_retriever=RunnableLambda(hear), reranker=RunnableLambda(hear))
    config: RunnableConfig = {
        "tags": ["t"],
        "metadata": {"user": "u-1"},
        "configurable": {"thread_id": "t-1"},
        "max_concurrency": 3,
        "recursion_limit": 7,
        "run_name": "mine",
    }
    do(retriever, "invoke", QUERY, config)
    assert len(heard) == 2
    for given in heard:
        assert given["tags"] == ["t"]
        assert given["metadata"].items() >= {"user": "u-1"}.items()
        assert given["configurable"].items() >= {"thread_id": "t-1"}.items()
        assert (given["max_concurrency"], given["recursion_limit"], given.get("run_name")) == (3, 7, None)


def test_config_specs(asking: Asking) -> None:
    """`config_specs` shows the configurable fields of both parts, so a schema and a server show them too."""
    base = Tenants().configurable_fields(search_kwargs=ConfigurableField(id="search"))
    reranker = asking(FireworksRerank).configurable_fields(top_n=ConfigurableField(id="most"))
    assert {spec.id for spec in RerankRetriever(base_retriever=base, reranker=reranker).config_specs} == {
        "search",
        "most",
    }


def test_arguments_of_the_base(retriever: Any, do: Do, server: HostileServer) -> None:
    """`k` and `filter` of a call go to the base retriever, the reranker's to the reranker, typos to neither."""
    retriever.base_retriever = Tenants()
    assert texts(do(retriever, "invoke", QUERY, filter={"tenant": "b"}, top_n=1, model="m-2")) == ["b2"]
    assert texts(do(retriever, "invoke", QUERY, k=1)) == ["a1"]
    assert [(seen.body["documents"], seen.body["model"][-3:]) for seen in server.requests] == [
        (["b1", "b2"], "m-2"),
        (["a1"], "-8b"),
    ]
    with pytest.raises(TypeError, match=r"top_k \(did you mean `top_n`"):
        do(retriever, "invoke", QUERY, top_k=1)


class Recorder(BaseTracer):
    """Keeps the names of the runs."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def _persist_run(self, run: Any) -> None:
        runs = [run]
        for each in runs:
            runs.extend(each.child_runs)
        self.names.extend(each.name for each in runs)


def test_configurable_reranker(asking: Asking, do: Do, server: HostileServer) -> None:
    """The reranker may have configurable fields and alternatives; its runs are below the retriever's."""
    shelf, recorder = Shelf(documents=documents()), Recorder()
    reranker = asking(FireworksRerank).configurable_fields(top_n=ConfigurableField(id="most"))
    retriever = RerankRetriever(base_retriever=shelf, reranker=reranker)
    config: RunnableConfig = {"configurable": {"most": 1}, "callbacks": [recorder]}
    assert texts(do(retriever, "invoke", QUERY, config)) == ["heron"]
    assert recorder.names == ["RerankRetriever", "Shelf", "FireworksRerank"]
    other = asking(HostedRerank, provider="cohere", top_n=2)
    retriever.reranker = asking(FireworksRerank).configurable_alternatives(ConfigurableField(id="which"), cohere=other)
    assert texts(do(retriever, "invoke", QUERY, {"configurable": {"which": "cohere"}})) == ["heron", "dormouse"]
    assert [seen.target for seen in server.requests] == ["/inference/v1/rerank", "/v2/rerank"]


def test_reranker_with_retry_and_fallbacks(asking: Asking, do: Do, server: HostileServer) -> None:
    """The reranker may be one with LangChain's own retries and fallbacks, and takes the arguments of a call."""
    shelf, reranker = Shelf(documents=documents()), asking(FireworksRerank)
    server.play(reply(503), ranking(), reply(503), ranking())
    for robust in (
        reranker.with_retry(
            retry_if_exception_type=(ServerError,), stop_after_attempt=2, wait_exponential_jitter=False
        ),
        reranker.with_fallbacks([asking(FireworksRerank)]),
    ):
        retriever = RerankRetriever(base_retriever=shelf, reranker=robust, top_n=3)
        assert texts(do(retriever, "invoke", QUERY, top_n=2)) == ["heron", "dormouse"]
    assert len(server.requests) == 4


def test_pipeline_as_reranker(asking: Asking, do: Do) -> None:
    """Any document compressor ranks for it; where it takes no `top_n` of a call, the best are kept here."""
    compressors = pytest.importorskip("langchain_classic.retrievers.document_compressors")
    pipeline = compressors.DocumentCompressorPipeline(transformers=[asking(FireworksRerank)])
    retriever = RerankRetriever(base_retriever=Shelf(documents=documents()), reranker=pipeline, top_n=2)
    assert texts(do(retriever, "invoke", QUERY)) == ["heron", "dormouse"]
    assert len(do(retriever, "invoke", QUERY, top_n=None)) == 3
    with pytest.raises(TypeError, match="instruction"):
        do(retriever, "invoke", QUERY, instruction="Find birds.")
    with pytest.raises(ValueError, match="reranker"):
        RerankRetriever(base_retriever=Shelf(documents=[]), reranker={"api_key": KEY})
