"""A transport that waits for the caller's rate limiter before each request."""

import asyncio
import time
from dataclasses import replace
from math import inf
from typing import Protocol

from hosted_rerank.transport.transport import TransportWrapper
from hosted_rerank.wire import Outcome, Request, Transport, TransportFailure

_POLL_INTERVAL = 0.02
"""Seconds between two attempts to acquire the limiter without blocking."""


class RateLimiter(Protocol):
    """A rate limiter, such as LangChain's `BaseRateLimiter`."""

    def acquire(self, *, blocking: bool = True) -> bool: ...

    async def aacquire(self, *, blocking: bool = True) -> bool: ...


class RateLimitedTransport(TransportWrapper):
    """Sends each request through another transport when the rate limiter permits it, or fails it at its deadline.

    Args:
        inner: The transport that sends the request.
        limiter: The rate limiter, which is acquired once for each request.
    """

    def __init__(self, inner: Transport, limiter: RateLimiter) -> None:
        super().__init__(inner)
        self._limiter = limiter

    def send(self, request: Request) -> Outcome:
        """Waits for the rate limiter and sends a request.

        Args:
            request: The request.

        Returns:
            The response, or the reason why there is none.
        """
        if request.deadline == inf:
            self._limiter.acquire()
        else:
            while not self._limiter.acquire(blocking=False):
                if time.monotonic() > request.deadline:
                    return _make_failure()
                time.sleep(_POLL_INTERVAL)
        return self._inner.send(_limit_timeout(request))

    async def asend(self, request: Request) -> Outcome:
        """Waits for the rate limiter and sends a request as `send` does, awaiting."""
        remaining = None if request.deadline == inf else max(0.0, request.deadline - time.monotonic())
        try:
            async with asyncio.timeout(remaining):
                await self._limiter.aacquire()
        except TimeoutError:
            return _make_failure()
        return await self._inner.asend(_limit_timeout(request))


def _limit_timeout(request: Request) -> Request:
    """Returns the request with a timeout that ends at its deadline."""
    remaining = request.deadline - time.monotonic()
    return request if remaining >= request.timeout else replace(request, timeout=max(0.001, remaining))


def _make_failure() -> TransportFailure:
    reason = "the rate limiter (rate_limiter=) did not permit the request before the deadline"
    return TransportFailure(reason, time.monotonic(), timed_out=True, retryable=False)
