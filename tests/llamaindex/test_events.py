"""Tracing: a span for each rerank, in it one start and one end event, whatever happens in between."""

import asyncio
import copy
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload, LlamaDebugHandler
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.schema import QueryBundle

from hosted_rerank import AuthenticationError, Reranker, RerankError
from llamaindex_hosted_rerank import FireworksRerank, HostedRerank, HostedReRankEndEvent, NebiusRerank, RerankRetriever
from tests.adapters.fixtures import Asking, Do
from tests.conftest import KEY, QUERY
from tests.hostile import HostileServer, eventually, ranked, reply, silence
from tests.llamaindex.shelf import Shelf, engine_with, nodes, texts
from tests.llamaindex.watching import Events, Spans, watching

PAIR = ["ReRankStartEvent", "ReRankEndEvent"]
MODEL = "accounts/fireworks/models/qwen3-reranker-8b"


@pytest.fixture
def watched() -> Iterator[tuple[Events, Spans]]:
    with watching() as handlers:
        yield handlers


@pytest.fixture
def events(watched: tuple[Events, Spans]) -> Events:
    return watched[0]


@pytest.fixture
def spans(watched: tuple[Events, Spans]) -> Spans:
    return watched[1]


def rerank(do: Do, reranker: HostedRerank, *given: Any, **arguments: Any) -> Any:
    return do(reranker, "postprocess_nodes", *(given or [nodes()]), **{"query_str": QUERY} | arguments)


def test_span(asking: Asking, do: Do, way: str, events: Events, spans: Spans) -> None:
    """Either way of calling has one span, named for the class and the method, and both events are in it."""
    rerank(do, asking(NebiusRerank))
    method = {"blocking": "_postprocess_nodes", "awaiting": "_apostprocess_nodes"}[way]
    (span,) = spans.parents
    assert span.startswith(f"NebiusRerank.{method}-")
    assert spans.ended == {span: "exit"}
    assert [event.span_id for event in events.seen] == [span, span]


def test_span_below_the_caller(asking: Asking, do: Do, way: str, events: Events, spans: Spans) -> None:
    """In a query engine the span is below the engine's, and the events are the rerank's and not the engine's."""
    engine = engine_with(asking(FireworksRerank))
    do(engine, "query", QUERY)
    letter = {"blocking": "", "awaiting": "a"}[way]
    (span,) = spans.of(f"FireworksRerank._{letter}postprocess_nodes")
    (parent,) = spans.of(f"RetrieverQueryEngine._{letter}query")
    assert spans.parents[span] == parent
    assert [event.span_id for event in events.seen] == [span, span]


def test_start_event(asking: Asking, do: Do, events: Events) -> None:
    """The start event has the question, the candidates as they came, how many are wanted and of what model."""
    reranker, given = asking(FireworksRerank, top_n=2), nodes()
    for top_n in (2, 1, None):
        rerank(do, reranker, given, **({} if top_n == 2 else {"top_n": top_n}))
    starts = [event for event in events.seen if isinstance(event, ReRankStartEvent)]
    assert [event.top_n for event in starts] == [2, 1, 4]
    assert {event.model_name for event in starts} == {MODEL}
    assert [event.nodes for event in starts] == [nodes()] * 3
    assert isinstance(starts[0].query, QueryBundle)
    assert starts[0].query.query_str == QUERY


def test_end_event(asking: Asking, do: Do, server: HostileServer, events: Events) -> None:
    """The end event has the nodes that are returned, and what the API said: model, usage, request ids, attempts."""
    usage = {"prompt_tokens": 40, "total_tokens": 42, "search_units": 1}
    answer = ranked(0.25, 0.75, 0.5, 0.125, usage=usage, model="m-2")
    server.play(reply(503, retry_after="0"), reply(200, answer, x_request_id="req-1"))
    best = rerank(do, asking(FireworksRerank, max_retries=1))
    event = events.seen[1]
    assert isinstance(event, HostedReRankEndEvent)
    assert isinstance(event, ReRankEndEvent)
    assert event.class_name() == ReRankEndEvent.class_name() == "ReRankEndEvent"
    assert event.nodes == best
    assert texts(event.nodes) == ["salmon", "dormouse", "swift"]
    assert (event.provider, event.model_name) == ("fireworks", "m-2")
    assert event.usage == usage
    assert (event.request_ids, event.attempts, event.passthrough, event.error) == (["req-1"], 2, None, None)
    assert event.elapsed > 0
    assert event.score_transform == "none"


def test_nothing_to_rank(do: Do, events: Events, spans: Spans) -> None:
    """Without nodes both events are there, with no attempt and nothing in them."""
    rerank(do, FireworksRerank(), [])
    assert events.names == PAIR
    start, end = events.seen
    assert isinstance(end, HostedReRankEndEvent)
    assert (end.nodes, end.attempts, end.error) == ([], 0, None)
    assert list(spans.ended.values()) == ["exit"]
    assert start.span_id == end.span_id


def test_failure(asking: Asking, do: Do, server: HostileServer, events: Events, spans: Spans) -> None:
    """A rerank that raises ends with an end event that names the error, and drops its span."""
    server.play(reply(503))
    with pytest.raises(RerankError):
        rerank(do, asking(FireworksRerank))
    assert events.names == PAIR
    end = events.seen[1]
    assert isinstance(end, HostedReRankEndEvent)
    assert (end.error, end.passthrough, end.nodes, end.model_name) == ("ServerError", None, [], MODEL)
    assert list(spans.ended.values()) == ["drop"]
    assert end.span_id == events.seen[0].span_id


