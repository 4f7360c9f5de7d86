"""`long_documents="passages"` in both frameworks: the place of the best passage is beside the score."""

from types import ModuleType

from tests.adapters.fixtures import Asking, Rank
from tests.hostile import HostileServer, ranking

LONG = "The salmon returns to its river. " * 3 + "The dormouse sleeps until May."


def test_place_of_the_best_passage(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """The best passage can be cut out of the text; a short one has no place, and the input stays as it is."""
    server.play(ranking(0.5, 0.1, 0.9))
    items = host.candidates("swift", LONG)
    best, short = rank(asking(host.FireworksRerank, long_documents="passages", passage_chars=100), items)
    assert (host.text(best), host.score(best), host.text(short), host.score(short)) == (LONG, 0.9, "swift", 0.5)
    place = host.passage(best)
    assert (
        LONG[place["start"] : place["end"]]
        == "The salmon returns to its river. " * 2 + "The dormouse sleeps until May."
    )
    assert host.passage(short) is None
    assert [host.passage(item) for item in items] == [None, None]


def test_place_of_an_earlier_rerank_is_removed(
    host: ModuleType, asking: Asking, rank: Rank, server: HostileServer
) -> None:
    """A second reranker, which reads all of a document, leaves no place of the first one."""
    server.play(ranking(0.1, 0.9), ranking(0.5))
    first = rank(asking(host.FireworksRerank, long_documents="passages", passage_chars=100), host.candidates(LONG))
    (second,) = rank(asking(host.FireworksRerank), first)
    assert host.passage(first[0]) is not None
    assert host.passage(second) is None
