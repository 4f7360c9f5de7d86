"""Threads and event loops under a call of several requests: none sleeps on, none stays."""

import asyncio
import threading
import time

import httpx
import pytest

from hosted_rerank import DeadlineExceededError, InvalidRequestError
from hosted_rerank.transport.background_loop import BackgroundLoop
from tests.conftest import QUERY, Acme
from tests.hostile import NUMBERS, HostileServer, Peer, by_number, eventually, reply


def test_lent_client(server: HostileServer, acme: Acme) -> None:
    """Over a custom client the parts go out in threads, and a failure ends the call."""
    server.play(by_number())
    with httpx.Client() as client:
        reranker = acme(batch_size=2, client=client)
        assert [result.index for result in reranker.rerank(QUERY, NUMBERS).results] == list(range(9, -1, -1))
        server.play(reply(400))
        with pytest.raises(InvalidRequestError):
            reranker.rerank(QUERY, NUMBERS)
        # What was on its way ends by itself, and the client is needed so long.
        assert eventually(lambda: not any(each.name.startswith("hosted-rerank_") for each in threading.enumerate()))


def test_lent_client_has_no_sleepers(server: HostileServer, acme: Acme) -> None:
    """When a call over a custom client has failed, no thread of it sleeps until a useless retry."""

    async def act(peer: Peer) -> None:
        if peer.seen.body["documents"] == ["a"]:
            await asyncio.sleep(0.2)  # the other one waits by now
            await reply(400, "")(peer)
        else:
            await reply(500, "", retry_after="10")(peer)

    server.play(act)
    with httpx.Client() as client:
        with pytest.raises(InvalidRequestError):
            acme(batch_size=1, client=client, max_retries=2).rerank(QUERY, ["a", "b"])
        assert len(server.requests) == 2
        assert eventually(lambda: not any(each.name.startswith("hosted-rerank_") for each in threading.enumerate()), 2)


def test_no_send_after_a_failure(acme: Acme) -> None:
    """A thread that is about to send when the call fails reaches the client before the call raises, never after."""
    about_to_send = threading.Event()
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if b'"a"' in request.content:
            assert about_to_send.wait(10)
            raise AssertionError("not mocked")
        about_to_send.set()
        time.sleep(0.02)
        sent.append("b")
        return httpx.Response(400)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(AssertionError, match="not mocked"):
            acme(batch_size=1, client=client).rerank(QUERY, ["a", "b"])
        assert sent == ["b"]


class SlowLimiter:
    """A rate limiter that permits the first request at once, and each other one when it is told to."""

    def __init__(self) -> None:
        self.asked, self.permits = 0, threading.Event()

    def acquire(self, *, blocking: bool = True) -> bool:
        self.asked += 1
        return self.asked == 1 or self.permits.wait(10)

    async def aacquire(self, *, blocking: bool = True) -> bool:
        raise NotImplementedError


def test_no_send_after_the_rate_limiter(acme: Acme) -> None:
    """A thread that waits for the caller's rate limiter when the call fails does not send after that."""
    limiter, sent = SlowLimiter(), list[bytes]()

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        assert eventually(lambda: limiter.asked == 2)
        return httpx.Response(400)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(InvalidRequestError):
            acme(batch_size=1, client=client, rate_limiter=limiter).rerank(QUERY, ["a", "b"])
        limiter.permits.set()
        assert eventually(lambda: not any(each.name.startswith("hosted-rerank_") for each in threading.enumerate()))
        assert len(sent) == 1


def test_no_send_after_the_deadline(acme: Acme) -> None:
    """A thread that has not begun to send at the deadline never sends."""
    began, sent = threading.Event(), list[bytes]()

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        return httpx.Response(400)

    def hold_up(*_: object) -> None:
        if threading.current_thread().name == "hosted-rerank-deadline" and not began.is_set():
            time.sleep(0.1)
            began.set()

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        threading.setprofile(hold_up)
        try:
            with pytest.raises(DeadlineExceededError):
                acme(client=client, deadline=0.05).rerank(QUERY, ["a"])
        finally:
            threading.setprofile(None)
        assert eventually(lambda: not any(each.name == "hosted-rerank-deadline" for each in threading.enumerate()))
        assert began.is_set()
        assert sent == []


def test_no_start_after_a_cancellation() -> None:
    """After the caller is cancelled, the background loop starts no request of that call."""
    begun = list[str]()

    async def work() -> None:
        begun.append("work")

    async def main(background: BackgroundLoop) -> None:
        released = threading.Event()
        background.call(released.wait)
        task = asyncio.create_task(background.arun(work()))
        await asyncio.sleep(0)
        threading.Timer(0.05, released.set).start()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert released.is_set()
        assert begun == []

    background = BackgroundLoop()
    try:
        asyncio.run(main(background))
    finally:
        background.close()
    assert begun == []


def test_blocking_call_within_a_running_loop(server: HostileServer, acme: Acme) -> None:
    """A blocking call of several requests works in a thread that runs an event loop, as in a notebook."""
    server.play(by_number())

    async def main() -> int:
        return len(acme(batch_size=2).rerank(QUERY, NUMBERS).results)

    assert asyncio.run(main()) == 10


def test_nothing_stays(server: HostileServer, acme: Acme) -> None:
    """When the last reranker lets go, the shared event loop ends with its thread and connections."""
    server.play(by_number())
    reranker = acme(batch_size=2)
    reranker.rerank(QUERY, NUMBERS)
    assert any(thread.name == "hosted-rerank" for thread in threading.enumerate())
    reranker.close()
    assert not any(thread.name == "hosted-rerank" for thread in threading.enumerate())
    assert eventually(lambda: server.open == 0)
    assert len(reranker.rerank(QUERY, NUMBERS).results) == 10
