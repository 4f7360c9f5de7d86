"""The Fireworks rerank API, field by field, against the schema of its reference."""

import json

import pytest
from jsonschema import Draft202012Validator

from hosted_rerank.local.apis import MAX_BODY, ApiRequest, respond
from hosted_rerank.local.fireworks import FIREWORKS, SERVERLESS
from tests.local.fireworks_api import DOCUMENTS, PATH, get_data, get_error, post, score

REQUEST = Draft202012Validator(
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["query", "documents"],
        "properties": {
            "query": {"type": "string"},
            "documents": {"type": "array", "minItems": 1, "items": {"type": "string"}},
            "model": {"type": ["string", "null"]},
            "top_n": {"type": ["integer", "null"], "minimum": 1},
            "return_documents": {"type": "boolean"},
            "task": {"type": ["string", "null"]},
        },
    }
)
RESPONSE = Draft202012Validator(
    {
        "type": "object",
        "required": ["object", "model", "data", "usage"],
        "additionalProperties": False,
        "properties": {
            "object": {"const": "list"},
            "model": {"type": "string"},
            "data": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["index", "relevance_score"],
                    "additionalProperties": False,
                    "properties": {
                        "index": {"type": "integer"},
                        "relevance_score": {"type": "number", "minimum": 0, "maximum": 1},
                        "document": {"type": ["string", "null"]},
                    },
                },
            },
            "usage": {
                "type": "object",
                "required": ["prompt_tokens", "total_tokens"],
                "properties": {"prompt_tokens": {"type": "integer"}, "total_tokens": {"type": "integer"}},
            },
        },
    }
)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"model": None},
        {"model": SERVERLESS},
        {"top_n": None},
        {"top_n": 1},
        {"top_n": 100},
        {"top_n": 0},
        {"top_n": -1},
        {"top_n": "2"},
        {"top_n": True},
        {"top_n": 1.5},
        {"return_documents": True},
        {"return_documents": False},
        {"return_documents": None},
        {"return_documents": "false"},
        {"return_documents": 0},
        {"task": "Given a question, find the answer"},
        {"task": None},
        {"task": 1},
        {"query": ""},
        {"query": None},
        {"query": ["a"]},
        {"documents": []},
        {"documents": [""]},
        {"documents": None},
        {"documents": "a"},
        {"documents": {"0": "a"}},
        {"documents": ["a", None]},
        {"documents": [{"text": "a"}]},
        {"documents": ["a", 1]},
        {"model": 1},
        {"user": "me"},
        {"service_tier": "auto"},
        {"instruction": "x"},
        {"truncate": True},
        {"max_tokens_per_doc": 10},
    ],
    ids=str,
)
def test_a_request_is_accepted_exactly_if_the_schema_allows_it(change: dict[str, object]) -> None:
    """Types, ranges, nulls and unknown fields are as strict as the reference, and the answer has its shape."""
    body = {"query": "q", "documents": DOCUMENTS, **change}
    answer = post(body)
    assert answer.status == (200 if REQUEST.is_valid(body) else 400)
    if answer.status == 200:
        RESPONSE.validate(answer.body)


@pytest.mark.parametrize("field", ["query", "documents"])
def test_what_is_required_is_required(field: str) -> None:
    """A request without a query or without documents says which is missing."""
    body = {"query": "q", "documents": DOCUMENTS}
    del body[field]
    assert get_error(post(body))["message"] == f"Field required, field: '{field}'"


def test_results_come_best_first() -> None:
    """Results are sorted by score, ties in input order, with the documents as strings unless they are declined."""
    expected = [(1, "best of all"), (0, "middle"), (3, "middle"), (2, "x")]
    data = get_data(post({"query": "q", "documents": DOCUMENTS}))
    assert [(item["index"], item["document"]) for item in data] == expected
    assert [item["relevance_score"] for item in data] == [0.11, 0.06, 0.06, 0.01]
    data = get_data(post({"query": "q", "documents": DOCUMENTS, "top_n": 2, "return_documents": False}))
    assert data == [{"index": 1, "relevance_score": 0.11}, {"index": 0, "relevance_score": 0.06}]


