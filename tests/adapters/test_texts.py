"""Bad data is not a bad call, in both frameworks: surrogates, and texts that show nothing."""

from types import ModuleType

import pytest

from tests.adapters.fixtures import Asking, Rank
from tests.hostile import HostileServer


def test_surrogates(
    host: ModuleType, asking: Asking, rank: Rank, server: HostileServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Surrogates in a query or a text are sent repaired, with one warning; the caller's own text stays as it is."""
    items = host.candidates("a \ud83d\ude00", "b \ud800")
    best = rank(asking(host.FireworksRerank), items, "which \udfff?")
    assert [host.text(item) for item in best] == ["b \ud800", "a \ud83d\ude00"]
    assert server.requests[0].body["query"] == "which \ufffd?"
    assert server.requests[0].body["documents"] == ["a \U0001f600", "b \ufffd"]
    (record,) = (each for each in caplog.records if each.name == "hosted_rerank")
    assert record.getMessage().endswith("query, documents[0] and 1 more")


def test_invisible_text(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """A text that shows nothing comes last and unsent; in LangChain also where it has metadata that would be sent."""
    items = host.candidates("\u200b\ufeff", "a")
    settings = {"metadata_fields": ["place"]} if "langchain" in host.__name__ else {}
    best = rank(asking(host.FireworksRerank, **settings), items)
    assert [host.text(item) for item in best] == ["a", "\u200b\ufeff"]
    assert host.score(best[1]) == host.UNSCORED
    (sent,) = server.requests[0].body["documents"]
    assert sent.endswith("a")
    assert ("place: 1" in sent) == bool(settings)


@pytest.mark.parametrize("query", ["\u200b", "\ufeff\xad"], ids=ascii)
def test_invisible_query(query: str, host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """A query that shows nothing is blank."""
    with pytest.raises(ValueError, match="query is blank"):
        rank(asking(host.FireworksRerank), host.candidates("a"), query)
    with pytest.raises(ValueError, match="instruction is blank"):
        asking(host.FireworksRerank, instruction=query)
    assert server.requests == []
