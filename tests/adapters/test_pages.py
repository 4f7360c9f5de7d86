"""The two API pages that the project began with, line by line: each field, default, range and reply field.

Read on November 21, 2026: docs.fireworks.ai/api-reference/rerank-documents and
docs.tokenfactory.nebius.com/api-reference/rerank/create-rerank.
"""

from types import ModuleType
from typing import Any

import pytest

from hosted_rerank import Reranker, RerankResponse
from tests.adapters.fixtures import Asking, Rank
from tests.conftest import KEY, QUERY, Rerank
from tests.hostile import HostileServer, reply

TEXTS = ("swift", "salmon")
OWN_CLASS = {"fireworks": "FireworksRerank", "nebius": "NebiusRerank"}

REQUEST_LINES = [
    # page, what a class of a framework is given, what the core is given, the field or query, what is sent
    ("fireworks", {}, {}, "query", QUERY),
    ("fireworks", {}, {}, "documents", list(TEXTS)),
    ("fireworks", {"model": "accounts/a/models/m"}, {"model": "accounts/a/models/m"}, "model", "accounts/a/models/m"),
    ("fireworks", {"top_n": 1}, {"top_n": 1}, "top_n", 1),
    ("fireworks", {"top_n": None}, {}, "top_n", None),
    ("fireworks", {}, {}, "return_documents", False),  # the page's default is true
    ("fireworks", {"return_documents": True}, {"options": {"return_documents": True}}, "return_documents", True),
    ("fireworks", {}, {}, "task", None),
    ("fireworks", {"task": "Prefer birds."}, {"instruction": "Prefer birds."}, "task", "Prefer birds."),
    ("nebius", {}, {}, "model", "Qwen/Qwen3-Reranker-8B"),
    ("nebius", {}, {}, "query", QUERY),
    ("nebius", {}, {}, "documents", list(TEXTS)),
    ("nebius", {}, {}, "user", None),
    ("nebius", {"user": "u-7"}, {"options": {"user": "u-7"}}, "user", "u-7"),
    ("nebius", {}, {}, "service_tier", None),  # the page's default is auto
    *(
        ("nebius", {"service_tier": tier}, {"options": {"service_tier": tier}}, "service_tier", tier)
        for tier in ("auto", "default", "over-limit", "flex", "no-limit")
    ),
    ("nebius", {"ai_project_id": "p-1"}, {"params": {"ai_project_id": "p-1"}}, "?", "ai_project_id=p-1"),
]
OUT_OF_RANGE = [
    ("fireworks", {"top_n": 0}),
    ("fireworks", {"options": {"return_documents": "yes"}}),
    ("fireworks", {"task": "Prefer birds.", "instruction": "Prefer fish."}),
    ("nebius", {"service_tier": "fast"}),
    ("nebius", {"options": {"user": 7}}),
]
REPLIES = {
    "fireworks": {
        "object": "list",
        "model": "accounts/fireworks/models/qwen3-reranker-8b",
        "data": [
            {"index": 1, "relevance_score": 0.75, "document": "salmon"},
            {"index": 0, "relevance_score": 0.25, "document": None},
        ],
        "usage": {"prompt_tokens": 12, "total_tokens": 13},
    },
    "nebius": {
        "id": "rerank-1",
        "model": "Qwen/Qwen3-Reranker-8B",
        "usage": {"prompt_tokens": 12, "total_tokens": 13},
        "results": [
            {"index": 1, "relevance_score": 0.75, "document": {"text": "salmon"}},
            {"index": 0, "relevance_score": 0.25, "document": {"text": "swift"}},
        ],
    },
}


def sent(server: HostileServer, field: str) -> Any:
    (seen,) = server.requests
    return seen.target.partition("?")[2] if field == "?" else seen.body.get(field)


@pytest.mark.parametrize(("page", "settings", "_core", "field", "value"), REQUEST_LINES)
def test_request_line(
    page: str,
    settings: Any,
    _core: Any,
    field: str,
    value: Any,
    host: ModuleType,
    asking: Asking,
    rank: Rank,
    server: HostileServer,
) -> None:
    """Each field of a request can be set under its own name in both frameworks, and has the default that is stated."""
    given = {"top_n": None} | settings
    rank(asking(getattr(host, OWN_CLASS[page]), **given), host.candidates(*TEXTS))
    assert sent(server, field) == value


