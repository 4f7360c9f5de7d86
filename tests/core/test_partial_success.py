"""A 200 that is no whole ranking: scores that came without the others, and an error in its body."""

from typing import Any

import pytest

from hosted_rerank import Dialect, RateLimitError, RerankError, Usage
from hosted_rerank.call.batching import Batch
from hosted_rerank.call.request_flow import Exchange
from hosted_rerank.limits.classification import error_in_success
from hosted_rerank.limits.endpoint_state import EndpointState
from hosted_rerank.observability.events import CallObserver
from tests.byhand import answered, limits, planned, walk
from tests.conftest import Acme, Rerank
from tests.hostile import HostileServer, ranked, ranking, reply


def test_incomplete_ranking(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Under passthrough the scores that came count, and the other documents are marked; else the call fails."""
    body = {"results": [{"index": 2, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.3}]}
    server.play(reply(200, body | {"usage": {"total_tokens": 7}}))
    response = rerank(acme(on_error="passthrough"), documents=["a", "b", "c", ""])
    assert [result[:3] for result in response.results] == [
        *((2, 0.9, None), (0, 0.3, None)),
        *((1, None, "MalformedResponseError"), (3, None, None)),
    ]
    assert response.usage == Usage(total_tokens=7)
    assert "2 results came back, 3 of 3 were requested" in str(response.error)
    with pytest.raises(Exception, match="2 results came back") as caught:
        rerank(acme(), documents=["a", "b", "c"])
    assert type(caught.value).__name__ == "MalformedResponseError"


def test_incomplete_ranking_in_the_cache(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A cache keeps the scores that came, and the next call asks for the others alone."""
    cache: dict[str, float] = {}
    server.play(reply(200, ranked(0.3, 0.2)), ranking())
    reranker = acme(on_error="passthrough", cache=cache)
    rerank(reranker, documents=["a", "b", "c"])
    assert len(cache) == 2
    assert rerank(reranker, documents=["a", "b", "c"]).error is None
    assert server.requests[1].body["documents"] == ["c"]


def test_incomplete_ranking_by_position(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Scores without an index, and too few of them, belong to nobody."""
    server.play(reply(200, {"scores": [0.9, 0.3]}))
    row = {"dialect": Dialect(results="scores", index=None, score="")}
    response = rerank(acme(row=row, on_error="passthrough"), documents=["a", "b", "c"])
    assert [result[:3] for result in response.results] == [
        (index, None, "MalformedResponseError") for index in range(3)
    ]


def test_incomplete_ranking_of_a_part() -> None:
    """The end of a request is told with the error that its ranking has."""
    told = list[RerankError | None]()

    class Observer(CallObserver):
        def on_batch_end(self, span: Any, attempts: int, error: RerankError | None) -> None:
            told.append(error)

    todo = planned(documents=["a", "b", "c"])
    part = Batch(todo.all_texts[:2])
    steps = Exchange(todo, part, None, EndpointState(), "k", 0.0, lambda: 0.0, observer=Observer()).steps()
    next(steps)
    with pytest.raises(StopIteration) as ended:
        steps.send(answered(200, ranked(0.5)))
    assert told == [ended.value.value.error]
    assert "1 results came back" in str(told[0])


def test_malformed_success_is_a_response() -> None:
    """A server that answers anything at all is no outage: its failures before that are no longer in a row."""
    state = EndpointState()
    walk(planned(limits=limits(max_retries=0)), answered(500), service=state)
    malformed, failures = answered(200, "no"), state.breaker.reason
    assert failures
    walk(planned(), malformed, service=state)
    assert state.breaker.reason != failures


@pytest.mark.parametrize("results", [{}, {"results": [{"index": 0, "relevance_score": 0.5}]}], ids=["none", "some"])
def test_error_in_a_success(server: HostileServer, acme: Acme, rerank: Rerank, results: dict[str, Any]) -> None:
    """A 200 with an error's status in its body is that error: it is asked for again, or raised, as that status is."""
    limited = reply(200, results | {"error": {"code": 429, "message": "slow down"}}, retry_after_ms="1")
    server.play(limited, ranking())
    assert len(rerank(acme(max_retries=1)).results) == 3
    assert len(server.requests) == 2
    server.play(limited)
    with pytest.raises(RateLimitError, match="slow down") as caught:
        rerank(acme())
    assert caught.value.status == 429


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"code": 429}}, 429),
        ({"error": {"code": "503"}}, 503),
        ({"error": {"code": "NOT_FOUND", "status": None}}, 404),
        ({"error": {"type": "rate_limit_exceeded"}}, 429),
        ({"error": {"code": 8, "status": "RESOURCE_EXHAUSTED"}}, 429),
        ({"code": 404, "object": "error", "message": "The model does not exist.", "type": "NotFoundError"}, 404),
        ({"results": None, "status_code": 500}, 500),
        ({"errors": [{"status": 401}]}, 401),
        ({"error": {"code": True}}, None),
        ({"error": {"code": 10_000}}, None),
        ({"error": {"code": 200}}, None),
        ({"error": "busy"}, None),
        ({}, None),
        ([429], None),
    ],
)
def test_status_of_an_error_in_a_success(body: Any, status: int | None) -> None:
    """The status is a number or the name of one; a body without it is no error that one knows."""
    found = error_in_success(answered(200, body))
    assert (found and found.status) == status
