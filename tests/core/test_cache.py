"""Not paying twice: the cache, its keys, and calls that ask for the same at once."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator, MutableMapping
from typing import Any

import orjson
import pytest

from hosted_rerank import DeadlineExceededError, Reranker, RerankError, ServerError
from tests.bounded import ends_within, patience, within
from tests.conftest import QUERY, Acme, Rerank
from tests.hostile import HostileServer, Peer, eventually, ranking, reply, silence

TEXTS = ["a", "b", "c"]


def sent(server: HostileServer) -> list[list[str]]:
    return [seen.body["documents"] for seen in server.requests]


def test_only_what_is_missing_is_sent(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A known pair costs nothing; a full hit makes no request, and needs no key."""
    cache: dict[str, float] = {}
    server.play(ranking(0.1, 0.3, 0.2), ranking(0.9))
    first = rerank(acme(cache=cache), documents=TEXTS, top_n=1)
    again = rerank(acme(cache=cache), documents=["d", *TEXTS])
    full = rerank(acme(cache=cache), documents=TEXTS)
    assert sent(server) == [TEXTS, ["d"]]
    assert "top_n" not in server.requests[0].body  # all scores are worth keeping
    assert [result.index for result in again.results] == [0, 2, 3, 1]
    assert [result.relevance_score for result in again.results] == [0.9, 0.3, 0.2, 0.1]
    assert [(response.sent, response.cached, response.attempts) for response in (first, again, full)] == [
        *((3, 0, 1), (1, 3, 1), (0, 3, 0))
    ]
    assert all(type(key) is str and len(key) == 40 for key in cache)


@pytest.mark.parametrize(
    "other",
    [
        {"query": "another?"},
        {"settings": {"model": "m-2"}},
        {"instruction": "Animals only."},
        {"settings": {"row": {"name": "ecma"}}},
        {"settings": {"params": {"project": "7"}}},
    ],
)
def test_what_makes_a_pair(server: HostileServer, acme: Acme, rerank: Rerank, other: dict[str, Any]) -> None:
    """Another query, model, instruction, provider or address is another pair."""
    cache: dict[str, float] = {}
    rerank(acme(cache=cache, model="m-1"), documents=TEXTS)
    settings = {"model": "m-1"} | other.get("settings", {})
    call = {name: value for name, value in other.items() if name != "settings"}
    rerank(acme(cache=cache, **settings), documents=TEXTS, **call)
    assert len(server.requests) == 2
    assert len(cache) == 6


