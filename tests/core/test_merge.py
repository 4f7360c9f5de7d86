"""Promise 2: we sort and we cut; and the half of promise 4 that places blank documents."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosted_rerank import RerankResult, Usage
from hosted_rerank.call.batching import Plan
from hosted_rerank.call.call_options import CallOptions
from hosted_rerank.call.request_encoding import BatchResult
from hosted_rerank.wire import TextIndex
from tests.byhand import ACME, answered, body_of, joined, planned, walk
from tests.conftest import Acme, Rerank
from tests.hostile import HostileServer, ranked, ranking, reply

BLANKS = ("", " ", "\n\t\r ", "\u3000", "\xa0\u2003", "\u200b", "\ufeff \u00ad")


def came(*scores: float, top_n: int | None = None, documents: Sequence[str] = ("a", "b", "c", "d")) -> list[int]:
    """The places of the results, best first, when the texts among `documents` score so."""
    todo = planned(documents=documents, top_n=top_n)
    _, answer = walk(todo, answered(200, ranked(*scores)))
    assert isinstance(answer, BatchResult)
    return [result.index for result in joined(todo, answer).results]


def test_best_first() -> None:
    """Results are sorted by score, the highest first, whatever their sign."""
    assert came(-7.5, 3.0, -0.1, 12.0) == [3, 1, 2, 0]


def test_ties_in_input_order() -> None:
    """Equal scores keep the order of the documents in a reply that is in this order, or not sorted."""
    assert came(0.5, 0.9, 0.5, 0.9) == [1, 3, 0, 2]
    assert came(0.0, -0.0, 0.0, -0.0) == [0, 1, 2, 3]


def replied(*results: tuple[int, float]) -> dict[str, Any]:
    """The body of a reply with an index and a score for each result, in this order."""
    return {"results": [{"index": index, "relevance_score": score} for index, score in results]}


@pytest.mark.parametrize(("top_n", "expected"), [(None, [2, 0, 1]), (2, [2, 0]), (1, [2])])
def test_ties_in_the_order_of_a_sorted_reply(
    top_n: int | None, expected: list[int], server: HostileServer, acme: Acme, rerank: Rerank
) -> None:
    """Equal scores stay in the order of a reply that came sorted, also where `top_n` cuts it here."""
    server.play(reply(200, replied((2, 0.5), (0, 0.5), (1, 0.5))))
    response = rerank(acme(), documents=["a", "b", "c"], top_n=top_n)
    assert [result.index for result in response.results] == expected


def test_ties_of_a_sorted_reply_among_other_scores() -> None:
    """The reply's order holds among equal scores, and blank documents come last."""
    todo = planned(documents=["a", " ", "b", "c", "d"])
    _, answer = walk(todo, answered(200, replied((3, 0.9), (2, 0.5), (0, 0.5), (1, 0.1))))
    assert isinstance(answer, BatchResult)
    assert [result.index for result in joined(todo, answer).results] == [4, 3, 0, 2, 1]


def test_ties_of_an_unsorted_reply() -> None:
    """A reply that is not sorted by score has no order to keep: equal scores are in input order."""
    todo = planned(documents=["a", "b", "c", "d"])
    _, answer = walk(todo, answered(200, replied((2, 0.5), (0, 0.5), (3, 0.9), (1, 0.5))))
    assert isinstance(answer, BatchResult)
    assert [result.index for result in joined(todo, answer).results] == [3, 0, 1, 2]


def test_ties_of_equal_documents() -> None:
    """Documents with the same text stand next to each other in input order, where their text stood in the reply."""
    todo = planned(documents=["a", "b", "a", "c", "b"])
    _, answer = walk(todo, answered(200, replied((2, 0.5), (1, 0.5), (0, 0.5))))
    assert isinstance(answer, BatchResult)
    assert [result.index for result in joined(todo, answer).results] == [3, 1, 4, 0, 2]
    assert [result.index for result in joined(replace_top_n(todo, 4), answer).results] == [3, 1, 4, 0]


def replace_top_n(todo: Plan, top_n: int) -> Plan:
    return replace(todo, call=replace(todo.call, top_n=top_n))


def test_ties_of_several_replies() -> None:
    """Equal scores of each sorted reply stay in its order; between replies, whichever came first, in input order."""
    todo = planned(documents=["a", "b", "c", "d", "e", "f", "g"])
    first = BatchResult({TextIndex(2): 0.5, TextIndex(0): 0.5, TextIndex(1): 0.5}, Usage(), None, None, 1)
    second = BatchResult({TextIndex(4): 0.9, TextIndex(5): 0.5, TextIndex(3): 0.5}, Usage(), None, None, 1)
    unsorted = BatchResult({TextIndex(6): 0.5}, Usage(), None, None, 1)
    for replies in ((first, second, unsorted), (unsorted, second, first)):
        assert [result.index for result in joined(todo, *replies).results] == [4, 2, 0, 1, 5, 3, 6]


