"""The Nebius Token Factory rerank API, field by field, against the schema of its reference."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hosted_rerank.local.apis import MAX_BODY, ApiRequest, ApiResponse, respond
from hosted_rerank.local.model import Scores
from hosted_rerank.local.nebius import MODEL, NEBIUS

PATH = "/v1/rerank"
DOCUMENTS = ["middle", "best of all", "x", "middle"]

REQUEST = Draft202012Validator(
    {
        "type": "object",
        "required": ["model", "query", "documents"],
        "properties": {
            "model": {"type": "string"},
            "query": {"type": "string"},
            "documents": {"type": "array", "items": {"type": "string"}},
            "user": {"type": ["string", "null"]},
            "service_tier": {"enum": ["auto", "default", "over-limit", "flex", "no-limit", None]},
        },
    }
)
RESPONSE = Draft202012Validator(
    {
        "type": "object",
        "required": ["id", "model", "usage", "results"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string", "pattern": "^rerank-[0-9a-f]{16}$"},
            "model": {"const": MODEL},
            "usage": {
                "type": "object",
                "required": ["prompt_tokens", "total_tokens"],
                "properties": {"prompt_tokens": {"type": "integer"}, "total_tokens": {"type": "integer"}},
            },
            "results": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["index", "document", "relevance_score"],
                    "additionalProperties": False,
                    "properties": {
                        "index": {"type": "integer"},
                        "document": {
                            "type": "object",
                            "required": ["text"],
                            "additionalProperties": False,
                            "properties": {"text": {"type": "string"}},
                        },
                        "relevance_score": {"type": "number"},
                    },
                },
            },
        },
    }
)


def score(_query: str, documents: Sequence[str]) -> Scores:
    """A stand-in for the model: the longer a text, the better."""
    return Scores(tuple(len(document) / 100 for document in documents), 7)


def post(body: object, api_key: str | None = None, **headers: str) -> ApiResponse:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = respond(NEBIUS, ApiRequest("POST", PATH, headers, content), score, api_key)
    assert isinstance(json.loads(answer.content), dict)
    return answer


def get_body(answer: ApiResponse) -> dict[str, Any]:
    return json.loads(answer.content)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"user": "me"},
        {"user": None},
        {"user": 1},
        *({"service_tier": tier} for tier in ("auto", "default", "over-limit", "flex", "no-limit", None)),
        {"service_tier": "priority"},
        {"service_tier": "Auto"},
        {"service_tier": 1},
        {"query": ""},
        {"query": None},
        {"documents": [""]},
        {"documents": None},
        {"documents": "a"},
        {"documents": ["a", None]},
        {"documents": [{"text": "a"}]},
        {"model": None},
        {"top_n": 1},
        {"top_n": "nonsense"},
        {"return_documents": False},
        {"instruction": "x"},
    ],
    ids=str,
)
def test_a_request_is_accepted_exactly_if_the_schema_allows_it(change: dict[str, object]) -> None:
    """Types, nulls and tiers are as strict as the reference; unknown fields are ignored; the answer has its shape."""
    body = {"model": MODEL, "query": "q", "documents": DOCUMENTS, **change}
    answer = post(body)
    assert answer.status == (200 if REQUEST.is_valid(body) else 422)
    if answer.status == 200:
        RESPONSE.validate(answer.body)
        assert len(get_body(answer)["results"]) == len(body["documents"])


def test_results_come_best_first_with_their_documents() -> None:
    """All documents come back, sorted by score, ties in input order."""
    results = get_body(post({"model": MODEL, "query": "q", "documents": DOCUMENTS}))["results"]
    assert results == [
        {"index": 1, "document": {"text": "best of all"}, "relevance_score": 0.11},
        {"index": 0, "document": {"text": "middle"}, "relevance_score": 0.06},
        {"index": 3, "document": {"text": "middle"}, "relevance_score": 0.06},
        {"index": 2, "document": {"text": "x"}, "relevance_score": 0.01},
    ]


def test_usage_counts_what_the_model_read() -> None:
    """Both token counts are the model's."""
    usage = get_body(post({"model": MODEL, "query": "q", "documents": DOCUMENTS}))["usage"]
    assert usage == {"prompt_tokens": 7, "total_tokens": 7}


@pytest.mark.parametrize("model", ["x", "qwen/qwen3-reranker-8b", "Qwen/Qwen3-Reranker-4B", ""])
def test_another_model_does_not_exist(model: str) -> None:
    """Ids are exact, upper and lower case included; any other is a 404 that names it."""
    answer = post({"model": model, "query": "q", "documents": ["a"]})
    assert answer.status == 404
    assert answer.body == {"detail": f"The model `{model}` does not exist."}


