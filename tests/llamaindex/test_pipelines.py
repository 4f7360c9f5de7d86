"""In LlamaIndex' engines, routers and workflows; whatever takes another vendor's reranker takes ours."""

import json
from typing import Any

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.retrievers import RouterRetriever
from llama_index.core.schema import QueryBundle
from llama_index.core.selectors import LLMSingleSelector
from llama_index.core.tools import RetrieverTool
from llama_index.core.workflow import Context, JsonSerializer, StartEvent, StopEvent, Workflow, step

from llamaindex_hosted_rerank import FireworksRerank, HostedRerank, NebiusRerank, RerankRetriever
from tests.adapters.fixtures import Asking, Do
from tests.conftest import KEY, QUERY
from tests.hostile import HostileServer, reply
from tests.llamaindex.shelf import Shelf, engine_with, nodes, texts

# The workflows of the lowest version warn of themselves.
pytestmark = pytest.mark.filterwarnings("ignore:ServiceManager is deprecated")


@pytest.mark.parametrize("kind", [FireworksRerank, NebiusRerank, HostedRerank])
def test_query_engine(asking: Asking, do: Do, kind: type[HostedRerank]) -> None:
    """A query engine answers from the best of what its retriever finds."""
    response = do(engine_with(asking(kind, top_n=2)), "query", QUERY)
    assert [(node.text, node.score) for node in response.source_nodes] == [("heron", 0.75), ("dormouse", 0.5)]
    assert "heron\n\ndormouse" in str(response)


def test_query_engine_of_an_index(asking: Asking, do: Do, server: HostileServer) -> None:
    """An index makes its engine with our reranker, and what is in the index stays as it was."""
    stored = [node.node for node in nodes(title="Animal")]
    index = VectorStoreIndex(stored, embed_model=MockEmbedding(embed_dim=4))
    reranker = asking(FireworksRerank, top_n=2, keep_retrieval_score=True)
    engine = index.as_query_engine(llm=MockLLM(), similarity_top_k=4, node_postprocessors=[reranker])
    for _ in range(2):
        response = do(engine, "query", QUERY)
        assert [node.score for node in response.source_nodes] == [0.75, 0.5]
        assert all(node.retrieval_score is not None for node in response.source_nodes)
        assert "retrieval_score" not in str(response)
    assert [seen.body["documents"] for seen in server.requests] == [server.requests[0].body["documents"]] * 2
    assert all(node.metadata == {"title": "Animal"} for node in index.docstore.docs.values())


def test_before_another_postprocessor(asking: Asking, do: Do) -> None:
    """Its scores are what a postprocessor behind it goes by."""
    engine = engine_with(asking(FireworksRerank, top_n=None))
    engine._node_postprocessors.append(SimilarityPostprocessor(similarity_cutoff=0.4))
    assert texts(do(engine, "query", QUERY).source_nodes) == ["heron", "dormouse"]


def test_outage_in_an_engine(asking: Asking, do: Do, server: HostileServer) -> None:
    """An outage comes out of an engine as our error, or, if that is asked for, as the retrieval's order."""
    server.play(reply(503))
    reranker = asking(FireworksRerank, top_n=2)
    engine = engine_with(reranker)
    with pytest.raises(Exception, match="fireworks answered 503"):
        do(engine, "query", QUERY)
    reranker.on_error = "passthrough"
    assert texts(do(engine, "query", QUERY).source_nodes) == ["swift", "salmon"]


def test_retriever(asking: Asking, do: Do, way: str, server: HostileServer) -> None:
    """`RerankRetriever` returns the best of what its base retriever, asked the same way, finds for a text or bundle."""
    shelf = Shelf(nodes())
    retriever = RerankRetriever(shelf, asking(FireworksRerank))
    for question in (QUERY, QueryBundle(QUERY)):
        assert texts(do(retriever, "retrieve", question)) == ["heron", "dormouse", "salmon"]
    assert shelf.found == nodes()
    assert shelf.asked == [way, way]
    assert {seen.body["query"] for seen in server.requests} == {QUERY}


@pytest.mark.parametrize(("top_n", "count"), [(None, 3), (1, 1), (99, 4)])
def test_top_n_of_a_retriever(asking: Asking, do: Do, top_n: int | None, count: int) -> None:
    """Its own `top_n` counts more than the reranker's; `None` leaves it to the reranker."""
    retriever = RerankRetriever(Shelf(nodes()), asking(FireworksRerank), top_n=top_n)
    assert len(do(retriever, "retrieve", QUERY)) == count


