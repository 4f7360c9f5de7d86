"""What a row can say of an API: its address, its settings, its items, its pages, its scale."""

import math
from dataclasses import replace
from typing import Any

import orjson
import pytest

from hosted_rerank import (
    PROVIDERS,
    AuthenticationError,
    Dialect,
    InvalidRequestError,
    MalformedResponseError,
    PaymentRequiredError,
    Provider,
    RequestTooLargeError,
    Reranker,
    RerankError,
    ServerError,
)
from hosted_rerank.call.request_encoding import BatchResult
from hosted_rerank.providers.dialect import Prompt
from hosted_rerank.response import RerankResponse
from tests.byhand import ACME, answered, body_of, joined, planned, request_of, walk
from tests.conftest import Acme, Rerank
from tests.hostile import HostileServer, ranked, reply

PARTS = Provider(
    name="parts",
    url="https://{region}.h.example/v1/{account}/run/{model}",
    dialect=Dialect(model=None, options={"project": str}),
    default_model="m/x.1",
    settings_env={"region": ("PARTS_REGION", "REGION"), "project": ("PARTS_PROJECT",)},
    params={"version": "3"},
)


def url_of(provider: str | Provider, **settings: Any) -> str:
    url: str = request_of(planned(provider, **settings)).url
    return url


def test_parts_of_the_address_are_filled_in() -> None:
    """Names in braces come from `params`, the model's from `model`; other params are query parameters."""
    url = url_of(PARTS, params={"region": "eu-1", "account": "a b", "trace": "t/1"})
    assert url == "https://eu-1.h.example/v1/a%20b/run/m/x.1?version=3&trace=t%2F1"


def test_model_with_underscores() -> None:
    """`{model_}` has no dots, as NVIDIA's addresses have it."""
    row = replace(PARTS, url="https://h.example/{model_}/reranking", params={})
    assert url_of(row, model="nv/llama-3.2-rerank") == "https://h.example/nv/llama-3_2-rerank/reranking"


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first variable that is set counts, and what the caller says counts more."""
    monkeypatch.setenv("REGION", "us-2")
    monkeypatch.setenv("PARTS_PROJECT", "p-1")
    todo = planned(PARTS, params={"account": "a"})
    assert request_of(todo).url.startswith("https://us-2.h.example/v1/a/")
    assert body_of(todo)["project"] == "p-1"
    monkeypatch.setenv("PARTS_REGION", "us-3")
    todo = planned(PARTS, params={"account": "a"}, options={"project": "p-2"})
    assert "//us-3." in request_of(todo).url
    assert body_of(todo)["project"] == "p-2"
    assert "//eu-9." in url_of(PARTS, params={"account": "a", "region": "eu-9"})


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"account": "a"}, r"region.*PARTS_REGION or REGION"),
        ({"region": "eu-1"}, "account"),
        ({"region": "eu.1/x", "account": "a"}, "region.*host"),
        ({"region": "eu-1", "account": "../x"}, "account"),
        ({"region": "eu-1", "account": ""}, "account"),
    ],
)
def test_parts_that_cannot_be_right_are_refused(params: dict[str, str], named: str) -> None:
    """A part that is missing, or would lead elsewhere, is named, with where it can come from."""
    with pytest.raises(ValueError, match=named):
        Reranker(PARTS, params=params)


def test_address_with_a_model_needs_one() -> None:
    """Without a model there is no address."""
    with pytest.raises(ValueError, match="model"):
        Reranker(replace(PARTS, default_model=None), params={"region": "r", "account": "a"})


def test_default_model_may_have_parts() -> None:
    """A row's model is filled in as its address is; the caller's own passes verbatim."""
    row = replace(ACME, url="https://{region}.example/r", default_model="arn:{region}:m")
    assert body_of(planned(row, params={"region": "eu-1"}))["model"] == "arn:eu-1:m"
    assert body_of(planned(row, model="{x}", params={"region": "eu-1"}))["model"] == "{x}"
    with pytest.raises(ValueError, match="region"):
        Reranker(row, base_url="https://h.example")


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://g.example", "https://g.example/v1/acc/run/m/x.1?version=3"),
        ("https://g.example/v1", "https://g.example/v1/acc/run/m/x.1?version=3"),
        ("https://g.example/v1/other/run", "https://g.example/v1/other/run/m/x.1?version=3"),
        ("https://g.example/v1/acc/run/m/x.1", "https://g.example/v1/acc/run/m/x.1?version=3"),
        ("https://g.example/m", "https://g.example/m/v1/acc/run/m/x.1?version=3"),
    ],
)
def test_base_url_below_parts(base: str, url: str) -> None:
    """A base may end anywhere in the path, but not in the middle of a part."""
    assert url_of(PARTS, base_url=base, params={"account": "acc"}) == url


@pytest.mark.parametrize(
    "base",
    ["https://g.example/api/v1/services/rerank", "https://g.example/api/v1/services/rerank/text-rerank/text-rerank"],
)
def test_base_url_where_a_segment_comes_twice(base: str) -> None:
    """Of several places for a base's end, the one that agrees with most of it is meant."""
    url = "https://g.example/api/v1/services/rerank/text-rerank/text-rerank"
    assert url_of("dashscope-native", base_url=base) == url


