"""Many calls at once: awaiting ones on one event loop, on several, blocking ones in threads, and cancelled ones."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

from tests.adapters.fixtures import Asking
from tests.hostile import Act, HostileServer, Peer, eventually, ranking, silence

TEXTS = ("swift", "salmon")


def together(count: int) -> Act:
    """An act that holds all replies until `count` requests have arrived, and then takes 200 ms for each."""
    barrier = asyncio.Barrier(count)

    async def act(peer: Peer) -> None:
        await barrier.wait()
        await ranking(after=0.2)(peer)

    return act


async def started(server: HostileServer, count: int = 1) -> None:
    assert await asyncio.to_thread(eventually, lambda: len(server.requests) == count)


async def test_two_hundred_in_flight_together(host: ModuleType, asking: Asking, server: HostileServer) -> None:
    """Of 200 calls none waits for another to be answered: the server has all of them before it answers the first."""
    server.play(together(200))
    reranker = asking(host.FireworksRerank, top_n=1)
    calls = [host.arank(reranker, host.candidates(*TEXTS), f"question {number}") for number in range(200)]
    best = await asyncio.gather(*calls)
    assert [host.text(item) for items in best for item in items] == ["salmon"] * 200
    assert {seen.body["query"] for seen in server.requests} == {f"question {number}" for number in range(200)}


def test_eight_threads(host: ModuleType, asking: Asking, server: HostileServer) -> None:
    """One reranker serves threads at once, each with its own answer."""
    server.play(together(8))
    reranker = asking(host.FireworksRerank, top_n=1)

    def call(number: int) -> str:
        (best,) = host.rank(reranker, host.candidates("swift", f"salmon {number}"))
        return str(host.text(best))

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(call, range(8))) == [f"salmon {number}" for number in range(8)]


def test_loops_one_after_the_other(host: ModuleType, asking: Asking, server: HostileServer) -> None:
    """One reranker serves loop after loop, and blocking calls between them, over one connection for each way."""
    reranker = asking(host.FireworksRerank)
    for _ in range(5):
        assert len(asyncio.run(host.arank(reranker, host.candidates(*TEXTS)))) == 2
        assert len(host.rank(reranker, host.candidates(*TEXTS))) == 2
    assert len(server.requests) == 10
    assert server.connections == 2


def test_loops_at_once(host: ModuleType, asking: Asking, server: HostileServer) -> None:
    """One reranker serves event loops that run at the same time in different threads."""
    server.play(together(4))
    reranker = asking(host.FireworksRerank)

    def call(_: int) -> int:
        return len(asyncio.run(host.arank(reranker, host.candidates(*TEXTS))))

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(call, range(4))) == [2] * 4


async def test_blocking_call_on_a_running_loop(host: ModuleType, asking: Asking) -> None:
    """A blocking call works where a loop runs: frameworks do so."""
    assert len(host.rank(asking(host.FireworksRerank), host.candidates(*TEXTS))) == 2


async def test_awaiting_needs_one_thread(host: ModuleType, asking: Asking, server: HostileServer) -> None:
    """Awaiting calls do not take a thread each: one carries the requests of all."""
    server.play(silence())
    reranker, before = asking(host.FireworksRerank), set(threading.enumerate())
    tasks = [asyncio.create_task(host.arank(reranker, host.candidates(*TEXTS))) for _ in range(20)]
    while len(server.requests) < 20:  # noqa: ASYNC110 - the server runs on a loop of its own
        await asyncio.sleep(0.005)
    made = [thread for thread in set(threading.enumerate()) - before if thread.name == "hosted-rerank"]
    assert set(threading.enumerate()) - before <= {*made}
    assert len(made) <= 1
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await task


async def timed_out(task: asyncio.Task[Any]) -> None:
    await asyncio.wait_for(task, 0.01)


@pytest.mark.parametrize(
    ("end", "raised"), [(cancelled, asyncio.CancelledError), (timed_out, TimeoutError)], ids=["cancel", "wait_for"]
)
async def test_cancellation_reaches_the_server(
    host: ModuleType, asking: Asking, server: HostileServer, end: Callable[..., Any], raised: type[BaseException]
) -> None:
    """A call that is cancelled ends its request on the wire, and the next call works."""
    server.play(silence(), ranking())
    reranker = asking(host.FireworksRerank)
    task = asyncio.create_task(host.arank(reranker, host.candidates(*TEXTS)))
    await started(server)
    with pytest.raises(raised):
        await end(task)
    assert await asyncio.to_thread(eventually, lambda: server.left == 1)
    assert len(await host.arank(reranker, host.candidates(*TEXTS))) == 2


async def test_one_of_many_is_cancelled(host: ModuleType, asking: Asking, server: HostileServer) -> None:
    """A cancelled call takes no other with it."""
    server.play(silence(), together(9))
    reranker = asking(host.FireworksRerank)
    first = asyncio.create_task(host.arank(reranker, host.candidates(*TEXTS)))
    await started(server)
    others = [asyncio.create_task(host.arank(reranker, host.candidates(*TEXTS))) for _ in range(8)]
    await started(server, 9)
    first.cancel()
    last = asyncio.create_task(host.arank(reranker, host.candidates(*TEXTS)))
    assert [len(items) for items in await asyncio.gather(*others, last)] == [2] * 9
    with pytest.raises(asyncio.CancelledError):
        await first


@pytest.mark.usefixtures("alone")
async def test_context_managers(host: ModuleType, asking: Asking, server: HostileServer) -> None:
    """Both kinds of `with` give the reranker and close its connections; a later call opens what it needs."""
    with asking(host.FireworksRerank) as reranker:
        host.rank(reranker, host.candidates(*TEXTS))
    async with reranker as same:
        await host.arank(same, host.candidates(*TEXTS))
    assert same is reranker
    assert await asyncio.to_thread(eventually, lambda: server.open == 0)
    assert len(await host.arank(reranker, host.candidates(*TEXTS))) == 2
