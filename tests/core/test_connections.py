"""Promise 5: connections are kept between calls, replaced when dead, and closed with their last reranker."""

import asyncio
import gc
import time
from collections import Counter
from contextlib import suppress

import pytest

from hosted_rerank import RerankConnectionError, RerankError
from hosted_rerank.transport.client_pool import ClientPool
from hosted_rerank.transport.response_reader import ResponseReader
from tests.conftest import DOCUMENTS, QUERY, Acme, Rerank
from tests.hostile import HostileServer, Peer, eventually, ranking, raw, reply, silence

OURS = ("hosted_rerank",)


def test_connection_is_kept(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Calls one after the other use one connection, failures in between included."""
    server.play(ranking(), reply(500, {"detail": "no"}), reply(422, "no"), reply(200, "null"), ranking())
    reranker = acme()
    for _ in range(5):
        with suppress(RerankError):
            rerank(reranker)
    assert len(server.requests) == 5
    assert server.connections == 1


def test_connection_is_made_at_the_first_call(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A reranker that is not asked opens nothing."""
    reranker = acme()
    assert server.connections == 0
    rerank(reranker)
    assert server.connections == 1


def test_answered_call_leaves_nothing_to_the_collector(acme: Acme, rerank: Rerank) -> None:
    """A request and its reply, which may be megabytes, are freed as the call ends, on a kept connection too."""
    reranker = acme()
    gc.collect()
    before = sum(type(found) is ResponseReader for found in gc.get_objects())
    rerank(reranker)
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        rerank(reranker)
        gc.collect()
        left = Counter(type(found).__qualname__ for found in gc.garbage if type(found).__module__.startswith(OURS))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left == {}
    assert sum(type(found) is ResponseReader for found in gc.get_objects()) == before


def test_idle_clients_are_a_stack() -> None:
    """The client that was used last is taken first, for its own origin only."""
    pool = ClientPool(make=str.upper, keep_alive=60.0)
    assert pool.take("http://h.example/a") == ("HTTP://H.EXAMPLE/A", False)
    for client in ("a", "b"):
        assert pool.give_back("http://h.example/a", client) == []
    assert pool.take("https://h.example/a") == ("HTTPS://H.EXAMPLE/A", False)
    assert [pool.take("http://h.example/b?c") for _ in range(2)] == [("b", True), ("a", True)]


def test_idle_clients_expire_at_any_host() -> None:
    """A client that was idle for too long is handed out to be closed when a client of any host comes back."""
    pool = ClientPool(make=str, keep_alive=0.02)
    for number in range(2_001):
        pool.give_back("http://h.example", str(number))
    time.sleep(0.05)
    assert len(pool.give_back("http://other.example", "late")) >= 1
    assert not pool.take("http://h.example")[1]


def test_emptied_pool_keeps_nothing() -> None:
    """A pool hands out its idle clients to be closed, and those that come back later too."""
    pool = ClientPool(make=str, keep_alive=60.0)
    pool.give_back("http://h.example", "a")
    assert pool.empty() == ["a"]
    assert pool.give_back("http://h.example", "b") == ["b"]


@pytest.mark.parametrize("end", ["hang_up", "reset"])
def test_kept_connection_that_is_dead_is_replaced(end: str, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """One quiet retry replaces a kept connection that the server ended meanwhile, also where no retry is allowed."""
    server.play(ranking(), raw(end=end), ranking())
    reranker = acme(max_retries=0)
    rerank(reranker)
    response = rerank(reranker)
    assert [result.index for result in response.results] == [2, 1, 0]
    assert server.connections == 2


def test_connection_that_ended_while_idle_is_replaced(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A server that lets go of an idle connection is not noticed."""
    server.play(ranking(connection="close"))
    reranker = acme(max_retries=0)
    assert [rerank(reranker).attempts for _ in range(3)] == [1, 1, 1]
    assert server.connections == 3


def test_new_connection_that_fails_is_not_asked_again(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """The quiet retry is for kept connections: where a new one breaks, `max_retries=0` means one request."""
    server.play(ranking(connection="close"), raw(end="hang_up"))
    reranker = acme(max_retries=0)
    rerank(reranker)
    with pytest.raises(RerankConnectionError):
        rerank(reranker)
    assert len(server.requests) == 2


def test_quiet_retry_is_no_retry_of_a_timeout(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A kept connection on which nothing comes is not dead: the timeout stands."""
    server.play(ranking(), silence())
    reranker = acme(timeout=0.25, max_retries=0)
    rerank(reranker)
    with pytest.raises(RerankConnectionError):
        rerank(reranker)
    assert len(server.requests) == 2


def test_connection_with_an_unread_rest_is_not_used_again(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """The unread rest of a refused reply is never read as the answer to the next call."""
    server.play(reply(200, b" " * 300_000), ranking())
    reranker = acme(row={"max_response_bytes": 1000})
    with pytest.raises(RerankError, match="longer"):
        rerank(reranker)
    assert [result.index for result in rerank(reranker).results] == [2, 1, 0]
    assert server.connections == 2


def test_connection_with_an_unasked_reply_is_not_used_again(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A second reply to one request, which waits unread in the socket, is not the answer to the next request."""

    async def twice(peer: Peer) -> None:
        await ranking(0.1, 0.3, 0.2)(peer)
        await asyncio.sleep(0.02)
        await ranking(0.9, 0.5, 0.7)(peer)

    server.play(twice, ranking(0.1, 0.3, 0.2))
    reranker = acme()
    rerank(reranker)
    time.sleep(0.1)
    assert [result.index for result in rerank(reranker).results] == [1, 2, 0]
    assert (len(server.requests), server.connections) == (2, 2)


@pytest.mark.usefixtures("alone")
def test_closing_closes_and_does_not_end(way: str, server: HostileServer, acme: Acme) -> None:
    """After `close` and `aclose` the connections are closed; the next call opens new ones."""
    reranker = acme()

    async def awaiting() -> None:
        for count in (1, 2, 3):
            await reranker.arerank(QUERY, DOCUMENTS)
            await asyncio.gather(*(reranker.arerank(QUERY, DOCUMENTS) for _ in range(3)))
            await reranker.aclose()
            assert await asyncio.to_thread(eventually, lambda: server.open == 0), count

    if way == "awaiting":
        asyncio.run(awaiting())
    for _ in range(3 if way == "blocking" else 0):
        reranker.rerank(QUERY, DOCUMENTS)
        assert server.open == 1
        reranker.close()
        assert eventually(lambda: server.open == 0)
    reranker.close()


@pytest.mark.usefixtures("alone")
def test_context_managers(server: HostileServer, acme: Acme) -> None:
    """Both kinds of `with` close what was opened within, and give the reranker itself."""
    reranker = acme()
    with reranker as entered:
        entered.rerank(QUERY, DOCUMENTS)
        assert entered is reranker
    assert eventually(lambda: server.open == 0)

    async def awaiting() -> None:
        async with reranker as entered:
            await entered.arerank(QUERY, DOCUMENTS)
            assert entered is reranker
            assert server.open == 1
        assert await asyncio.to_thread(eventually, lambda: server.open == 0)

    asyncio.run(awaiting())


def test_closing_what_was_never_opened(acme: Acme) -> None:
    """Closing an unused reranker, or one twice, does nothing."""
    reranker = acme()
    reranker.close()
    asyncio.run(reranker.aclose())
    reranker.close()


def test_rerankers_close_only_for_themselves(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Closing one reranker does not take the connections of another that is in use."""
    one, other = acme(), acme(max_retries=1)
    rerank(one)
    rerank(other)
    one.close()
    assert rerank(other).attempts == 1
    assert len(server.requests) == 3
