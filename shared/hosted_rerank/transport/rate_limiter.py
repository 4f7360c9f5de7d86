"""A transport that asks the caller's own rate limiter before each request."""

import asyncio
import time
from dataclasses import replace
from math import inf
from typing import Protocol

from hosted_rerank.transport.transport import TransportWrapper
from hosted_rerank.wire import Outcome, Request, Transport, TransportFailure

_POLL = 0.02
"""Seconds between two looks at a limiter, where the wait for it has an end."""


class RateLimiter(Protocol):
    """What LangChain's `BaseRateLimiter` is."""

    def acquire(self, *, blocking: bool = True) -> bool: ...

    async def aacquire(self, *, blocking: bool = True) -> bool: ...


class RateLimitedTransport(TransportWrapper):
    """Hands each request on when the limiter lets it go, or gives it up when the call's deadline is over."""

    def __init__(self, inner: Transport, limiter: RateLimiter) -> None:
        super().__init__(inner)
        self._limiter = limiter

    def send(self, request: Request) -> Outcome:
        """Send a request in its turn, and return what came of it."""
        if request.deadline == inf:
            self._limiter.acquire()
        else:
            while not self._limiter.acquire(blocking=False):
                if time.monotonic() > request.deadline:
                    return _late()
                time.sleep(_POLL)
        return self._inner.send(_in_time(request))

    async def asend(self, request: Request) -> Outcome:
        """The same, awaiting."""
        try:
            async with asyncio.timeout(
                max(0.0, request.deadline - time.monotonic()) if request.deadline < inf else None
            ):
                await self._limiter.aacquire()
        except TimeoutError:
            return _late()
        return await self._inner.asend(_in_time(request))


def _in_time(request: Request) -> Request:
    """The request with what time the wait has left it."""
    left = request.deadline - time.monotonic()
    return request if left >= request.timeout else replace(request, timeout=max(0.001, left))


def _late() -> TransportFailure:
    return TransportFailure("the rate limiter did not let it go", time.monotonic(), timed_out=True, retryable=False)
