"""Promise 6 and many calls at once."""

import asyncio
from typing import Any

import pytest

from hosted_rerank import RerankError, RerankTimeoutError
from hosted_rerank.call.batching import Batch
from hosted_rerank.call.call_state import CallState
from tests.bounded import ends_within, patience
from tests.conftest import DOCUMENTS, QUERY, Acme
from tests.hostile import HostileServer, Peer, eventually, ranking, raw, reply, silence


async def seen(server: HostileServer, requests: int) -> bool:
    return await asyncio.to_thread(eventually, lambda: len(server.requests) >= requests)


@pytest.mark.parametrize(
    "act",
    [silence(), raw(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{", end="gone")],
    ids=["before the head", "in the body"],
)
def test_cancelling_closes_the_connection(act: object, server: HostileServer, acme: Acme) -> None:
    """Cancelling a call is seen by the server at once, while the loop goes on; the next call goes well."""
    server.play(act, ranking())
    reranker = acme(timeout=60.0)

    async def main() -> None:
        call = asyncio.create_task(reranker.arerank(QUERY, DOCUMENTS))
        assert await seen(server, 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(eventually, lambda: server.left == 1)
        assert (await reranker.arerank(QUERY, DOCUMENTS)).attempts == 1

    asyncio.run(main())
    assert (len(server.requests), server.connections) == (2, 2)


def test_cancelling_some_of_many(server: HostileServer, acme: Acme) -> None:
    """Of many calls in flight those that are cancelled end, and the others do not."""
    server.play(*[silence()] * 20, *[ranking(after=0.3)] * 20)
    reranker = acme(timeout=60.0)

    async def main() -> list[int]:
        doomed = [asyncio.create_task(reranker.arerank(QUERY, DOCUMENTS)) for _ in range(20)]
        assert await seen(server, 20)
        others = [asyncio.create_task(reranker.arerank(QUERY, DOCUMENTS)) for _ in range(20)]
        assert await seen(server, 40)
        for call in doomed:
            call.cancel()
        assert await asyncio.to_thread(eventually, lambda: server.left == 20)
        return [response.attempts for response in await asyncio.gather(*others)]

    assert asyncio.run(main()) == [1] * 20


def test_cancelling_a_wait(server: HostileServer, acme: Acme) -> None:
    """A call that waits for its next attempt can be cancelled as well, and makes none."""
    server.play(reply(429, "", retry_after="30"))

    async def main() -> None:
        call = asyncio.create_task(acme(max_retries=2).arerank(QUERY, DOCUMENTS))
        assert await seen(server, 1)
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(main())
    assert len(server.requests) == 1


async def test_cancelling_in_the_turn_of_a_failure(
    server: HostileServer, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that is cancelled just when one of its parts fails is cancelled, and does not fail."""

    async def refuse_one(peer: Peer) -> None:
        await (reply(400, "") if peer.seen.body["documents"] == ["a"] else silence())(peer)

    def record(work: CallState, batch: Batch, came: Any) -> list[Batch]:
        if isinstance(came, RerankError):
            call.cancel()
        return settled(work, batch, came)

    server.play(refuse_one)
    settled = CallState.record_result
    monkeypatch.setattr(CallState, "record_result", record)
    async with asyncio.timeout(patience(10.0)):
        call = asyncio.create_task(acme(batch_size=1, timeout=30.0).arerank(QUERY, ["a", "b"]))
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(eventually, lambda: server.open == 1)


def test_timeout_of_ones_own(server: HostileServer, acme: Acme) -> None:
    """A caller's `asyncio.timeout` ends a call with the caller's TimeoutError, not with ours."""
    server.play(silence())

    async def main() -> None:
        async with asyncio.timeout(0.2):
            await acme(timeout=60.0).arerank(QUERY, DOCUMENTS)

    with pytest.raises(TimeoutError) as caught:
        asyncio.run(main())
    assert not isinstance(caught.value, RerankTimeoutError)
    assert eventually(lambda: server.left == 1)


def test_two_hundred_at_once(server: HostileServer, acme: Acme) -> None:
    """Two hundred calls to a server that takes 200 ms are in flight together: one after the other took 40 s."""
    server.play(ranking(after=0.2))
    reranker = acme(timeout=30.0)

    async def main() -> None:
        responses = await asyncio.gather(
            *(reranker.arerank(QUERY, ["text"] * (1 + number % 7)) for number in range(200))
        )
        assert [len(response.results) for response in responses] == [1 + number % 7 for number in range(200)]
        assert {response.attempts for response in responses} == {1}

    with ends_within(10.0):
        asyncio.run(main())
    assert server.connections <= 200
    reranker.close()
    assert eventually(lambda: server.open == 0)
