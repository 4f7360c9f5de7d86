"""Promise 5 over processes: fork, and what is left when loops or the program end."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from hosted_rerank import Reranker
from tests.bounded import patience
from tests.conftest import DOCUMENTS, QUERY, Acme, Rerank
from tests.hostile import HostileServer, eventually, ranking, silence

FORK = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # 3.12 warns of it where there are threads


def in_child(work: Callable[[], object]) -> str:
    """The result of `work` in a forked child, or its exception, as text."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # it says nothing then
        try:
            said = repr(work())
        except BaseException as error:  # noqa: BLE001 - the child must not go on with the tests
            said = repr(error)
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def answers(reranker: Reranker, way: str) -> list[int]:
    if way == "blocking":
        response = reranker.rerank(QUERY, DOCUMENTS)
    else:
        response = asyncio.run(reranker.arerank(QUERY, DOCUMENTS))
    return [response.attempts, *(result.index for result in response.results)]


@FORK
def test_fork(way: str, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A forked child makes connections of its own; the parent's stay, and both go on."""
    reranker = acme()
    rerank(reranker)
    assert in_child(lambda: answers(reranker, way)) == "[1, 2, 1, 0]"
    assert rerank(reranker).attempts == 1
    assert [seen.connection for seen in server.requests] == [1, 2, 1]


@FORK
def test_fork_within_an_event_loop(server: HostileServer, acme: Acme) -> None:
    """Nor does a child disturb the connections of the loop that it was forked in."""
    reranker = acme()

    async def main() -> list[int]:
        before = await reranker.arerank(QUERY, DOCUMENTS)
        assert in_child(lambda: [answers(reranker, "blocking"), reranker.close()]) == "[[1, 2, 1, 0], None]"
        after = await reranker.arerank(QUERY, DOCUMENTS)
        return [before.attempts, after.attempts]

    assert asyncio.run(main()) == [1, 1]
    assert [seen.connection for seen in server.requests] == [1, 2, 1]


@FORK
def test_fork_while_a_pair_is_asked_for(way: str, server: HostileServer, acme: Acme) -> None:
    """A child sends its own request for a pair that its parent waits for, as no thread would bring it the score."""
    server.play(ranking(after=0.3), ranking())
    reranker = acme(cache={})
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(reranker.rerank, QUERY, DOCUMENTS)
        assert eventually(lambda: len(server.requests) == 1)
        assert in_child(lambda: answers(reranker, way)) == "[1, 2, 1, 0]"
        assert asked.result(10.0).attempts == 1
    assert len(server.requests) == 2


@FORK
def test_closing_in_a_child_leaves_the_parents_connections(
    way: str, server: HostileServer, acme: Acme, rerank: Rerank
) -> None:
    """A child that closes what it inherited closes nothing of its parent."""
    reranker = acme()
    rerank(reranker)
    assert in_child(lambda: [reranker.close(), asyncio.run(reranker.aclose())]) == "[None, None]"
    assert rerank(reranker).attempts == 1
    assert server.connections == 1


def start(code: str, url: str) -> "subprocess.Popen[str]":
    """A program of its own in which warnings of what was left open are told; it ends when its input does."""
    head = f"""
import asyncio, gc, sys
from hosted_rerank import Provider, Reranker
reranker = Reranker(Provider(name="acme", url={url!r}), api_key="k", max_retries=0, timeout=30)
"""
    program = [sys.executable, "-W", "error::ResourceWarning", "-c", head + textwrap.dedent(code)]
    pipe = subprocess.PIPE
    return subprocess.Popen(program, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


WAIT = "gc.collect(); print('ready', flush=True); sys.stdin.read()"


@pytest.mark.xfail(strict=True, reason="a closed loop closes no transport: its socket is left to the collector")
def test_event_loops_that_end_without_care(server: HostileServer) -> None:
    """The connections of loops that were just closed are closed by the next call in another loop, without a word."""
    code = f"""
        for _ in range(4):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(reranker.arerank("q", ["a"]))
            loop.close()
        asyncio.run(reranker.arerank("q", ["a"]))
        {WAIT}
    """
    with start(code, server.url) as program:
        assert program.stdout is not None
        said = program.stdout.readline()
        closed = eventually(lambda: server.open == 0, 2.0)
        _, complaints = program.communicate()
    assert (said, closed, complaints) == ("ready\n", True, "")


@pytest.mark.parametrize(
    "code",
    [
        'reranker.rerank("q", ["a"])',
        'asyncio.run(reranker.arerank("q", ["a"]))',
        'reranker.rerank("q", ["a"]); del reranker; gc.collect()',
        'asyncio.run(reranker.arerank("q", ["a"])); reranker.rerank("q", ["a"]); asyncio.run(reranker.aclose())',
        "asyncio.run(asyncio.wait_for(reranker.arerank('q', ['a']), 20)); del reranker; gc.collect()",
    ],
)
def test_program_ends_without_a_word(code: str, server: HostileServer) -> None:
    """A program that never closes its reranker ends in silence: nothing is left open, nothing warns."""
    with start(code, server.url) as program:
        said, complaints = program.communicate()
    assert (said, complaints, program.returncode) == ("", "", 0)
    assert len(server.requests) >= 1
    assert eventually(lambda: server.open == 0)


CALLS = {
    "blocking": 'print(reranker.rerank("q", ["a"]).attempts)',
    "awaiting": 'print(asyncio.run(reranker.arerank("q", ["a"])).attempts)',
}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.9", "app.localhost"])
def test_key_for_loopback_does_not_go_to_a_proxy(
    way: str, host: str, server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain request to this machine does not go through a proxy: a key is for the configured host."""
    with HostileServer() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with start(CALLS[way], server.url.replace("127.0.0.1", host)) as program:
            said, _ = program.communicate()
        assert [(seen.method, seen.target, dict(seen.headers)) for seen in proxy.requests] == []
        assert proxy.connections == 0
    assert (said == "1\n") is (server.connections == 1)


def test_threads_of_a_program_that_ends(server: HostileServer) -> None:
    """Calls in threads, some of which are still idle when the program ends, leave nothing behind either."""
    code = """
        from concurrent.futures import ThreadPoolExecutor
        threads = ThreadPoolExecutor(4)
        calls = [threads.submit(lambda: asyncio.run(reranker.arerank("q", ["a"]))) for _ in range(4)]
        calls += [threads.submit(reranker.rerank, "q", ["a"]) for _ in range(4)]
        print([call.result().attempts for call in calls])
    """
    with start(code, server.url) as program:
        said, complaints = program.communicate()
    assert (said, complaints, program.returncode) == (f"{[1] * 8}\n", "", 0)


@pytest.mark.parametrize("calls", [1, 2], ids=["in flight", "queued too"])
def test_event_loop_that_is_closed_within_calls(calls: int, way: str, server: HostileServer) -> None:
    """Calls whose loop was closed under them hold no later call up, where one may be in flight at a time."""
    server.play(silence(), ranking())
    code = f"""
        reranker = Reranker(Provider(name="acme", url={server.url!r}), api_key="k", timeout=5, max_concurrency=1)
        async def leave():
            tasks = [asyncio.create_task(reranker.arerank("q", ["a"])) for _ in range({calls})]
            await asyncio.sleep(1.5)
            return tasks
        loop = asyncio.new_event_loop()
        left = loop.run_until_complete(leave())
        loop.close()
        {CALLS[way]}
    """
    with start(code, server.url) as program:
        try:
            said, _ = program.communicate(timeout=patience(20.0))
        finally:
            program.kill()
    assert said == "1\n"