def test_usage_counts_what_the_model_read() -> None:
    """Both token counts are the model's."""
    usage = json.loads(post({"query": "q", "documents": DOCUMENTS}).content)["usage"]
    assert usage == {"prompt_tokens": 7, "total_tokens": 7}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"query": "q", "documents": ["a"], "reasoning_effort": 100},
            "Extra inputs are not permitted, field: 'reasoning_effort', value: 100",
        ),
        (
            {"query": 1, "documents": ["a", None], "user": "me"},
            (
                "3 request validation errors: Input should be a valid string, field: 'query', value: 1; "
                "Input should be a valid string, field: 'documents[1]', value: None; "
                "Extra inputs are not permitted, field: 'user', value: 'me'"
            ),
        ),
        ([], "Input should be a valid dictionary or instance of CreateRerankRequest, field: '', value: []"),
        (b"{", "Request body is not valid JSON"),
        (b"", "Request body is not valid JSON"),
        (b'{"query": "\\ud800", "documents": ["a"]}', "Request body is not valid JSON"),
        (b"[" * 100_000, "Request body is not valid JSON"),
    ],
)
def test_a_wrong_request_is_told_all_that_is_wrong(body: object, message: str) -> None:
    """A 400 names every field and quotes its value, in one message."""
    answer = post(body)
    assert answer.status == 400
    assert get_error(answer) == {
        "object": "error",
        "type": "invalid_request_error",
        "code": "invalid_request_error",
        "message": message,
    }


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic sk", "sk", "Bearer sk2", "Bearer schlüssel"]
)
def test_a_wrong_or_missing_key_is_401(authorization: str | None) -> None:
    """Where a key is asked for, nothing else will do, and the body is not even looked at."""
    headers = {} if authorization is None else {"authorization": authorization}
    answer = post(b"{", "sk", **headers)
    assert answer.status == 401
    assert get_error(answer) == {
        "message": "The API key you provided is invalid.",
        "param": None,
        "code": "UNAUTHORIZED",
        "type": "error",
    }


def test_the_right_key_is_accepted_and_none_is_asked_for_by_default() -> None:
    """The key of the server opens it; without one, any key or none will do."""
    body = {"query": "q", "documents": ["a"]}
    assert post(body, "sk", authorization="Bearer sk").status == 200
    assert post(body, "sk", authorization="bearer sk").status == 200
    assert post(body).status == post(body, authorization="Bearer any").status == 200


def test_other_methods_and_paths_are_refused() -> None:
    """A wrong method says which is right, and a wrong path is not found, both in the gateway's envelope."""
    answer = respond(FIREWORKS, ApiRequest("GET", PATH, {}, b""), score)
    assert (answer.status, answer.headers, get_error(answer)["code"]) == (405, {"allow": "POST"}, "METHOD_NOT_ALLOWED")
    answer = respond(FIREWORKS, ApiRequest("POST", "/inference/v1/models", {}, b""), score)
    assert (answer.status, answer.headers) == (405, {"allow": "GET"})
    answer = respond(FIREWORKS, ApiRequest("POST", "/inference/v2/rerank", {}, b"{}"), score)
    assert (answer.status, get_error(answer)["code"]) == (404, "NOT_FOUND")


def test_a_body_beyond_the_bound_is_413() -> None:
    """One byte more than 64 MiB is too much."""
    body = json.dumps({"query": "q", "documents": ["a"]}).encode()
    assert post(body.ljust(MAX_BODY)).status == 200
    answer = post(body.ljust(MAX_BODY + 1))
    assert (answer.status, get_error(answer)["code"]) == (413, "PAYLOAD_TOO_LARGE")
