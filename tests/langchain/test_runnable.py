"""As a `Runnable`: chains, bound arguments, batches, streams, and nodes of a graph."""

import asyncio
from typing import Any, TypedDict

import pytest

pytest.importorskip("langchain_core")

from langchain_core.documents import Document
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnableParallel, RunnablePassthrough

from hosted_rerank import ServerError
from langchain_hosted_rerank import FireworksRerank
from tests.adapters.fixtures import Asking, Do
from tests.conftest import QUERY
from tests.hostile import HostileServer, Peer, ranking, reply
from tests.langchain.shelf import TEXTS, Shelf, documents, texts


def question(number: int = 0) -> dict[str, Any]:
    return {"query": f"question {number}", "documents": documents()}


def test_invoke(asking: Asking, do: Do) -> None:
    """`invoke` does what `compress_documents` does, and leaves other keys of its input alone."""
    reranker = asking(FireworksRerank)
    best = do(reranker, "invoke", question() | {"answer": None})
    assert best == do(reranker, "compress_documents", documents(), "question 0")


@pytest.mark.parametrize("wrong", [QUERY, {"query": QUERY}, {"documents": []}, [QUERY, []], None], ids=repr)
def test_wrong_input(asking: Asking, do: Do, wrong: Any) -> None:
    """An input without a query or without documents is a `TypeError` that says what is needed."""
    with pytest.raises(TypeError, match='"query" and "documents"'):
        do(asking(FireworksRerank), "invoke", wrong)


def test_chain(asking: Asking, do: Do) -> None:
    """A chain of retriever and reranker needs no glue but the names."""
    shelf = Shelf(documents=documents())
    chain = RunnableParallel(query=RunnablePassthrough(), documents=shelf) | asking(FireworksRerank) | texts
    assert do(chain, "invoke", QUERY) == ["heron", "dormouse", "salmon"]


def test_arguments_of_a_call(asking: Asking, do: Do, server: HostileServer) -> None:
    """`invoke` takes the wishes of one call, and refuses what it does not know."""
    reranker = asking(FireworksRerank)
    best = do(reranker, "invoke", question(), None, top_n=2, score_threshold=0.6, instruction="Find birds.")
    assert texts(best) == ["heron"]
    assert server.requests[0].body["task"] == "Find birds."
    for wrong, kind in (({"topn": 1}, TypeError), ({"top_n": 0}, ValueError)):
        with pytest.raises(kind, match="top"):
            do(reranker, "invoke", question(), None, **wrong)


def test_bind(asking: Asking, do: Do) -> None:
    """Bound wishes count for every call, and a call's own count more."""
    bound = asking(FireworksRerank).bind(top_n=1)
    assert texts(do(bound, "invoke", question())) == ["heron"]
    assert texts(do(bound, "invoke", question(), None, top_n=2)) == ["heron", "dormouse"]


def test_with_config(asking: Asking, do: Do) -> None:
    """A config of its own, such as a run's name, changes nothing in what comes back."""
    assert len(do(asking(FireworksRerank).with_config(run_name="mine", tags=["t"]), "invoke", question())) == 3


def test_configurable_fields(asking: Asking, do: Do, server: HostileServer) -> None:
    """Fields can be left to the config of a call, key and connections unaffected."""
    fields = {"top_n": ConfigurableField(id="k"), "instruction": ConfigurableField(id="task")}
    open_ended = asking(FireworksRerank).configurable_fields(**fields)
    chosen = {"configurable": {"k": 1, "task": "Find birds."}}
    assert texts(do(open_ended, "invoke", question(), chosen)) == ["heron"]
    assert len(do(open_ended, "invoke", question())) == 3
    assert [seen.body.get("task") for seen in server.requests] == ["Find birds.", None]
    assert len({seen.headers["authorization"] for seen in server.requests}) == 1
    assert server.connections == 1


def test_with_fallbacks_and_retry(asking: Asking, do: Do, server: HostileServer) -> None:
    """LangChain's own ways around a failure see our errors."""
    server.play(reply(503), ranking(), reply(503), ranking())
    reranker = asking(FireworksRerank)
    assert len(do(reranker.with_fallbacks([asking(FireworksRerank, top_n=1)]), "invoke", question())) == 1
    retrying = reranker.with_retry(
        retry_if_exception_type=(ServerError,), stop_after_attempt=2, wait_exponential_jitter=False
    )
    assert len(do(retrying, "invoke", question())) == 3


