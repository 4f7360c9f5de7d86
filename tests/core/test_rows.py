"""A row describes an API: its items, its pages, its prompts, its scale, its fields."""

import math
from dataclasses import replace
from typing import Any

import orjson
import pytest

from hosted_rerank import PROVIDERS, Dialect, InvalidRequestError, MalformedResponseError, Provider, Reranker
from hosted_rerank.call.request_encoding import BatchResult
from hosted_rerank.providers.prompt import Prompt
from hosted_rerank.response import RerankResponse
from tests.byhand import ACME, answered, body_of, joined, planned, request_of, walk
from tests.conftest import Acme, Rerank
from tests.hostile import HostileServer, ranked, reply


def test_items_with_fields_and_ids() -> None:
    """A document may be an object, with fixed fields and with a generated id; the results then repeat the id."""
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
    """A paged answer is requested until it is complete, with the token of the next one; usage adds up."""
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


@pytest.mark.parametrize("parameter", ["env", "request_ids", "base_url_env", "other_models"])
def test_single_str_for_several_is_refused(parameter: str) -> None:
    """A str is a sequence of its characters, which is never meant."""
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