@pytest.mark.parametrize(("top_n", "places"), [(None, [3, 1, 2, 0]), (1, [3]), (3, [3, 1, 2]), (4, [3, 1, 2, 0])])
def test_cut(top_n: int | None, places: list[int]) -> None:
    """No more than `top_n` results are returned, also when the server sends all; None means all."""
    assert came(0.1, 0.3, 0.2, 0.4, top_n=top_n) == places
    assert came(0.1, 0.3, 0.2, 0.4, top_n=9) == [3, 1, 2, 0]


@pytest.mark.parametrize("blank", BLANKS)
def test_blank_documents_come_last(blank: str) -> None:
    """Blank documents are not sent; they come after all scored ones, in input order, without a score."""
    todo = planned(documents=[blank, "a", blank, "b"])
    assert body_of(todo)["documents"] == ["a", "b"]
    _, answer = walk(todo, answered(200, ranked(-5.0, 0.0)))
    assert isinstance(answer, BatchResult)
    assert joined(todo, answer).results == (
        RerankResult(3, 0.0),
        RerankResult(1, -5.0),
        RerankResult(0, None),
        RerankResult(2, None),
    )


@pytest.mark.parametrize(("top_n", "places"), [(1, [3]), (2, [3, 1]), (3, [3, 1, 0]), (4, [3, 1, 0, 2])])
def test_blank_documents_are_cut_first(top_n: int, places: list[int]) -> None:
    """A blank document is returned only where `top_n` leaves room."""
    assert came(0.1, 0.9, top_n=top_n, documents=["", "a", "", "b"]) == places


def test_white_space_around_a_text_is_sent() -> None:
    """A text is sent as it is."""
    assert body_of(planned(documents=["  a\n"]))["documents"] == ["  a\n"]


@pytest.mark.parametrize(("top_n", "sent"), [(1, 1), (2, 2), (3, 2), (10**9, 2)])
def test_top_n_is_clamped(top_n: int, sent: int) -> None:
    """The API is never asked for more results than it gets documents."""
    assert body_of(planned(documents=["a", "", "b"], top_n=top_n))["top_n"] == sent


def test_top_n_is_sent_only_if_asked_for() -> None:
    """Without `top_n` there is no such field, and no null."""
    assert "top_n" not in body_of(planned())


def test_answers_are_joined() -> None:
    """Of several answers the rankings are merged, the usage is summed and every request id is kept."""
    todo = planned(documents=["a", "b", "c"])
    first = BatchResult({TextIndex(0): 0.2, TextIndex(2): 0.9}, Usage(5, None, {"units": 1}), None, "r-1", 2)
    second = BatchResult({TextIndex(1): 0.5}, Usage(7, 9, {"units": 2, "other": 0.5}), "m-9", None, 1)
    response = joined(todo, first, second, elapsed=1.5)
    assert [(result.index, result.relevance_score) for result in response.results] == [(2, 0.9), (1, 0.5), (0, 0.2)]
    assert response.usage == Usage(12, 9, {"units": 3, "other": 0.5})
    assert (response.model, response.provider, response.request_ids) == ("m-9", "acme", ("r-1",))
    assert (response.attempts, response.elapsed) == (3, 1.5)


@given(
    st.lists(st.tuples(st.sampled_from(["text", *BLANKS]), st.floats(-2, 2, width=16)), min_size=1, max_size=12),
    st.none() | st.integers(1, 15),
)
def test_ranking_is_the_obvious_one(drawn: list[tuple[str, float]], top_n: int | None) -> None:
    """For any documents, scores and `top_n`: texts by score then place, then blanks by place, cut."""
    scored = [(place, score) for place, (text, score) in enumerate(drawn) if text == "text"]
    blanks = [(place, None) for place, (text, _) in enumerate(drawn) if text != "text"]
    expected = [*sorted(scored, key=lambda pair: (-pair[1], pair[0])), *blanks][:top_n]
    todo = planned(ACME, [text for text, _ in drawn], top_n=top_n, limits=CallOptions(dedupe=False))
    answers = [walk(todo, answered(200, ranked(*(score for _, score in scored))))[1]] if scored else []
    response = joined(todo, *answers)
    assert [(result.index, result.relevance_score) for result in response.results] == expected


@pytest.mark.parametrize("top_n", [None, 1, 2, 7])
def test_order_and_cut_over_a_wire(top_n: int | None, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A server that sorts nothing and cuts nothing still gets a sorted and cut answer."""
    server.play(ranking(0.25, 0.75, 0.5))
    response = rerank(acme(), documents=["a", "", "b", "c"], top_n=top_n)
    assert [result.index for result in response.results] == [2, 3, 0, 1][:top_n]