def test_passthrough(asking: Asking, do: Do, server: HostileServer, events: Events, spans: Spans) -> None:
    """A failure that is passed over is marked on the end event, which has the nodes that are returned."""
    server.play(reply(503))
    best = rerank(do, asking(FireworksRerank, on_error="passthrough", top_n=2))
    assert events.names == PAIR
    end = events.seen[1]
    assert isinstance(end, HostedReRankEndEvent)
    assert (end.passthrough, end.error, end.usage) == ("ServerError", None, None)
    assert end.nodes == best
    assert len(best) == 2
    assert list(spans.ended.values()) == ["exit"]


def test_failure_after_a_fallback(asking: Asking, do: Do, server: HostileServer, events: Events) -> None:
    """The end event of a failed rerank has the attempts and seconds of all rerankers that were called."""
    server.play(reply(503, retry_after="0"))
    spare = Reranker("vllm", "m", base_url=server.url, max_retries=0)
    with pytest.raises(RerankError):
        rerank(do, asking(FireworksRerank, max_retries=1, fallbacks=[spare]))
    end = events.seen[1]
    assert isinstance(end, HostedReRankEndEvent)
    assert (end.error, end.attempts, end.provider, end.fallback_errors) == ("ServerError", 3, "vllm", ["ServerError"])
    assert end.elapsed > 0


def test_model_of_a_call(asking: Asking, do: Do, events: Events) -> None:
    """The events tell the model of the call, which is not the reranker's."""
    rerank(do, asking(FireworksRerank, model="m-1"), model="m-2")
    start, end = events.seen
    assert isinstance(start, ReRankStartEvent)
    assert isinstance(end, HostedReRankEndEvent)
    assert (start.model_name, end.model_name) == ("m-2", "m-2")


async def test_cancellation(asking: Asking, server: HostileServer, events: Events, spans: Spans) -> None:
    """A cancelled rerank has its end event too, and its span is dropped."""
    server.play(silence())
    task = asyncio.create_task(asking(FireworksRerank).apostprocess_nodes(nodes(), query_str=QUERY))
    assert await asyncio.to_thread(eventually, lambda: len(server.requests) == 1)
    assert events.names == PAIR[:1]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events.names == PAIR
    end = events.seen[1]
    assert isinstance(end, HostedReRankEndEvent)
    assert end.error == "CancelledError"
    assert end.elapsed > 0
    assert list(spans.ended.values()) == ["drop"]


@pytest.mark.parametrize(
    "wrong",
    [{"query_str": None}, {"top_n": 0}, {"topn": 1}, {"nodes": ["no node"]}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_no_events_for_a_wrong_call(asking: Asking, do: Do, events: Events, wrong: dict[str, Any]) -> None:
    """A call that cannot begin has no events, rather than half of them."""
    with pytest.raises((ValueError, TypeError)):
        do(asking(FireworksRerank), "postprocess_nodes", **{"nodes": nodes(), "query_str": QUERY} | wrong)
    assert events.names == []


def test_missing_key(do: Do, events: Events) -> None:
    """A missing key is found after the start, so there is an end."""
    with pytest.raises(AuthenticationError):
        rerank(do, FireworksRerank())
    assert events.names == PAIR


def test_older_callbacks(asking: Asking, do: Do, server: HostileServer) -> None:
    """The older callback manager, which query engines hand on, gets a RERANKING event with its usual payload."""
    debug = LlamaDebugHandler(print_trace_on_end=False)
    reranker = asking(FireworksRerank, callback_manager=CallbackManager([debug]), top_n=2)
    best = rerank(do, reranker)
    server.play(reply(503))
    with pytest.raises(RerankError):
        rerank(do, reranker)
    (start, end), *failed = debug.get_event_pairs(CBEventType.RERANKING)
    assert start.payload == {
        EventPayload.NODES: nodes(),
        EventPayload.MODEL_NAME: MODEL,
        EventPayload.QUERY_STR: QUERY,
        EventPayload.TOP_K: 2,
    }
    assert end.payload == {EventPayload.NODES: best}
    assert len(failed) == 1


def test_engine_hands_on_its_callbacks(asking: Asking, do: Do) -> None:
    """The callback manager that an engine assigns is the one that hears of the rerank."""
    debug = LlamaDebugHandler(print_trace_on_end=False)
    reranker = asking(FireworksRerank)
    engine = engine_with(reranker, callback_manager=CallbackManager([debug]))
    do(engine, "query", QUERY)
    assert len(debug.get_event_pairs(CBEventType.RERANKING)) == 1
    assert copy.deepcopy(reranker).callback_manager is reranker.callback_manager


def test_retriever_hands_on_its_callbacks(asking: Asking, do: Do) -> None:
    """The callback manager of a `RerankRetriever` is the one that hears of the rerank."""
    debug, reranker = LlamaDebugHandler(print_trace_on_end=False), asking(FireworksRerank)
    before = reranker.callback_manager
    RerankRetriever(Shelf(nodes()), reranker)
    assert reranker.callback_manager is before
    do(RerankRetriever(Shelf(nodes()), reranker, callback_manager=CallbackManager([debug])), "retrieve", QUERY)
    assert len(debug.get_event_pairs(CBEventType.RERANKING)) == 1


def test_no_key_in_events(asking: Asking, do: Do, server: HostileServer, events: Events) -> None:
    """No event holds the key, also when the server says it."""
    server.play(reply(401, {"error": {"message": f"bad key {KEY}"}}))
    with pytest.raises(AuthenticationError):
        rerank(do, asking(FireworksRerank))
    assert KEY not in repr([event.model_dump() for event in events.seen])