def test_items_with_fields_and_ids() -> None:
    """A document may be an object, with fixed fields and with an id of ours; the results then repeat the id."""
    dialect = Dialect(
        document="inline.text", document_fields={"type": "T", "inline.kind": "K"}, document_id="id", index="id"
    )
    todo = planned(replace(ACME, dialect=dialect), documents=["one", "", "two"])
    assert body_of(todo)["documents"] == [
        {"type": "T", "inline": {"kind": "K", "text": "one"}, "id": "0"},
        {"type": "T", "inline": {"kind": "K", "text": "two"}, "id": "1"},
    ]
    results = [{"id": "1", "relevance_score": 0.9}, {"id": "0", "relevance_score": 0.1}]
    _, answer = walk(todo, answered(200, {"results": results}))
    assert list(answer.scores.items()) == [(1, 0.9), (0, 0.1)]
    for wrong in (0, "2", "-1", "0x0", "", None, True, "9" * 5000):
        results[0]["id"] = wrong
        _, error = walk(todo, answered(200, {"results": results}))
        assert type(error) is MalformedResponseError


def test_scores_in_the_order_of_the_documents() -> None:
    """An API without an index answers by position, plain numbers or objects; too few or too many are no ranking."""
    row = replace(ACME, dialect=Dialect(results="scores", index=None, score=""))
    todo = planned(row, documents=["one", "two", "", "three"])
    _, answer = walk(todo, answered(200, {"scores": [0.1, 0.9, 0.5]}))
    assert list(answer.scores.items()) == [(0, 0.1), (1, 0.9), (2, 0.5)]
    for wrong in ([0.1, 0.2], [0.1, 0.2, 0.3, 0.4], [0.1, None, 0.3], [0.1, [0.2], 0.3], [0.1, True, 0.3], "abc"):
        _, error = walk(todo, answered(200, {"scores": wrong}))
        assert type(error) is MalformedResponseError
    row = replace(ACME, dialect=Dialect(results="", index=None, score="of.1"))
    _, answer = walk(planned(row), answered(200, [{"of": [9, score]} for score in (0.3, 0.2, 0.1)]))
    assert list(answer.scores.items()) == [(0, 0.3), (1, 0.2), (2, 0.1)]


def test_absent_score_may_mean_something() -> None:
    """Where the API leaves out zeros, a missing score is one; elsewhere it is no score."""
    results = {"results": [{"index": 0, "relevance_score": 0.5}, {"index": 1}, {"index": 2, "relevance_score": None}]}
    _, answer = walk(planned(replace(ACME, dialect=Dialect(default_score=0.0))), answered(200, results))
    assert dict(answer.scores) == {0: 0.5, 1: 0.0, 2: 0.0}
    _, error = walk(planned(), answered(200, results))
    assert type(error) is MalformedResponseError


def test_top_n_that_has_to_be_said() -> None:
    """An API that would return fewer without it is always told how many."""
    row = replace(ACME, dialect=Dialect(always_send_top_n=True))
    assert body_of(planned(row))["top_n"] == 3
    assert body_of(planned(row, top_n=2))["top_n"] == 2
    assert body_of(planned(row, top_n=9))["top_n"] == 3
    assert "top_n" not in body_of(planned())


PAGED = replace(ACME, dialect=Dialect(next_page="more"))


def page(*indices: int, more: str | None = None) -> dict[str, Any]:
    results = [{"index": index, "relevance_score": index / 10} for index in indices]
    return {"results": results, "usage": {"total_tokens": 5}} | ({"more": more} if more else {})


def test_pages_are_fetched_to_the_end() -> None:
    """An answer in pages is asked for until it is whole, with the token of the next one; usage adds up."""
    steps, answer = walk(
        planned(PAGED),
        answered(200, page(2, more="a")),
        answered(503),
        answered(200, page(0, more="b")),
        answered(200, page(1)),
    )
    assert [orjson.loads(step.request.content).get("more") for step in steps] == [None, "a", "a", "b"]
    assert [step.wait > 0 for step in steps] == [False, False, True, False]
    assert isinstance(answer, BatchResult)
    assert dict(answer.scores) == {0: 0.0, 1: 0.1, 2: 0.2}
    assert (answer.attempts, answer.usage.total_tokens) == (4, 15)


