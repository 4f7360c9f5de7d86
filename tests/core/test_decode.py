"""Promise 1: scores are put back by index, and anything but a complete, consistent ranking is refused."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosted_rerank import Dialect, MalformedResponseError
from tests.byhand import answered, planned, walk
from tests.malformed import MALFORMED

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 5) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["results", "index", "relevance_score", "usage", "model", "id"]), inner)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_anything_but_a_ranking_is_refused(body: Any) -> None:
    """A body that is no ranking is a MalformedResponseError that says who sent it; it is not asked for again."""
    steps, error = walk(planned(), answered(200, body, x_request_id="r-1"))
    assert type(error) is MalformedResponseError
    assert (error.status, error.provider, error.request_id, error.retry_after) == (200, "acme", "r-1", None)
    assert len(steps) == 1


@pytest.mark.parametrize("name", ["body an error object", "body a flat error"])
def test_error_in_a_success_is_told(name: str) -> None:
    """A 200 with an error in it shows the error's words."""
    _, error = walk(planned(), answered(200, MALFORMED[name]))
    assert "The model is gone" in str(error)


@pytest.mark.parametrize(
    ("sent", "top_n", "came", "fine"),
    [
        (4, None, 4, True),
        (4, None, 3, False),
        (4, 2, 2, True),
        (4, 2, 4, True),  # some APIs take top_n and ignore it
        (4, 2, 1, False),
        (4, 2, 3, False),
        (4, 2, 0, False),
        (4, 4, 4, True),
        (1, 1, 1, True),
    ],
)
def test_count_is_what_was_asked_for(sent: int, top_n: int | None, came: int, *, fine: bool) -> None:
    """As many results have to come as were asked for, or all; with fewer, what came is known to be incomplete."""
    content = orjson.dumps({"results": [{"index": place, "relevance_score": 0.5} for place in range(came)]})
    ranking = Dialect().decode(content, sent=sent, top_n=top_n)
    assert len(ranking.scores) == came
    assert (ranking.incomplete is None) is fine
    assert fine or f"{came} results came back" in str(ranking.incomplete)


@pytest.mark.parametrize(
    "more",
    [
        {"usage": None, "id": None, "model": None},
        {"usage": "12", "id": 5, "model": ["m"]},
        {"usage": {"prompt_tokens": None, "total_tokens": "7", "x": [1]}, "id": {}, "model": True},
        {"usage": [1, 2], "id": "", "model": ""},
        {"meta": {"api_version": {"version": "9"}}, "warnings": [None]},
    ],
)
def test_extras_are_best_effort(more: dict[str, Any]) -> None:
    """Usage, id and model of any kind, and unknown keys, cost no ranking."""
    results = [{"index": 0, "relevance_score": 0.5, "document": 7, "extra": None}]
    ranking = Dialect().decode(orjson.dumps({"results": results} | more), sent=1, top_n=None)
    assert ranking.scores == {0: 0.5}
    assert (ranking.usage.prompt_tokens, ranking.usage.total_tokens, ranking.usage.units) == (None, None, {})
    assert (ranking.model, ranking.id) == (None, None)


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9), min_size=1).flatmap(
        lambda scores: st.tuples(st.just(scores), st.permutations(range(len(scores))))
    )
)
def test_every_score_reaches_its_index(drawn: tuple[list[float], list[int]]) -> None:
    """Whatever order the results come in, each index keeps its own score, to the last bit."""
    scores, order = drawn
    content = orjson.dumps({"results": [{"index": place, "relevance_score": scores[place]} for place in order]})
    ranking = Dialect().decode(content, sent=len(scores), top_n=None)
    assert ranking.scores == dict(enumerate(scores))
    assert {type(score) for score in ranking.scores.values()} == {float}


@given(JSON, st.integers(1, 4), st.none() | st.integers(1, 4))
def test_no_body_gets_past_the_checks(body: Any, sent: int, top_n: int | None) -> None:
    """Any JSON at all is either a sound ranking or a MalformedResponseError."""
    try:
        ranking = Dialect().decode(orjson.dumps(body), sent=sent, top_n=top_n)
    except MalformedResponseError:
        return
    assert (ranking.incomplete is None) is (len(ranking.scores) in {sent, min(sent, top_n or sent)})
    assert len(ranking.scores.keys() & set(range(sent))) == len(ranking.scores)


@given(st.binary(max_size=60))
def test_no_bytes_get_past_the_checks(content: bytes) -> None:
    """Any bytes at all are refused the same way."""
    with pytest.raises(MalformedResponseError):
        Dialect().decode(content, sent=1, top_n=None)
