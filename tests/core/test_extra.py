"""What an API says beside the scores is in `extra`: of the reply, and of each result."""

import logging
import pickle
from dataclasses import replace
from typing import Any

import pytest

from hosted_rerank import Dialect, InvalidRequestError, Reranker, RerankResponse, RerankResult
from tests.conftest import KEY, Acme, Rerank
from tests.hostile import HostileServer, reply

TEXTS = ["swift", "salmon", "dormouse"]


def said(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"results": list(results), **more}


def test_fields_of_reply_and_results(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """The fields beside index, score and results are there as the API wrote them, each with its own document."""
    server.play(
        reply(
            200,
            said(
                {"index": 1, "relevance_score": 0.9, "document": {"text": "dormouse"}, "embedding": [0.5, 0.25]},
                {"index": 0, "relevance_score": 0.5},
                id="rerank-1",
                service_tier="flex",
                meta={"warnings": ["old"], "cached_tokens": 3},
                usage={"total_tokens": 12.0, "prompt_tokens_details": {"cached_tokens": 4}},
            ),
            **{"x-request-id": "req-1"},
        )
    )
    response = rerank(acme(), documents=["swift", " ", "dormouse"], top_n=2)
    best, other = response.results
    assert (best.index, best.extra) == (2, {"document": {"text": "dormouse"}, "embedding": [0.5, 0.25]})
    assert (other.index, other.extra) == (0, {})
    assert response.extra == {
        "id": "rerank-1",
        "service_tier": "flex",
        "meta": {"warnings": ["old"], "cached_tokens": 3},
        "usage": {"total_tokens": 12.0, "prompt_tokens_details": {"cached_tokens": 4}},
    }
    assert (response.request_ids, response.usage.total_tokens) == (("req-1",), 12)
    assert type(response.usage.total_tokens) is int


def test_not_shown(server: HostileServer, acme: Acme, rerank: Rerank, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a repr nor a log line nor a table shows `extra`, which may hold texts; a pickle and a copy keep it."""
    caplog.set_level(logging.DEBUG)
    server.play(reply(200, said({"index": 0, "relevance_score": 0.9, "document": "SECRET"}, note="SECRET")))
    response = rerank(acme(), documents=["swift"])
    assert response.extra["note"] == response.results[0].extra["document"] == "SECRET"
    shown = (repr(response), str(response.results[0]), response.summary, response._repr_html_(), caplog.text)
    assert "SECRET" not in "".join(shown)
    assert repr(response.results[0]) == "RerankResult(index=0, relevance_score=0.9)"
    assert repr(RerankResult(1, None, "ServerError")).endswith("relevance_score=None, error='ServerError')")
    assert pickle.loads(pickle.dumps(response)) == replace(response)


def test_of_several_requests(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Each result has the fields of its own request's reply; equal documents share them; the last reply counts."""
    server.play(
        reply(200, said({"index": 0, "relevance_score": 0.5, "document": "swift"}, warning="w", id="one")),
        reply(200, said({"index": 0, "relevance_score": 0.4, "document": "salmon"}, id="two")),
    )
    reranker = acme(batch_size=1, max_concurrency=1)
    response = rerank(reranker, documents=["swift", "salmon", "swift"])
    assert [(each.index, each.extra["document"]) for each in response.results] == [
        (0, "swift"),
        (2, "swift"),
        (1, "salmon"),
    ]
    assert response.extra == {"id": "two", "warning": "w"}


@pytest.mark.parametrize(
    ("dialect", "body", "of_reply", "of_result"),
    [
        (Dialect(results="", score="score"), [{"index": 0, "score": 1.0, "meta_info": 7}], {}, {"meta_info": 7}),
        (
            Dialect(results="scores", index=None, score=""),
            {"scores": [1.0], "request_id": "r"},
            {"request_id": "r"},
            {},
        ),
        (
            Dialect(results="output.results"),
            {"output": {**said({"index": 0, "relevance_score": 1.0}), "tier": "t"}, "request_id": "r"},
            {"output": {"tier": "t"}, "request_id": "r"},
            {},
        ),
    ],
)
def test_in_every_shape(
    dialect: Dialect, body: Any, of_reply: Any, of_result: Any, server: HostileServer, acme: Acme, rerank: Rerank
) -> None:
    """An array has no fields, and scores by position have none; nested results leave what is beside them."""
    server.play(reply(200, body))
    response = rerank(acme(row={"dialect": dialect}), documents=["swift"])
    assert (response.extra, response.results[0].extra) == (of_reply, of_result)


def test_cached_scores_have_none(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A score from the cache comes without other fields, and without a reply."""
    server.play(reply(200, said({"index": 0, "relevance_score": 0.9, "document": "swift"}, note="n")))
    reranker = acme(cache={})
    assert rerank(reranker, documents=["swift"]).extra == {"note": "n"}
    again = rerank(reranker, documents=["swift"])
    assert (again.extra, again.results) == ({}, (RerankResult(0, 0.9),))


def test_options_of_a_call(server: HostileServer, rerank: Rerank) -> None:
    """Options of a call come beside those of the reranker, for that call; a wrong one is refused before any request."""
    reranker = Reranker("nebius", api_key=KEY, base_url=server.url, options={"service_tier": "flex", "user": "u-1"})
    rerank(reranker, options={"user": "u-2"})
    rerank(reranker)
    with pytest.raises(ValueError, match="no option 'users'"):
        rerank(reranker, options={"users": "u-3"})
    assert [(seen.body["service_tier"], seen.body["user"]) for seen in server.requests] == [
        ("flex", "u-2"),
        ("flex", "u-1"),
    ]


def test_on_response(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """The caller's function gets the response of each call; a call that fails has none; its errors are the call's."""
    responses: list[RerankResponse] = []
    reranker = acme(on_response=responses.append)
    response = rerank(reranker)
    with pytest.raises(InvalidRequestError):
        rerank(reranker, "")
    assert responses == [response]
    assert pickle.loads(pickle.dumps(reranker))._on_response is None

    def fail(_: RerankResponse) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        rerank(acme(on_response=fail))


def test_webhook_is_refused() -> None:
    """An option that would take the scores elsewhere is refused with the reason, before any request."""
    with pytest.raises(ValueError, match="options: webhook of the deepinfra API cannot be used here: the scores would"):
        Reranker("deepinfra", options={"webhook": "https://example.org"})
