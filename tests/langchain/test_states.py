"""The state of a graph as input: three kinds of state, documents as JSON, messages, and LangGraph's retries."""

from dataclasses import dataclass, field
from typing import Any, TypedDict

import pytest

pytest.importorskip("langchain_core")
pytest.importorskip("langgraph")

from langchain_core.documents import Document
from langchain_core.load import dumpd
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy
from pydantic import BaseModel, Field

from hosted_rerank import AuthenticationError, CircuitOpenError, InvalidRequestError, RerankError, ServerError
from langchain_hosted_rerank import FireworksRerank
from tests.adapters.fixtures import Asking, Do
from tests.conftest import QUERY
from tests.hostile import Act, HostileServer, ranking, reply
from tests.langchain.shelf import documents, texts


class TypedState(TypedDict, total=False):
    """A state as LangGraph's tutorials have it."""

    query: str
    documents: list[Any]


class PydanticState(BaseModel):
    """A state that pydantic validates."""

    query: Any
    documents: list[Any] = Field(default_factory=list)


@dataclass
class DataclassState:
    """A state of the standard library."""

    query: Any
    documents: list[Any] = field(default_factory=list)


STATES = [TypedState, PydanticState, DataclassState]


def graph_with(state: type, reranker: FireworksRerank, **node: Any) -> Any:
    """The README's node, in a graph of its own."""
    graph = StateGraph(state)
    graph.add_node("rerank", reranker | RunnableLambda(lambda best: {"documents": best}), **node)
    graph.add_edge(START, "rerank")
    graph.add_edge("rerank", END)
    return graph.compile()


@pytest.mark.parametrize("state", STATES)
def test_node_of_a_graph(asking: Asking, do: Do, state: type) -> None:
    """The README's node reads each kind of state."""
    found = do(graph_with(state, asking(FireworksRerank)), "invoke", {"query": QUERY, "documents": documents()})
    assert texts(found["documents"]) == ["heron", "dormouse", "salmon"]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("to_json", [Document.model_dump, dumpd], ids=["model_dump", "dumpd"])
def test_documents_as_json(asking: Asking, do: Do, state: type, to_json: Any) -> None:
    """The documents of a state may be dicts, as they are in JSON; documents come back, with id and metadata."""
    given = {"query": QUERY, "documents": [to_json(each) for each in documents("swift", "salmon")]}
    best = do(graph_with(state, asking(FireworksRerank)), "invoke", given)["documents"]
    assert [(type(each), each.id, each.metadata["place"]) for each in best] == [
        (Document, "id-1", 1),
        (Document, "id-0", 0),
    ]


@pytest.mark.parametrize("state", STATES)
def test_message_as_query(asking: Asking, do: Do, server: HostileServer, state: type) -> None:
    """Of a message its text is the query."""
    message = HumanMessage([{"type": "text", "text": QUERY}])
    do(graph_with(state, asking(FireworksRerank)), "invoke", {"query": message, "documents": documents()})
    assert server.requests[0].body["query"] == QUERY


def test_message_as_json(asking: Asking, do: Do, server: HostileServer) -> None:
    """A message may be a dict too, as it is in JSON."""
    message: Any = {"role": "user", "content": QUERY}
    do(asking(FireworksRerank), "invoke", {"query": message, "documents": documents()})
    assert server.requests[0].body["query"] == QUERY


def test_arguments_in_a_mapping(asking: Asking, do: Do, server: HostileServer) -> None:
    """The parameters of a call count in a mapping as they do as keywords, which count more."""
    reranker = asking(FireworksRerank)
    given = {"query": QUERY, "documents": documents(), "top_n": 2, "instruction": "Find birds.", "model": "m-2"}
    assert texts(do(reranker, "invoke", given)) == ["heron", "dormouse"]
    assert len(do(reranker, "invoke", given, None, top_n=1)) == 1
    assert texts(do(reranker, "invoke", given | {"score_threshold": 0.6})) == ["heron"]
    assert [(seen.body["task"], seen.body["model"]) for seen in server.requests] == [("Find birds.", "m-2")] * 3
    with pytest.raises(TypeError, match="top_n"):
        do(reranker, "invoke", given | {"top_n": True})


@pytest.mark.parametrize(
    "wrong",
    [{"query": QUERY}, PydanticState(query=None), DataclassState, 5],
    ids=["no documents", "no query", "a class", "a number"],
)
def test_no_state(asking: Asking, do: Do, wrong: Any) -> None:
    """What is no state, or has no question, is a `TypeError` that says what is needed."""
    with pytest.raises(TypeError, match="query"):
        do(asking(FireworksRerank), "invoke", wrong)


@pytest.mark.parametrize("wrong", [{"page_content": ["a secret"]}, {"text": "a secret"}, {"type": "constructor"}])
def test_mapping_that_is_no_document(asking: Asking, do: Do, server: HostileServer, wrong: Any) -> None:
    """A mapping without the fields of a document is refused by its place, with the remedy, and is not shown."""
    given = {"query": QUERY, "documents": [{"page_content": "heron"}, wrong]}
    with pytest.raises(TypeError, match=r"documents\[1\] is a mapping that is no Document") as refused:
        do(asking(FireworksRerank), "invoke", given)
    assert "{'page_content': ..., " in str(refused.value)
    assert "secret" not in str(refused.value)
    assert server.requests == []


@pytest.mark.parametrize(
    ("act", "kind", "attempts"),
    [
        (reply(503), ServerError, 2),
        (reply(429), RerankError, 2),
        (reply(200, "no JSON"), RerankError, 2),
        (reply(401), AuthenticationError, 1),
        (reply(403), RerankError, 1),
        (reply(404), RerankError, 1),
        (reply(400), InvalidRequestError, 1),
    ],
)
def test_default_retry_policy(
    asking: Asking, do: Do, server: HostileServer, act: Act, kind: type[Exception], attempts: int
) -> None:
    """LangGraph's default policy retries what may pass, and neither a wrong key nor a wrong request."""
    server.play(act, act, ranking())
    policy = RetryPolicy(max_attempts=2, initial_interval=0.01, jitter=False)
    graph = graph_with(TypedState, asking(FireworksRerank), retry_policy=policy)
    with pytest.raises(kind) as caught:
        do(graph, "invoke", {"query": QUERY, "documents": documents()})
    assert isinstance(caught.value, ConnectionError if attempts == 2 else ValueError)
    assert len(server.requests) == attempts


def test_open_circuit_may_pass() -> None:
    """An open circuit breaker closes again."""
    assert issubclass(CircuitOpenError, ConnectionError)