@pytest.mark.parametrize(
    "last", [page(), page(more="b"), page(2, more="b"), page(0)], ids=["end", "empty", "again", "short"]
)
def test_pages_that_are_no_whole_ranking(last: dict[str, Any]) -> None:
    """Pages that end early, bring nothing, or repeat a document are refused, and not asked for for ever."""
    _, error = walk(planned(PAGED), answered(200, page(2, more="a")), answered(200, last))
    assert type(error) is MalformedResponseError


def test_pages_nobody_needs_are_left() -> None:
    """A token after the last document that was asked for is not followed."""
    _, answer = walk(planned(PAGED, top_n=1), answered(200, page(2, more="a")))
    assert list(answer.scores.items()) == [(2, 0.2)]


def test_prompts() -> None:
    """A reranker that is asked as a language model gets one prompt for each document, and no query of its own."""
    prompt = Prompt("<|im_start|>I: {instruction} Q: {query} D: {document}<|im_end|>", "the usual")
    row = replace(ACME, dialect=Dialect(query=None, documents="input", prompt=prompt, top_n=None))
    assert body_of(planned(row, documents=["one", "{query}"], top_n=1))["input"] == [
        "<|im_start|>I: the usual Q: which? D: one<|im_end|>",
        "<|im_start|>I: the usual Q: which? D: {query}<|im_end|>",
    ]
    (text,) = body_of(planned(row, documents=["a<|im_end|>b"], instruction="be brief"))["input"]
    assert text == "<|im_start|>I: be brief Q: which? D: a< |im_end|>b<|im_end|>"


def test_instruction_in_the_query() -> None:
    """Asked to, an instruction goes before the query where the API has no field, and into the field where it has."""
    body = body_of(planned(instruction="be brief", instruction_in_query=True))
    assert body["query"] == "be brief\nwhich?"
    assert body_of(planned("fireworks", instruction="be brief", instruction_in_query=True))["query"] == "which?"
    with pytest.raises(InvalidRequestError, match="instruction_in_query=True"):
        planned(instruction="be brief")


def test_extra_body() -> None:
    """Fields that a row does not list go along only where the API ignores what it does not know."""
    row = replace(ACME, dialect=Dialect(allows_extra_fields=True, static_fields={"echo": False}, options={"user": str}))
    assert body_of(planned(row, extra_body={"colour": {"of": "sky"}}))["colour"] == {"of": "sky"}
    with pytest.raises(ValueError, match="extra_body"):
        planned(extra_body={"colour": "red"})
    for own in ("query", "documents", "model", "top_n", "echo", "user"):
        with pytest.raises(ValueError, match=own):
            planned(row, extra_body={own: "x"})
    with pytest.raises(ValueError, match="extra_body"):
        planned(row, options={"colour": "red"})


def merged(row: Provider, *scores: float, **settings: Any) -> RerankResponse:
    todo = planned(row, documents=[f"d{number}" for number in range(len(scores))], **settings)
    _, answer = walk(todo, answered(200, ranked(*scores)))
    assert isinstance(answer, BatchResult)
    return joined(todo, answer)


LOGITS = replace(ACME, score_kind="logit")
UNIT = replace(ACME, score_kind="unit")


@pytest.mark.parametrize(
    ("row", "chosen", "scores", "expected", "kind", "done"),
    [
        (UNIT, "auto", (0.25, 1.0, 0.0), (1.0, 0.25, 0.0), "unit", "none"),
        (UNIT, "none", (0.25,), (0.25,), "unit", "none"),
        (UNIT, "sigmoid", (0.0,), (0.5,), "unit", "sigmoid"),
        (UNIT, "auto", (7.0, 0.5), (7.0, 0.5), "unknown", "none"),
        (LOGITS, "auto", (0.0, math.log(3)), (0.75, 0.5), "unit", "sigmoid"),
        (LOGITS, "none", (-2.0, 3.0), (3.0, -2.0), "logit", "none"),
        (ACME, "auto", (-2.0, 3.0), (3.0, -2.0), "unknown", "none"),
        (ACME, "sigmoid", (-1e6, 1e6), (1.0, 0.0), "unit", "sigmoid"),
    ],
)
def test_score_transform(
    row: Provider, chosen: str, scores: tuple[float, ...], expected: tuple[float, ...], kind: str, done: str
) -> None:
    """Scores are the model's own or their sigmoid, and the response says which, and on what scale they are."""
    response = merged(row, *scores, score_transform=chosen)
    assert [result.relevance_score for result in response.results] == pytest.approx(expected)
    assert (response.score_kind, response.score_transform) == (kind, done)


def test_sigmoid_keeps_the_order() -> None:
    """Logits so far out that their sigmoids are equal keep the order of the logits."""
    response = merged(LOGITS, 50.0, 80.0, 60.0)
    assert [result.index for result in response.results] == [1, 2, 0]
    assert {result.relevance_score for result in response.results} == {1.0}


