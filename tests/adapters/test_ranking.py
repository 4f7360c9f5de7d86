"""The ranking that comes back: the best candidates, best first, each with its score; and the ones left out."""

import copy
import threading
from types import ModuleType
from typing import Any

import pytest

from tests.adapters.fixtures import Asking, Rank
from tests.hostile import HostileServer, ranked, ranking, reply

TEXTS = ("swift", "salmon", "dormouse", "heron")
REFUSED = [0, -1, True, "two", 1.5]


def shown(host: ModuleType, items: list[Any]) -> list[tuple[str, float | None]]:
    return [(host.text(item), host.score(item)) for item in items]


def test_best_first(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """Candidates come back as a list, best first, however the server orders its answer."""
    server.play(reply(200, {"data": ranked(0.25, 0.75, 0.5, 0.125)["data"][::-1]}))
    best = rank(asking(host.FireworksRerank, top_n=None), host.candidates(*TEXTS))
    assert type(best) is list
    assert shown(host, best) == [("salmon", 0.75), ("dormouse", 0.5), ("swift", 0.25), ("heron", 0.125)]


def test_ties_stay_in_input_order(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """Candidates with the same score keep the order that they came in, also where `top_n` cuts between them."""
    server.play(ranking(0.5, 0.75, 0.5, 0.5))
    best = rank(asking(host.FireworksRerank), host.candidates(*TEXTS))
    assert [host.text(item) for item in best] == ["salmon", "swift", "dormouse"]


def test_score_is_a_plain_float(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """The score is Python's own float, also where the server sends a whole number."""
    server.play(ranking(1, 0, 0.5, -3))
    best = rank(asking(host.FireworksRerank, top_n=None), host.candidates(*TEXTS))
    assert [(type(host.score(item)), host.score(item)) for item in best] == [(float, s) for s in (1.0, 0.5, 0.0, -3.0)]


@pytest.mark.parametrize("place", ["constructor", "assignment", "call"])
@pytest.mark.parametrize(("top_n", "count"), [(None, 4), (1, 1), (3, 3), (4, 4), (99, 4)])
def test_top_n(
    host: ModuleType, asking: Asking, rank: Rank, server: HostileServer, place: str, top_n: int | None, count: int
) -> None:
    """`top_n` is how many come back at most, `None` is all; the API is never asked for more than there are."""
    reranker = asking(host.FireworksRerank, top_n=top_n if place == "constructor" else 2)
    if place == "assignment":
        reranker.top_n = top_n
    best = rank(reranker, host.candidates(*TEXTS), **({"top_n": top_n} if place == "call" else {}))
    assert [host.text(item) for item in best] == list(TEXTS[::-1][:count])
    assert server.requests[0].body.get("top_n") == (None if top_n is None else count)


def test_top_n_is_three_by_default(host: ModuleType, asking: Asking, rank: Rank) -> None:
    """Without a wish three come back."""
    assert len(rank(asking(host.HostedRerank), host.candidates(*TEXTS))) == 3


def test_top_n_where_the_api_has_none(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """Nebius takes no `top_n`, so none is sent, and the cut is made here."""
    best = rank(asking(host.NebiusRerank, top_n=2), host.candidates(*TEXTS))
    assert [host.text(item) for item in best] == ["heron", "dormouse"]
    assert "top_n" not in server.requests[0].body


@pytest.mark.parametrize("top_n", REFUSED)
def test_refused_top_n(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer, top_n: Any) -> None:
    """A `top_n` that is no count is refused in the constructor, an assignment and a call, which sends nothing."""
    with pytest.raises(ValueError, match="top_n"):
        host.FireworksRerank(top_n=top_n)
    reranker = asking(host.FireworksRerank, top_n=2, on_error="passthrough")
    with pytest.raises(ValueError, match="top_n"):
        reranker.top_n = top_n
    assert reranker.top_n == 2
    for items in (host.candidates(*TEXTS), []):
        with pytest.raises((ValueError, TypeError), match="top_n"):
            rank(reranker, items, top_n=top_n)
    assert server.requests == []


@pytest.mark.parametrize("place", ["constructor", "assignment", "call"])
def test_score_threshold(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer, place: str) -> None:
    """Only what reaches the threshold comes back, of that at most `top_n`, and nothing unscored."""
    server.play(ranking(0.25, 0.5, 0.75))
    reranker = asking(host.FireworksRerank, top_n=None, score_threshold=0.5 if place == "constructor" else 0.9)
    if place == "assignment":
        reranker.score_threshold = 0.5
    override = {"score_threshold": 0.5} if place == "call" else {}
    items = host.candidates("swift", " ", "salmon", "dormouse")
    assert shown(host, rank(reranker, items, **override)) == [("dormouse", 0.75), ("salmon", 0.5)]
    assert shown(host, rank(reranker, items, **override, top_n=1)) == [("dormouse", 0.75)]
    assert shown(host, rank(reranker, items, score_threshold=0.8)) == []
    assert len(rank(reranker, items, score_threshold=None)) == 4


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), "high", [0.5]])
def test_refused_threshold(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer, threshold: Any) -> None:
    """A threshold that no score compares with is refused everywhere, and not taken for one that nothing meets."""
    with pytest.raises(ValueError, match="score_threshold"):
        host.FireworksRerank(score_threshold=threshold)
    with pytest.raises((ValueError, TypeError), match="score_threshold"):
        rank(asking(host.FireworksRerank), host.candidates(*TEXTS), score_threshold=threshold)
    assert server.requests == []


def test_blank_ones_come_last(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """Candidates without text are not sent; they come after the scored ones, in input order, without an own score."""
    items = host.candidates("", "swift", " \n\t", "salmon", "\u2003")
    best = rank(asking(host.FireworksRerank, top_n=None), items)
    assert server.requests[0].body["documents"] == ["swift", "salmon"]
    blank = [(text, host.UNSCORED) for text in ("", " \n\t", "\u2003")]
    assert shown(host, best) == [("salmon", 0.5), ("swift", 0.0), *blank]
    assert len(rank(asking(host.FireworksRerank, top_n=3), items)) == 3


@pytest.mark.parametrize("kind", ["FireworksRerank", "NebiusRerank", "HostedRerank"])
def test_nothing_is_sent_for_nothing(host: ModuleType, rank: Rank, kind: str) -> None:
    """Without candidates, or with none that has text, there is no request, so no key is needed either."""
    reranker = getattr(host, kind)()
    assert rank(reranker, []) == []
    assert [host.text(item) for item in rank(reranker, host.candidates(" ", ""))] == [" ", ""]


def test_input_stays_as_it_was(host: ModuleType, asking: Asking, rank: Rank) -> None:
    """Neither the list that was passed in nor anything in it is changed, and what comes back is another object."""
    items = host.candidates(*TEXTS, "", nested={"list": [1]})
    objects, before = list(items), copy.deepcopy(items)
    best = rank(asking(host.FireworksRerank, top_n=None), items)
    assert items == before
    assert all(item is other for item, other in zip(items, objects, strict=True))
    assert not {id(item) for item in best} & {id(item) for item in items}


def test_identity_and_metadata_are_kept(host: ModuleType, asking: Asking, rank: Rank) -> None:
    """Each candidate keeps its id, its type and the objects in its metadata, also those that cannot be copied."""
    lock = threading.Lock()
    best = rank(asking(host.FireworksRerank, top_n=2), host.candidates(*TEXTS, lock=lock))
    assert [(host.identifier(item), host.metadata(item)["place"]) for item in best] == [("id-3", 3), ("id-2", 2)]
    assert all(host.metadata(item)["lock"] is lock for item in best)
    assert {type(item) for item in best} == {type(item) for item in host.candidates(*TEXTS)}


def test_twice_the_same_candidate(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """One candidate that is in the list twice comes back twice, each with its own score."""
    server.play(ranking(0.25, 0.5, 0.75))
    (one,) = host.candidates("swift")
    best = rank(asking(host.FireworksRerank, dedupe=False), [one, one, one])
    assert shown(host, best) == [("swift", 0.75), ("swift", 0.5), ("swift", 0.25)]
    server.play(ranking(0.25))
    assert shown(host, rank(asking(host.FireworksRerank), [one, one, one])) == [("swift", 0.25)] * 3