def test_transform_is_of_the_call(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """The cache holds the API's own scores, whatever is made of them."""
    cache: dict[str, float] = {}
    server.play(ranking(0.0, 2.0, -2.0))
    rerank(acme(cache=cache, score_transform="sigmoid"), documents=TEXTS)
    assert sorted(cache.values()) == [-2.0, 0.0, 2.0]
    plain = rerank(acme(cache=cache, score_transform="none"), documents=TEXTS)
    assert plain.results[0].relevance_score == 2.0


def test_parts_that_came_are_kept(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """When one part of a call fails, the others need not be paid for again."""
    cache: dict[str, float] = {}
    server.play(ranking(0.1), reply(500, ""))
    with pytest.raises(ServerError):
        rerank(acme(cache=cache, batch_size=1, max_concurrency=1), documents=TEXTS)
    server.play(ranking(0.5, 0.6))
    assert rerank(acme(cache=cache), documents=TEXTS).cached == 1


def test_equal_documents_in_an_outage(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Equal documents of one call do not wait for each other when the API is out: all are passed on."""
    server.play(reply(503, ""))
    reranker = acme(cache={}, dedupe=False, on_error="passthrough")
    response = within(5.0, lambda: rerank(reranker, documents=["a", "b", "a", "a"]))
    assert [(result.index, result.error) for result in response.results] == [(at, "ServerError") for at in range(4)]


def test_listwise_models_are_not_cached(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A score that depends on the other documents is no score of a pair."""
    cache: dict[str, float] = {}
    for _ in range(2):
        rerank(acme(cache=cache, model="jina-reranker-v3"), documents=TEXTS)
    assert (len(server.requests), cache) == (2, {})


class Broken(MutableMapping[str, float]):
    """A cache on a bad day."""

    def __getitem__(self, key: str) -> float:
        raise OSError("the disk is gone")

    __delitem__ = __getitem__

    def __setitem__(self, key: str, value: float) -> None:
        raise OSError("the disk is full")

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def test_cache_that_fails(server: HostileServer, acme: Acme, rerank: Rerank, caplog: pytest.LogCaptureFixture) -> None:
    """It is warned of, and the rerank goes on."""
    assert len(rerank(acme(cache=Broken()), documents=TEXTS).results) == 3
    assert "cache" in caplog.text


def test_nonsense_in_a_cache(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A cached value that is no score is requested again."""
    cache: dict[str, Any] = {}
    rerank(acme(cache=cache), documents=TEXTS)
    for value in (None, "half", float("nan"), True):
        cache.update(dict.fromkeys(cache, value))
        server.requests.clear()
        rerank(acme(cache=cache), documents=TEXTS)
        assert len(server.requests) == 1


def together(cache: MutableMapping[str, float], acme: Acme, way: str, *lists: list[str], **settings: Any) -> list[Any]:
    """The outcomes of concurrent calls with one cache."""
    reranker = acme(cache=cache, **settings)
    if way == "awaiting":

        async def main() -> list[Any]:
            return await asyncio.gather(*(reranker.arerank(QUERY, texts) for texts in lists), return_exceptions=True)

        return asyncio.run(main())
    came: list[Any] = [None] * len(lists)

    def call(number: int) -> None:
        try:
            came[number] = reranker.rerank(QUERY, lists[number])
        except Exception as error:  # noqa: BLE001 - looked at by the test
            came[number] = error

    threads = [threading.Thread(target=call, args=(number,)) for number in range(len(lists))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return came


async def slowly(peer: Peer) -> None:
    await asyncio.sleep(0.2)
    await ranking(*(ord(text) / 1000 for text in peer.seen.body["documents"]))(peer)


def test_two_calls_send_a_pair_once(server: HostileServer, acme: Acme, way: str) -> None:
    """Of calls that ask for the same at once, one asks, and the others wait for it."""
    server.play(slowly)
    came = together({}, acme, way, ["a", "b"], ["b", "c"], ["c", "a"], ["a", "b", "c"])
    assert sorted(text for documents in sent(server) for text in documents) == ["a", "b", "c"]
    for response, texts in zip(came, (["b", "a"], ["c", "b"], ["c", "a"], ["c", "b", "a"]), strict=True):
        scores = [result.relevance_score for result in response.results]
        assert scores == [ord(text) / 1000 for text in texts]
    assert sum(response.sent for response in came) == 3


def test_who_waits_asks_when_the_other_fails(server: HostileServer, acme: Acme, way: str) -> None:
    """A call that waited for one that failed asks for itself."""

    async def fail(peer: Peer) -> None:
        await asyncio.sleep(0.2)
        await reply(400, "")(peer)

    server.play(fail, slowly)
    came = together({}, acme, way, ["a"], ["a"])
    assert sorted(type(answer).__name__ for answer in came) == ["InvalidRequestError", "RerankResponse"]
    assert len(server.requests) == 2


async def test_who_waits_asks_when_the_other_is_cancelled(server: HostileServer, acme: Acme) -> None:
    """Nor does it wait for ever for one that was cancelled."""
    server.play(ranking(after=30), slowly)
    reranker = acme(cache={})
    first = asyncio.create_task(reranker.arerank(QUERY, ["a"]))
    assert await asyncio.to_thread(eventually, lambda: len(server.requests) == 1)
    second = asyncio.create_task(reranker.arerank(QUERY, ["a"]))
    await asyncio.sleep(0.05)
    first.cancel()
    assert len((await second).results) == 1


def test_deadline_of_who_waits(server: HostileServer, acme: Acme, way: str) -> None:
    """Waiting for another call ends with one's own deadline."""
    server.play(ranking(after=5))
    patient, hasty = acme(cache=(cache := {}), timeout=10), acme(cache=cache, deadline=0.3)
    thread = threading.Thread(target=lambda: patient.rerank(QUERY, ["a"]), daemon=True)
    thread.start()
    assert eventually(lambda: len(server.requests) == 1)
    with pytest.raises(DeadlineExceededError, match="another call"):
        hasty.rerank(QUERY, ["a"]) if way == "blocking" else asyncio.run(hasty.arerank(QUERY, ["a"]))
    assert len(server.requests) == 1
    thread.join(patience(10))


def test_timeout_of_who_waits(server: HostileServer, acme: Acme, way: str) -> None:
    """A call waits for another one's longer timeout no longer than for an attempt of its own, and then asks itself."""
    server.play(silence(), slowly)
    patient, hasty = acme(cache=(cache := {}), timeout=4.0), acme(cache=cache, timeout=0.5)
    thread = threading.Thread(target=lambda: ignored(patient), daemon=True)
    thread.start()
    assert eventually(lambda: len(server.requests) == 1)
    with ends_within(3.0):
        response = hasty.rerank(QUERY, ["a"]) if way == "blocking" else asyncio.run(hasty.arerank(QUERY, ["a"]))
    assert (len(server.requests), response.sent, len(cache)) == (2, 1, 1)
    assert response.elapsed > 0.5
    assert thread.is_alive()  # the other one still waits
    thread.join(patience(10))


def ignored(reranker: Reranker) -> None:
    """A call whose error is of no interest."""
    with contextlib.suppress(RerankError):
        reranker.rerank(QUERY, ["a"])


def test_keys_are_as_documented(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """The key of a pair is what the module says, so that others can fill a cache."""
    import hashlib  # noqa: PLC0415 - as a reader of the documentation would

    cache: dict[str, float] = {}
    rerank(acme(cache=cache, model="m"), documents=["a"], instruction="I")
    about = ["acme", f"{server.url}/v1/rerank", "m", "I", {}, QUERY, "a"]
    assert list(cache) == [hashlib.blake2b(orjson.dumps(about), digest_size=20).hexdigest()]