@pytest.mark.parametrize(("page", "_settings", "core", "field", "value"), REQUEST_LINES)
def test_request_line_of_the_core(
    page: str, _settings: Any, core: Any, field: str, value: Any, rerank: Rerank, server: HostileServer
) -> None:
    """Each field of a request can be set in the core."""
    settings = {name: given for name, given in core.items() if name != "top_n"}
    rerank(Reranker(page, api_key=KEY, base_url=server.url, **settings), documents=TEXTS, top_n=core.get("top_n"))
    assert sent(server, field) == value


@pytest.mark.parametrize(("page", "settings"), OUT_OF_RANGE)
def test_out_of_range(page: str, settings: Any, host: ModuleType, asking: Asking, server: HostileServer) -> None:
    """A value that the page does not allow is refused when the reranker is made."""
    with pytest.raises((ValueError, TypeError)):
        asking(getattr(host, OWN_CLASS[page]), **settings)
    assert server.requests == []


def test_no_documents(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """Fireworks takes at least one document: without any, nothing is sent."""
    assert rank(asking(host.FireworksRerank), []) == []
    assert server.requests == []


def check_response(page: str, response: RerankResponse) -> None:
    """Each field of the reply is in the response."""
    body = REPLIES[page]
    assert response.model == body["model"]
    assert (response.usage.prompt_tokens, response.usage.total_tokens) == (12, 13)
    assert response.extra == {name: value for name, value in body.items() if name not in ("data", "results")}
    results = body.get("data") or body["results"]
    assert [
        {"index": each.index, "relevance_score": each.relevance_score, **each.extra} for each in response.results
    ] == results
    assert response.request_ids == (("req-1",) if page == "fireworks" else ("inf-1",))


HEADERS = {"fireworks": {"x-request-id": "req-1"}, "nebius": {"x-inference-id": "inf-1"}}


@pytest.mark.parametrize("page", REPLIES)
def test_reply_lines_of_the_core(page: str, rerank: Rerank, server: HostileServer) -> None:
    """Each field of a reply is in the core's response; Nebius' id stands beside the id of the header."""
    server.play(reply(200, REPLIES[page], **HEADERS[page]))
    check_response(page, rerank(Reranker(page, api_key=KEY, base_url=server.url), documents=TEXTS))


@pytest.mark.parametrize("page", REPLIES)
def test_reply_lines(page: str, host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """Both frameworks hand the whole response to `on_response`, and keep a result's other fields if asked to."""
    server.play(reply(200, REPLIES[page], **HEADERS[page]), reply(200, REPLIES[page]))
    responses: list[RerankResponse] = []
    reranker = asking(getattr(host, OWN_CLASS[page]), on_response=responses.append)
    best = rank(reranker, host.candidates(*TEXTS))
    assert [host.score(each) for each in best] == [0.75, 0.25]
    assert [host.extra(each) for each in best] == [None, None]
    check_response(page, responses[0])
    reranker.keep_extra = True
    best = rank(reranker, host.candidates(*TEXTS))
    assert [host.extra(each) for each in best] == [result.extra for result in responses[1].results]


def test_user_of_a_call(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """Nebius' user can be another one in each call; its bare name is refused with what to write."""
    reranker = asking(host.NebiusRerank, user="u-1")
    rank(reranker, host.candidates(*TEXTS), options={"user": "u-2"})
    rank(reranker, host.candidates(*TEXTS))
    assert [seen.body["user"] for seen in server.requests] == ["u-2", "u-1"]
    with pytest.raises(TypeError, match=r"pass options=\{'user': \.\.\.\}"):
        rank(reranker, host.candidates(*TEXTS), user="u-3")


def test_task_holds_until_a_call_has_its_own(
    host: ModuleType, asking: Asking, rank: Rank, server: HostileServer
) -> None:
    """An instruction of a call is sent in place of the `task`."""
    reranker = asking(host.FireworksRerank, task="Prefer birds.")
    rank(reranker, host.candidates(*TEXTS), top_n=1)
    rank(reranker, host.candidates(*TEXTS), instruction="Prefer fish.")
    assert [seen.body["task"] for seen in server.requests] == ["Prefer birds.", "Prefer fish."]
