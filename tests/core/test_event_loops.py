"""Promise 5 over event loops and threads: one reranker serves them one after the other and side by side."""

import asyncio
import gc
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from hosted_rerank.transport.pool_manager import PoolManager
from tests.bounded import patience
from tests.conftest import DOCUMENTS, QUERY, Acme
from tests.hostile import HostileServer, eventually, ranking


def test_blocking_calls_loop_lasts_as_long_as_its_work(acme: Acme) -> None:
    """The last reranker of others lets go while work begins in the event loop that blocking calls share: it goes on."""
    connections, last, done = PoolManager(), acme(), list[bool]()
    others = set(threading.enumerate())  # a batch that an earlier test forgot has such a loop too

    async def work() -> None:
        await asyncio.to_thread(connections.release, last)
        await asyncio.sleep(0.01)
        done.append(True)

    connections.run_in_background(work())
    assert done == [True]
    left = set(threading.enumerate()) - others
    assert not [thread for thread in left if thread.name == "hosted-rerank"], "the loop was left"


def test_twenty_event_loops_one_after_the_other(server: HostileServer, acme: Acme) -> None:
    """One reranker serves `asyncio.run` after `asyncio.run`, over connections that outlive each loop."""
    reranker = acme()

    async def calls() -> int:
        responses = await asyncio.gather(*(reranker.arerank(QUERY, DOCUMENTS) for _ in range(3)))
        return sum(response.attempts for response in responses)

    for _ in range(20):
        assert asyncio.run(calls()) == 3
    assert server.connections <= 3
    reranker.close()
    assert eventually(lambda: server.open == 0)
    gc.collect()  # what was left open would warn now, and warnings are errors


def test_event_loops_of_one_call_each(server: HostileServer, acme: Acme) -> None:
    """Ten calls, each in an event loop of its own, use the same connection, or two."""
    reranker = acme()
    for _ in range(10):
        assert asyncio.run(reranker.arerank(QUERY, DOCUMENTS)).attempts == 1
    assert (len(server.requests), server.connections <= 2) == (10, True)


def test_event_loop_within_itself(server: HostileServer) -> None:
    """In a notebook that patches its event loop to run within itself both ways work, and nothing is said."""
    pytest.importorskip("nest_asyncio")
    code = (
        "import asyncio, nest_asyncio, sys\n"
        "from hosted_rerank import Provider, Reranker\n"
        "nest_asyncio.apply()\n"
        "reranker = Reranker(Provider(name='acme', url=sys.argv[1]), max_retries=0)\n"
        "async def cell():\n"
        "    for _ in range(10):\n"
        "        await reranker.arerank('q', ['a', 'b'])\n"
        "        asyncio.run(reranker.arerank('q', ['a', 'b']))\n"
        "        reranker.rerank('q', ['a', 'b'])\n"
        "asyncio.run(cell())\n"
        "print('done')\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "dev",
            "-W",
            "ignore::DeprecationWarning:nest_asyncio",
            "-c",
            code,
            f"{server.url}/v1/rerank",
        ],
        capture_output=True,
        text=True,
        timeout=patience(60),
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)
    assert len(server.requests) == 30
    assert server.connections <= 4


def test_event_loops_side_by_side(server: HostileServer, acme: Acme) -> None:
    """One reranker serves several loops at once, in threads of their own, besides blocking calls."""
    server.play(ranking(after=0.1))
    reranker = acme(timeout=30.0)

    async def calls() -> list[int]:
        responses = [await reranker.arerank(QUERY, DOCUMENTS) for _ in range(2)]
        return [response.attempts for response in responses]

    with ThreadPoolExecutor(8) as threads:
        loops = [threads.submit(lambda: asyncio.run(calls())) for _ in range(4)]
        blocking = [threads.submit(lambda: reranker.rerank(QUERY, DOCUMENTS).attempts) for _ in range(4)]
        assert [future.result() for future in loops] == [[1, 1]] * 4
        assert [future.result() for future in blocking] == [1] * 4
    reranker.close()
    assert eventually(lambda: server.open == 0)


def test_eight_threads(server: HostileServer, acme: Acme) -> None:
    """Eight threads that begin at once each get their own answers, in flight together, over eight connections."""
    server.play(ranking(after=0.1))
    reranker = acme(timeout=30.0)
    together = threading.Barrier(8)

    def calls(number: int) -> list[int]:
        together.wait()
        documents = ["text"] * (number + 1)
        return [len(reranker.rerank(QUERY, documents).results) for _ in range(5)]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(calls, range(8))) == [[number + 1] * 5 for number in range(8)]
    assert server.connections == 8
    assert max(Counter(seen.connection for seen in server.requests).values()) >= 5
    reranker.close()


def test_blocking_within_an_event_loop(server: HostileServer, acme: Acme) -> None:
    """A notebook's cell runs in a loop, and may call either way."""
    reranker = acme()

    async def cell() -> list[int]:
        return [reranker.rerank(QUERY, DOCUMENTS).attempts, (await reranker.arerank(QUERY, DOCUMENTS)).attempts]

    assert asyncio.run(cell()) == [1, 1]
    reranker.close()