@pytest.mark.parametrize(
    ("body", "details"),
    [
        (
            {"model": MODEL},
            [
                {"type": "missing", "loc": ["body", "query"], "msg": "Field required", "input": {"model": MODEL}},
                {"type": "missing", "loc": ["body", "documents"], "msg": "Field required", "input": {"model": MODEL}},
            ],
        ),
        (
            {"model": MODEL, "query": 1, "documents": ["a", 2]},
            [
                {"type": "string_type", "loc": ["body", "query"], "msg": "Input should be a valid string", "input": 1},
                {
                    "type": "string_type",
                    "loc": ["body", "documents", 1],
                    "msg": "Input should be a valid string",
                    "input": 2,
                },
            ],
        ),
        (
            {"model": MODEL, "query": "q", "documents": [], "service_tier": "fast"},
            [
                {
                    "type": "literal_error",
                    "loc": ["body", "service_tier"],
                    "msg": "Input should be 'auto', 'default', 'over-limit', 'flex' or 'no-limit'",
                    "input": "fast",
                    "ctx": {"expected": "'auto', 'default', 'over-limit', 'flex' or 'no-limit'"},
                }
            ],
        ),
        (
            ["a"],
            [
                {
                    "type": "model_attributes_type",
                    "loc": ["body"],
                    "msg": "Input should be a valid dictionary or object to extract fields from",
                    "input": ["a"],
                }
            ],
        ),
        (b"", [{"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}]),
        (b"null", [{"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}]),
    ],
)
def test_a_wrong_request_lists_all_that_is_wrong(body: object, details: list[dict[str, object]]) -> None:
    """A 422 is FastAPI's: each error with its type, place, message and the input that was sent."""
    answer = post(body)
    assert answer.status == 422
    assert get_body(answer) == {"detail": details}


@pytest.mark.parametrize("content", [b"{", b'{"model": }', b'{"model": "\\ud800"}', b"[" * 100_000])
def test_what_is_not_json_says_where_it_stops_being_so(content: bytes) -> None:
    """A body that cannot be parsed is a 422 with the position."""
    answer = post(content)
    (detail,) = get_body(answer)["detail"]
    where, position = detail["loc"]
    assert (answer.status, detail["type"], where) == (422, "json_invalid", "body")
    assert isinstance(position, int)
    assert detail["ctx"]["error"]


def test_no_documents_is_the_model_servers_own_error() -> None:
    """The API states no minimum; the server behind it refuses an empty list, in a shape of its own."""
    answer = post({"model": MODEL, "query": "q", "documents": []})
    assert answer.status == 400
    assert get_body(answer)["error"]["code"] == 400


def test_a_wrong_or_missing_key_is_401() -> None:
    """Where a key is asked for, a missing one and a wrong one are told apart."""
    answer = post(b"{", "sk")
    assert (answer.status, answer.body) == (401, {"detail": "Couldn't authenticate. Reason: token is not present"})
    answer = post(b"{", "sk", authorization="Bearer wrong")
    assert (answer.status, answer.body) == (401, {"detail": "Couldn't authenticate. Reason: Unable authenticate"})
    assert post({"model": MODEL, "query": "q", "documents": ["a"]}, "sk", authorization="Bearer sk").status == 200


def test_other_methods_paths_and_sizes_are_refused() -> None:
    """405, 404 and 413 say no more than their name."""
    answer = respond(NEBIUS, ApiRequest("GET", PATH, {}, b""), score)
    assert (answer.status, answer.headers, answer.body) == (405, {"allow": "POST"}, {"detail": "Method Not Allowed"})
    answer = respond(NEBIUS, ApiRequest("POST", "/v1/chat/completions", {}, b"{}"), score)
    assert (answer.status, answer.body) == (404, {"detail": "Not Found"})
    answer = post(b" " * (MAX_BODY + 1))
    assert (answer.status, answer.body) == (413, {"detail": HTTPStatus.REQUEST_ENTITY_TOO_LARGE.phrase})


def test_the_models_are_listed() -> None:
    """The list of models holds the reranker."""
    answer = respond(NEBIUS, ApiRequest("GET", "/v1/models", {}, b""), score)
    assert answer.body == {"object": "list", "data": [{"id": MODEL, "object": "model"}]}
