"""Calls of any size, caches, fallbacks and limiters, through the frameworks' classes."""

import copy
import pickle
from types import ModuleType
from typing import Any

import pytest

from hosted_rerank import Provider, Reranker
from tests.adapters.fixtures import Asking, Rank
from tests.hostile import HostileServer, Peer, ranking, reply

TEXTS = ("swift", "salmon", "dormouse", "badger")


async def by_length(peer: Peer) -> None:
    """Scores a document by its length."""
    await ranking(*(len(text) / 10 for text in peer.seen.body["documents"]))(peer)


async def but_not_swifts(peer: Peer) -> None:
    """Fails where there is a swift among the documents."""
    await (reply(503) if "swift" in peer.seen.body["documents"] else by_length)(peer)


def test_batches(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """Documents go out in parts and come back as one ranking."""
    server.play(by_length)
    best = rank(asking(host.FireworksRerank, batch_size=2, top_n=3), host.candidates(*TEXTS))
    assert [host.text(item) for item in best] == ["dormouse", "salmon", "badger"]
    assert len(server.requests) == 2


def test_part_that_fails_is_passed_through(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """Scored candidates come first; those of a failed request follow, marked, without an old score of another scale."""
    server.play(but_not_swifts)
    reranker = asking(host.FireworksRerank, batch_size=2, top_n=None, on_error="passthrough", score_threshold=0.7)
    items = host.candidates(*TEXTS, relevance_score=9.3)  # BM25's
    best = rank(reranker, items)
    assert [host.text(item) for item in best] == ["dormouse", "swift", "salmon"]
    assert [host.score(item) for item in best] == [0.8] + [None if host.UNSCORED is None else 0.8] * 2
    assert {host.metadata(item)["relevance_score"] for item in items} == {9.3}
    assert [bool(host.error(item)) for item in best] == [False, True, True]


def test_cache(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """A cache is shared by the rerankers that hold it, used as it is, and in no copy that leaves the process."""
    server.play(by_length)
    cache: dict[str, float] = {}
    reranker = asking(host.FireworksRerank, cache=cache)
    rank(reranker, host.candidates(*TEXTS))
    rank(copy.deepcopy(reranker), host.candidates(*TEXTS))
    assert (len(server.requests), len(cache)) == (1, 4)
    assert pickle.loads(pickle.dumps(reranker)).cache is None


def test_fallback(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """When the API is out, the next one answers."""
    with HostileServer() as other:
        other.play(by_length)
        server.play(reply(503))
        spare = Reranker(Provider(name="spare", url=f"{other.url}/rerank"))
        best = rank(asking(host.FireworksRerank, fallbacks=[spare], top_n=1), host.candidates(*TEXTS))
        assert [host.text(item) for item in best] == ["dormouse"]
        spare.close()


def test_fallbacks_changed_in_place(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """A fallback that is added to the list counts; the reranker is made again then, and not for each call."""
    server.play(reply(503))
    reranker = asking(host.FireworksRerank, fallbacks=[Reranker("vllm", "m", base_url=server.url, max_retries=0)])
    before = reranker.reranker
    assert reranker.reranker is before
    reranker.fallbacks.append(Reranker("local"))
    assert len(rank(reranker, host.candidates(*TEXTS))) == 3
    assert len(server.requests) == 2


def test_fallbacks_in_copies(host: ModuleType) -> None:
    """Names and rows of fallbacks go into pickles and copies."""
    row = Provider(name="acme", url="https://rerank.example/rank")
    reranker = host.HostedRerank(fallbacks=["local", row])
    for copied in (copy.deepcopy(reranker), pickle.loads(pickle.dumps(reranker)), reranker.model_copy()):
        assert copied.fallbacks == ["local", row]


class Limiter:
    """LangChain's interface."""

    asked = 0

    def acquire(self, *, blocking: bool = True) -> bool:
        self.asked += 1
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        return self.acquire()


def test_rate_limiter(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """The caller's limiter is acquired once for each request."""
    server.play(by_length)
    limiter = Limiter()
    rank(asking(host.FireworksRerank, rate_limiter=limiter, batch_size=1), host.candidates(*TEXTS))
    assert limiter.asked == len(server.requests) == 4


@pytest.mark.parametrize(
    "wrong", [{"batch_size": 0}, {"max_concurrency": 0}, {"cache": 7}, {"fallbacks": ["nobody"]}, {"fallbacks": [7]}]
)
def test_wrong_settings(host: ModuleType, wrong: dict[str, Any]) -> None:
    """A wrong setting is refused when the class is made."""
    with pytest.raises((ValueError, TypeError)):
        host.HostedRerank(**wrong)