@pytest.mark.parametrize("most", [None, 1, 3])
def test_batch(asking: Asking, do: Do, server: HostileServer, most: int | None) -> None:
    """A batch answers each input in its place, with `max_concurrency` requests in flight and no more."""
    now = peak = 0
    company = asyncio.Barrier(most or 3)

    async def act(peer: Peer) -> None:
        nonlocal now, peak
        now += 1
        peak = max(peak, now)
        await company.wait()
        now -= 1
        await ranking()(peer)

    server.play(act)
    inputs = [{"query": QUERY, "documents": documents(f"a{number}", f"b{number}")} for number in range(9)]
    found = do(asking(FireworksRerank, top_n=1), "batch", inputs, {"max_concurrency": most})
    assert [texts(best) for best in found] == [[f"b{number}"] for number in range(9)]
    assert peak <= (most or 9)


def test_batch_with_a_failure(asking: Asking, do: Do, server: HostileServer) -> None:
    """In a batch that returns exceptions one failure does not take the others along."""
    server.play(ranking(), reply(503), ranking())
    config = {"max_concurrency": 1}
    found = do(asking(FireworksRerank), "batch", [question(n) for n in range(3)], config, return_exceptions=True)
    assert [type(best) for best in found] == [list, ServerError, list]


async def test_stream(asking: Asking) -> None:
    """A stream yields the one answer there is, blocking and awaiting."""
    reranker = asking(FireworksRerank)
    assert [texts(best) for best in reranker.stream(question())] == [["heron", "dormouse", "salmon"]]
    assert [texts(best) async for best in reranker.astream(question())] == [["heron", "dormouse", "salmon"]]


async def test_events(asking: Asking) -> None:
    """`astream_events` shows the rerank's start and end, below the chain that it is in."""
    chain = RunnableLambda(lambda given: given) | asking(FireworksRerank)
    events = [event async for event in chain.astream_events(question(), version="v2")]
    ours = [event for event in events if event["name"] == "FireworksRerank"]
    assert [event["event"].rpartition("_")[2] for event in ours if "stream" not in event["event"]] == ["start", "end"]
    assert len({event["run_id"] for event in ours}) == 1
    assert events[0]["run_id"] in ours[0]["parent_ids"]


class State(TypedDict, total=False):
    """The state of a graph."""

    query: str
    documents: list[Document]
    best: list[Document]
    visits: int


def test_node_of_a_graph(asking: Asking, do: Do) -> None:
    """In LangGraph the reranker reads a graph's state as it is."""
    graphs = pytest.importorskip("langgraph.graph")
    reranker = asking(FireworksRerank)

    def rerank(state: State) -> State:
        return {"best": reranker.invoke(state)}

    async def arerank(state: State) -> State:
        return {"best": await reranker.ainvoke(state)}

    graph = graphs.StateGraph(State)
    graph.add_node("chain", reranker | RunnableLambda(lambda best: {"documents": best}))
    graph.add_node("rerank", RunnableLambda(rerank, afunc=arerank))
    graph.add_edge(graphs.START, "chain")
    graph.add_edge("chain", "rerank")
    graph.add_edge("rerank", graphs.END)
    state = do(graph.compile(), "invoke", {**question(), "visits": 1})
    assert texts(state["documents"]) == list(TEXTS[:0:-1])
    assert texts(state["best"]) == ["salmon", "dormouse", "heron"]
    assert state["visits"] == 1


def test_signature_of_the_runnable(asking: Asking) -> None:
    """The Runnable tells what it takes and what it gives, as tools that draw or serve chains ask."""
    reranker = asking(FireworksRerank)
    taken = reranker.get_input_schema()
    taken.model_validate(question())
    with pytest.raises(ValueError, match="query"):
        taken.model_validate({"documents": documents()})
    assert reranker.get_output_jsonschema()["type"] == "array"
    assert reranker.get_name() == "FireworksRerank"
