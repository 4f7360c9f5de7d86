"""Shapes of requests and replies that servers of cross-encoders have: pairs, counts, and scores in arrays."""

from dataclasses import replace
from typing import Any

import pytest

from hosted_rerank import Dialect, MalformedResponseError
from hosted_rerank.call.request_encoding import BatchResult
from tests.byhand import ACME, answered, body_of, joined, planned, walk
from tests.hostile import ranked

PAIRS = Dialect(model=None, query=None, documents="inputs", document_query="0", document="1", top_n=None)
TEI_PREDICT = replace(PAIRS, results="", index=None, score="0.score")
MLFLOW = replace(PAIRS, results="predictions", index=None, score="0")
TEXT_PAIRS = replace(TEI_PREDICT, document_query="text", document="text_pair")
TRITON = Dialect(
    model=None,
    query=None,
    documents="inputs.0.data",
    document_query="0",
    document="1",
    document_count="inputs.0.shape.0",
    top_n=None,
    static_fields={"inputs.0.name": "pairs", "inputs.0.datatype": "BYTES", "inputs.0.shape.1": 2},
    results="outputs.0.data",
    index=None,
    score="",
)


@pytest.mark.parametrize(
    ("dialect", "body", "reply"),
    [
        (
            TEI_PREDICT,
            {"inputs": [["which?", "one"], ["which?", "two"]]},
            [[{"score": 0.1, "label": "LABEL_0"}], [{"score": 0.9, "label": "LABEL_0"}]],
        ),
        (MLFLOW, {"inputs": [["which?", "one"], ["which?", "two"]]}, {"predictions": [[0.1], [0.9]]}),
        (
            TEXT_PAIRS,
            {"inputs": [{"text": "which?", "text_pair": "one"}, {"text": "which?", "text_pair": "two"}]},
            [[{"score": 0.1}], [{"score": 0.9}]],
        ),
        (
            TRITON,
            {
                "inputs": [
                    {
                        "name": "pairs",
                        "datatype": "BYTES",
                        "shape": [2, 2],
                        "data": [["which?", "one"], ["which?", "two"]],
                    }
                ]
            },
            {"outputs": [{"name": "scores", "shape": [2, 1], "datatype": "FP32", "data": [0.1, 0.9]}]},
        ),
    ],
    ids=["tei", "mlflow", "text_pair", "triton"],
)
def test_pairs(dialect: Dialect, body: Any, reply: Any) -> None:
    """A row can say that an API takes pairs of query and document, and answers each with an array of its score."""
    todo = planned(replace(ACME, dialect=dialect), documents=["one", " ", "two"])
    assert body_of(todo) == body
    _, answer = walk(todo, answered(200, reply))
    assert isinstance(answer, BatchResult)
    assert [result.index for result in joined(todo, answer).results] == [2, 0, 1]


@pytest.mark.parametrize(
    "predictions", [[0.1, 0.9], [[0.1]], [[0.1], []], [[0.1], ["0.9"]], [[0.1], {"0": 0.9}], [[0.1], [True]], "ab"]
)
def test_arrays_of_scores_that_are_none(predictions: Any) -> None:
    """A reply that should have arrays of scores, and has something else, is refused."""
    _, error = walk(
        planned(replace(ACME, dialect=MLFLOW), documents=["one", "two"]), answered(200, {"predictions": predictions})
    )
    assert type(error) is MalformedResponseError


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (b"NaN", "the number NaN, which JSON does not have"),
        (b"-Infinity", "the number -Infinity, which JSON does not have"),
        (b"1e400", "a number too large for a float"),
        (b"-1e400", "a number too large for a float"),
        (b"secret", "is not JSON$|is not JSON;"),
    ],
)
def test_numbers_that_are_none_are_named(score: bytes, said: str) -> None:
    """A reply with a number that JSON or a float does not have is named as such, without its text."""
    reply = b'{"results": [{"index": 0, "relevance_score": ' + score + b"}]}"
    _, error = walk(planned(documents=["one"]), answered(200, reply))
    assert type(error) is MalformedResponseError
    assert error.args[0].count("secret") == 0
    with pytest.raises(MalformedResponseError, match=said):
        raise error


def test_deep_body_is_not_json() -> None:
    """A body that is nested too deep is refused like any other body that is no ranking."""
    _, error = walk(planned(documents=["one"]), answered(200, b"[" * 100_000 + b"NaN"))
    assert type(error) is MalformedResponseError


def test_byte_order_mark_is_read() -> None:
    """A byte order mark before the JSON is ignored, in a success and in a failure."""
    mark = b"\xef\xbb\xbf"
    _, answer = walk(planned(documents=["one"]), answered(200, mark + b'{"results":[{"index":0,"relevance_score":1}]}'))
    assert isinstance(answer, BatchResult)
    assert dict(answer.scores) == {0: 1.0}
    _, error = walk(planned(), answered(400, mark + b'{"code": "E_7", "message": "not valid"}'))
    assert "not valid" in str(error)
    assert getattr(error, "code", None) == "E_7"


@pytest.mark.parametrize(
    ("usage", "prompt", "total", "units"),
    [
        ({"total_tokens": 12.0, "prompt_tokens": 11.0}, 11, 12, {}),
        ({"total_tokens": 12.5, "cost": 0.25}, None, None, {"total_tokens": 12.5, "cost": 0.25}),
        ({"total_tokens": True}, None, None, {}),
    ],
)
def test_whole_numbers_are_counts(
    usage: dict[str, Any], prompt: int | None, total: int | None, units: dict[str, float]
) -> None:
    """A count that is written as a float is a count."""
    _, answer = walk(planned(), answered(200, {**ranked(0.1, 0.3, 0.2), "usage": usage}))
    assert isinstance(answer, BatchResult)
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (prompt, total)
    assert answer.usage.units == units


@pytest.mark.parametrize("top_n", [None, 1, 2])
def test_saturated_scores_keep_the_order_of_the_reply(top_n: int | None) -> None:
    """Nebius has no `top_n`: of several scores of 1.0 the reply's first one is the best, also where we cut."""
    todo = planned("nebius", documents=["a", "b", "c"], top_n=top_n)
    reply = {"results": [{"index": index, "relevance_score": 1.0} for index in (2, 0, 1)]}
    _, answer = walk(todo, answered(200, reply))
    assert isinstance(answer, BatchResult)
    assert [result.index for result in joined(todo, answer).results] == [2, 0, 1][:top_n]