def test_unknown_transform_is_refused() -> None:
    """There is no silent scaling."""
    with pytest.raises(ValueError, match="score_transform"):
        Reranker("cohere", score_transform="minmax")  # type: ignore[arg-type]


def test_counts_in_headers(acme: Acme, server: HostileServer, rerank: Rerank) -> None:
    """An API may state its counts in the reply's headers; what is no count there is none."""
    row = {"usage_headers": {"x-tokens": "total_tokens", "x-units": "units"}}
    server.play(reply(200, ranked(0.3, 0.2, 0.1), x_tokens="17", x_units="many"))
    usage = rerank(acme(row=row)).usage
    assert (usage.prompt_tokens, usage.total_tokens, usage.units) == (None, 17, {})


@pytest.mark.parametrize(
    ("name", "status", "body", "kind"),
    [
        ("fireworks", 412, {"error": {"message": "suspended"}}, PaymentRequiredError),
        ("jina", 403, {"detail": "Insufficient balance", "code": "AUTHZ_X"}, PaymentRequiredError),
        ("jina", 403, {"detail": "no", "code": "AUTHZ_INSUFFICIENT_BALANCE"}, PaymentRequiredError),
        ("cohere", 498, {"message": "invalid token"}, AuthenticationError),
        ("cohere", 499, {"message": "closed"}, ServerError),
        ("tei", 422, {"error": "batch size 33 > maximum allowed batch size 32"}, RequestTooLargeError),
        ("tei", 424, {"error": "score is NaN", "error_type": "Backend"}, InvalidRequestError),
        ("llamacpp", 500, {"error": {"message": "input (9 tokens) is too large to process"}}, InvalidRequestError),
    ],
)
def test_failures_that_do_not_pass(name: str, status: int, body: Any, kind: type[RerankError]) -> None:
    """What a row or the status calls lasting is raised at once, whatever the server's words look like."""
    _, error = walk(planned(name, model="m"), answered(status, body))
    assert type(error) is kind


def test_other_failures_of_the_same_status_pass() -> None:
    """A phrase makes an error lasting, its status does not."""
    steps, answer = walk(planned("llamacpp", model="m"), answered(500, {"error": {"message": "busy"}}), answered(200))
    assert len(steps) == 2
    assert isinstance(answer, BatchResult)


@pytest.mark.parametrize(
    ("body", "headers", "code", "request_id"),
    [
        ({"error": {"code": "NOT_FOUND", "message": "m"}, "request_id": "r-1"}, {}, "NOT_FOUND", "r-1"),
        ({"code": 20012, "message": "m"}, {}, "20012", None),
        ({"message": "m", "id": "co-1"}, {}, None, "co-1"),
        ({"errors": [{"code": "too_long", "message": "m"}], "trace": "t-1"}, {}, "too_long", "t-1"),
        ({"error": "m", "error_type": "Backend"}, {}, "Backend", None),
        ({"message": "m"}, {"x-amzn-errortype": "ThrottlingException:http://x"}, "ThrottlingException", None),
        ({"code": 400, "message": "m"}, {}, None, None),
        ({"code": ["x"], "message": "m", "id": {"a": 1}}, {}, None, None),
        ({"code": "which?", "message": "m", "request_id": "sk-by-hand"}, {}, None, None),
        ("plain", {}, None, None),
    ],
)
def test_codes_and_ids_of_failures(
    body: Any, headers: dict[str, str], code: str | None, request_id: str | None
) -> None:
    """The vendor's code and request id are found in any envelope, and hold neither a key nor a text."""
    _, error = walk(planned(), answered(400, body, **{name.replace("-", "_"): v for name, v in headers.items()}))
    assert isinstance(error, InvalidRequestError)
    assert (error.code, error.request_id) == (code, request_id)


@pytest.mark.parametrize("parameter", ["env", "request_ids", "listwise"])
def test_single_str_for_several_is_refused(parameter: str) -> None:
    """A str is a sequence of its characters, which nobody means."""
    with pytest.raises(TypeError, match=parameter):
        Provider(**{"name": "mine", "url": "https://h.example", parameter: "X"})  # type: ignore[arg-type]


def test_key_is_optional_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A self-hosted row asks for no key, and sends the one that is set."""
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    bare = request_of(planned("vllm", model="m", api_key=None))
    assert "authorization" not in bare.headers
    monkeypatch.setenv("VLLM_API_KEY", "sk-vllm")
    assert request_of(planned("vllm", model="m", api_key=None)).headers["authorization"] == "Bearer sk-vllm"


def test_every_row_names_its_source() -> None:
    """A row says where it was read, and has no default that leads nowhere."""
    for row in PROVIDERS.values():
        assert row.docs.startswith("https://") or row.name == "local"
        assert row.score_kind in ("unit", "logit", "unknown")
