"""Caches that several workers share: one read and one write of many keys, never on the event loop's time."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest

from hosted_rerank import DeadlineExceededError, Reranker, ServerError
from tests.bounded import ends_within
from tests.conftest import QUERY, Acme, Rerank
from tests.hostile import HostileServer, eventually, ranking, reply

TEXTS = ["a", "b", "c"]


class Many:
    """A cache as Django has it, that notes how it is called and in which thread."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.calls: list[tuple[str, int]] = []
        self.threads: set[int] = set()

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        wanted = list(keys)
        self._note("get_many", len(wanted))
        return {key: self.kept[key] for key in wanted if key in self.kept}

    def set_many(self, scores: Mapping[str, Any]) -> None:
        self._note("set_many", len(scores))
        self.kept |= scores

    def _note(self, name: str, count: int) -> None:
        self.calls.append((name, count))
        self.threads.add(threading.get_ident())


class AsyncMany(Many):
    """One that can be awaited too."""

    async def aget_many(self, keys: Iterable[str]) -> dict[str, Any]:
        self.calls.append(("awaited", 0))
        return Many.get_many(self, keys)

    async def aset_many(self, scores: Mapping[str, Any]) -> None:
        self.calls.append(("awaited", 0))
        Many.set_many(self, scores)


class Pairs:
    """A cache as LangChain has it, that holds bytes."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.awaited = 0

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self.kept.get(key) for key in keys]

    def mset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        assert all(isinstance(value, bytes) for _, value in key_value_pairs)
        self.kept |= dict(key_value_pairs)

    async def amget(self, keys: Sequence[str]) -> list[bytes | None]:
        self.awaited += 1
        return self.mget(keys)

    async def amset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        self.awaited += 1
        self.mset(key_value_pairs)


@pytest.mark.parametrize("kind", [Many, AsyncMany])
def test_one_round_trip(server: HostileServer, acme: Acme, rerank: Rerank, kind: Callable[[], Many]) -> None:
    """A call of many requests reads all keys at once and writes all scores at once; another reranker finds them."""
    cache, texts = kind(), [str(number) for number in range(30)]
    first = rerank(acme(cache=cache, batch_size=10), documents=texts)
    assert [call for call in cache.calls if call[1]] == [("get_many", 30), ("set_many", 30)]
    again = rerank(acme(cache=cache), documents=[*texts, "new"])
    assert [call for call in cache.calls if call[1]][2:] == [("get_many", 31), ("set_many", 1)]
    assert (first.sent, again.sent, again.cached, len(server.requests)) == (30, 1, 30, 4)


async def test_blocking_store_is_called_in_a_thread(acme: Acme) -> None:
    """The event loop never waits for a cache that only has blocking methods."""
    cache = Many()
    await acme(cache=cache).arerank(QUERY, TEXTS)
    assert len(cache.calls) == 2
    assert threading.get_ident() not in cache.threads


async def test_awaitable_store_is_awaited(acme: Acme) -> None:
    """A cache with awaitable methods is awaited, in the caller's event loop; LangChain's likewise."""
    cache, pairs = AsyncMany(), Pairs()
    await acme(cache=cache).arerank(QUERY, TEXTS)
    await acme(cache=pairs).arerank(QUERY, TEXTS)
    assert cache.threads == {threading.get_ident()}
    assert (cache.calls.count(("awaited", 0)), pairs.awaited) == (2, 2)


def test_bytes(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A store of pairs gets scores as text in bytes, and gives the very same scores back."""
    cache = Pairs()
    server.play(ranking(0.1, 1 / 3, 2e-9))
    first = rerank(acme(cache=cache), documents=TEXTS)
    again = rerank(acme(cache=cache), documents=TEXTS)
    assert sorted(cache.kept.values()) == [b"0.1", b"0.3333333333333333", b"2e-09"]
    assert [result.relevance_score for result in again.results] == [result.relevance_score for result in first.results]
    assert again.cached == 3


def test_what_came_is_written_when_a_call_fails(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """The scores of the requests that succeeded are kept, though another one failed."""
    cache = Many()
    server.play(ranking(0.1), reply(500, ""))
    with pytest.raises(ServerError):
        rerank(acme(cache=cache, batch_size=1, max_concurrency=1), documents=TEXTS)
    assert list(cache.kept.values()) == [0.1]


async def test_what_came_is_written_when_a_call_is_cancelled(server: HostileServer, acme: Acme) -> None:
    """A cancelled call keeps the scores that it has paid for."""
    cache = AsyncMany()
    server.play(ranking(0.1), ranking(after=30))
    task = asyncio.create_task(acme(cache=cache, batch_size=1, max_concurrency=1).arerank(QUERY, TEXTS))
    assert await asyncio.to_thread(eventually, lambda: len(server.requests) == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(cache.kept.values()) == [0.1]


class Down(Many):
    """A cache whose server is down."""

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        raise ConnectionRefusedError("redis://secret@127.0.0.1")

    def set_many(self, scores: Mapping[str, Any]) -> None:
        self.get_many(scores)


def test_outage_of_a_store(acme: Acme, rerank: Rerank, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once, without what the error says, and every call is answered."""
    reranker = acme(cache=Down())
    with caplog.at_level(logging.WARNING, "hosted_rerank"):
        assert [len(rerank(reranker, documents=TEXTS).results) for _ in range(3)] == [3, 3, 3]
    assert [record.getMessage() for record in caplog.records] == [
        "The cache cannot be read, so scores are requested again: ConnectionRefusedError"
    ]


class Hanging(AsyncMany):
    """A cache whose server does not answer."""

    async def aget_many(self, keys: Iterable[str]) -> dict[str, Any]:
        await asyncio.sleep(60)
        return {}


async def test_store_that_hangs(acme: Acme) -> None:
    """A call with a deadline leaves most of it for its requests."""
    with ends_within(2.0):
        assert (await acme(cache=Hanging(), deadline=1.6).arerank(QUERY, TEXTS)).sent == 3


class Slow(Many):
    """A cache that is written slowly."""

    def set_many(self, scores: Mapping[str, Any]) -> None:
        threading.Event().wait(0.3)
        super().set_many(scores)


async def test_pair_is_sent_once_while_it_is_written(server: HostileServer, acme: Acme) -> None:
    """A call that begins while another one writes the same scores gets them from that one."""
    cache = Slow()
    first = asyncio.create_task(acme(cache=cache).arerank(QUERY, TEXTS))
    assert await asyncio.to_thread(eventually, lambda: bool(server.requests))
    await asyncio.sleep(0.1)
    assert not cache.kept
    second = await acme(cache=cache).arerank(QUERY, TEXTS)
    assert (second.cached, (await first).sent, len(server.requests)) == (3, 3, 1)


def test_leader_without_time_leaves_no_one_waiting(acme: Acme, rerank: Rerank) -> None:
    """A call that ends before its first request leads no other one."""
    cache: dict[str, float] = {}
    with pytest.raises(DeadlineExceededError):
        rerank(acme(cache=cache, deadline=0.0001), documents=TEXTS)
    with ends_within(2.0):
        assert rerank(acme(cache=cache), documents=TEXTS).sent == 3


@pytest.mark.parametrize("wrong", [7, [], "redis://127.0.0.1", object()])
def test_what_is_no_cache(wrong: Any) -> None:
    """Another object is refused when the reranker is made."""
    with pytest.raises(TypeError, match="cache must be a MutableMapping"):
        Reranker("local", cache=wrong)
