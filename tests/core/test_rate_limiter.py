"""A rate limiter of the caller."""

import asyncio

import pytest

from hosted_rerank import DeadlineExceededError
from tests.conftest import Acme, Rerank
from tests.hostile import HostileServer, Peer, ranking, reply


class Limiter:
    """A rate limiter as LangChain's are."""

    def __init__(self, *, lets: bool = True) -> None:
        self.lets, self.asked = lets, 0

    def acquire(self, *, blocking: bool = True) -> bool:
        self.asked += 1
        return self.lets

    async def aacquire(self, *, blocking: bool = True) -> bool:
        self.asked += 1
        if not self.lets:
            await asyncio.Event().wait()
        return True


def test_rate_limiter_is_asked_once_for_each_request(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Retries and parts of a call are requests too."""

    async def score(peer: Peer) -> None:
        await ranking(*[0.5] * len(peer.seen.body["documents"]))(peer)

    server.play(reply(500, "", retry_after_ms="1"), score)
    limiter = Limiter()
    rerank(acme(rate_limiter=limiter, max_retries=1, batch_size=2), documents=["a", "b", "c"])
    assert limiter.asked == len(server.requests) == 3


def test_rate_limiter_and_deadline(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A limiter that does not let go does not outlast the deadline."""
    with pytest.raises(DeadlineExceededError):
        rerank(acme(rate_limiter=Limiter(lets=False), deadline=0.3))
    assert server.requests == []