@pytest.mark.parametrize("top_n", ["2", 2.0])
def test_top_n_of_a_retriever_as_text(asking: Asking, do: Do, top_n: Any) -> None:
    """It takes whole numbers as the fields do."""
    retriever = RerankRetriever(Shelf(nodes()), asking(FireworksRerank, top_n=9), top_n=top_n)
    assert len(do(retriever, "retrieve", QUERY)) == 2


@pytest.mark.parametrize("top_n", [0, -1, True, "two", 1.5])
def test_refused_top_n_of_a_retriever(asking: Asking, top_n: Any) -> None:
    """A `top_n` that is no count is refused in the constructor."""
    with pytest.raises((ValueError, TypeError), match="top_n"):
        RerankRetriever(Shelf(nodes()), asking(FireworksRerank), top_n=top_n)


def test_unknown_parameter_of_a_retriever(asking: Asking) -> None:
    """A parameter that does not exist is refused by its name."""
    with pytest.raises(TypeError, match="topn"):
        RerankRetriever(Shelf(nodes()), asking(FireworksRerank), topn=1)  # type: ignore[call-arg]


def test_engine_over_a_retriever(asking: Asking, do: Do) -> None:
    """An engine takes the retriever as it takes any."""
    engine = engine_with(asking(NebiusRerank, top_n=1), RerankRetriever(Shelf(nodes()), asking(FireworksRerank)))
    response = do(engine, "query", QUERY)
    assert [(node.text, node.score) for node in response.source_nodes] == [("salmon", pytest.approx(2 / 3))]


class Chooser(MockLLM):
    """A language model that chooses the first of what it is offered."""

    def complete(self, *arguments: Any, **named: Any) -> Any:
        response = super().complete(*arguments, **named)
        response.text = json.dumps([{"choice": 1, "reason": "the only one"}])
        return response

    async def acomplete(self, *arguments: Any, **named: Any) -> Any:
        return self.complete(*arguments, **named)


def test_router(asking: Asking, do: Do) -> None:
    """A router, which takes no postprocessors, takes the retriever."""
    retriever = RerankRetriever(Shelf(nodes()), asking(FireworksRerank), top_n=2)
    tool = RetrieverTool.from_defaults(retriever, description="Animals.")
    router = RouterRetriever(LLMSingleSelector.from_defaults(Chooser()), [tool], llm=Chooser())
    assert {node.text: node.score for node in do(router, "retrieve", QUERY)} == {"heron": 0.75, "dormouse": 0.5}


def test_tool(asking: Asking, do: Do) -> None:
    """A retriever's tool for agents takes the reranker, or the retriever with it inside."""
    inside = RetrieverTool.from_defaults(RerankRetriever(Shelf(nodes()), asking(FireworksRerank), top_n=1))
    beside = RetrieverTool.from_defaults(Shelf(nodes()), node_postprocessors=[asking(FireworksRerank, top_n=1)])
    for tool in (inside, beside):
        found = do(tool, "call", QUERY)
        assert "heron" in found.content
        assert "swift" not in found.content


class Answering(Workflow):
    """A workflow that keeps its reranker in its context."""

    @step
    async def answer(self, ctx: Context, ev: StartEvent) -> StopEvent:
        reranker = await ctx.store.get("reranker")
        found = await reranker.apostprocess_nodes(nodes(), query_str=ev.question)
        return StopEvent(result=texts(found))


async def test_workflow(asking: Asking, monkeypatch: pytest.MonkeyPatch, server: HostileServer) -> None:
    """A workflow's context that holds a reranker is written as JSON without the key, and ranks when it is read back."""
    monkeypatch.setenv("FIREWORKS_API_KEY", "sk-of-environment")
    workflow = Answering(timeout=20)
    context: Context = Context(workflow)
    reranker = asking(FireworksRerank, top_n=1, headers={"x-title": "birds"})
    await context.store.set("reranker", reranker)
    assert await workflow.run(ctx=context, question=QUERY) == ["heron"]
    written = json.dumps(context.to_dict(serializer=JsonSerializer()))
    assert KEY not in written
    restored = Context.from_dict(workflow, json.loads(written), serializer=JsonSerializer())
    assert isinstance(await restored.store.get("reranker"), FireworksRerank)
    assert await workflow.run(ctx=restored, question=QUERY) == ["heron"]
    last = server.requests[-1].headers
    assert (last["authorization"], last["x-title"]) == ("Bearer sk-of-environment", "birds")
