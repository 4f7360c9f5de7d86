"""Carrying requests over HTTP, blocking and awaiting: a `Request` goes out, a `Reply` or `TransportFailure` comes back.

They go over the connections of the process, or over a client that the caller lends, which is used as it is and never
closed. Clients of httpx and of httpx2 are used alike, through what both have, so this imports neither.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from typing import Any, Protocol

from hosted_rerank.transport.http1 import ProtocolError, pieces_of
from hosted_rerank.transport.pool_manager import CONNECTIONS
from hosted_rerank.transport.response_reader import ResponseReader
from hosted_rerank.wire import Outcome, Request, Transport


class HTTPClient(Protocol):
    """What is needed of an `httpx.Client` or `httpx2.Client`."""

    def build_request(self, *args: Any, **kwargs: Any) -> Any: ...

    def send(self, *args: Any, **kwargs: Any) -> Any: ...


class AsyncHTTPClient(Protocol):
    """What is needed of an `httpx.AsyncClient` or `httpx2.AsyncClient`."""

    def build_request(self, *args: Any, **kwargs: Any) -> Any: ...

    async def send(self, *args: Any, **kwargs: Any) -> Any: ...


class TransportWrapper:
    """What a transport over another one leaves to that one."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    @property
    def lent(self) -> bool:
        """What the transport below says."""
        return self._inner.lent

    def close(self) -> None:
        """Close the transport below."""
        self._inner.close()

    async def aclose(self) -> None:
        """Close the transport below."""
        await self._inner.aclose()


class HttpTransport:
    """The HTTP of one reranker."""

    def __init__(self, client: HTTPClient | None = None, async_client: AsyncHTTPClient | None = None) -> None:
        self._lent = None if client is None else _LentBlocking(client)
        self._lent_async = None if async_client is None else _LentAwaiting(async_client)

    def send(self, request: Request) -> Outcome:
        """Send a request and return what came of it."""
        coming = ResponseReader(request)
        try:
            (self._lent or CONNECTIONS.blocking(self)).send(request, coming)
        except failures() as error:
            return coming.broken(error)
        return coming.outcome()

    async def asend(self, request: Request) -> Outcome:
        """Send a request and return what came of it; a cancellation closes the request's connection."""
        coming = ResponseReader(request)
        try:
            async with asyncio.timeout(request.timeout):
                await (self._lent_async or await CONNECTIONS.awaiting(self)).send(request, coming)
        except failures() as error:
            return coming.broken(error)
        return coming.outcome()

    @property
    def lent(self) -> bool:
        """Whether it goes over clients of the caller's, which know one way of calling only."""
        return not (self._lent is None and self._lent_async is None)

    def close(self) -> None:
        """Let go of the blocking connections; lent clients stay open."""
        CONNECTIONS.release(self)

    async def aclose(self) -> None:
        """Let go of the blocking connections and of the running event loop's; lent clients stay open."""
        await CONNECTIONS.arelease(self)


class _LentBlocking:
    """A caller's own client."""

    def __init__(self, client: HTTPClient) -> None:
        self._client = client
        self._keeps = False
        """Whether it has answered, so that it may keep a connection."""

    def send(self, request: Request, coming: ResponseReader) -> None:
        coming.kept = self._keeps
        message = self._client.build_request(
            "POST", request.url, headers=request.headers, content=request.content, timeout=request.timeout
        )
        response = self._client.send(message, stream=True, follow_redirects=False)
        try:
            if coming.begin(response.status_code, _lower(response), unpacked=True):
                for chunk in response.iter_bytes():
                    if not coming.add(chunk):
                        break
        finally:
            response.close()
        self._keeps = True


class _LentAwaiting:
    """A caller's own client, awaiting."""

    def __init__(self, client: AsyncHTTPClient) -> None:
        self._client = client
        self._keeps = False

    async def send(self, request: Request, coming: ResponseReader) -> None:
        coming.kept = self._keeps
        length = {"content-length": str(len(request.content))}
        message = self._client.build_request(
            "POST", request.url, headers={**request.headers, **length}, content=_apieces(request.content), timeout=None
        )
        response = await self._client.send(message, stream=True, follow_redirects=False)
        try:
            if coming.begin(response.status_code, _lower(response), unpacked=True):
                async for chunk in response.aiter_bytes():
                    if not coming.add(chunk):
                        break
        finally:
            await response.aclose()
        self._keeps = True


async def _apieces(content: bytes) -> AsyncGenerator[bytes]:
    """The body of a request: between two pieces the event loop serves others."""
    for piece in pieces_of(b"", content):
        if piece:
            yield bytes(piece)


def _lower(response: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def failures() -> tuple[type[BaseException], ...]:
    """What is raised when no reply comes; lent clients, of whatever library is loaded, have their own classes."""
    loaded = [sys.modules[library] for library in ("httpx", "httpx2") if library in sys.modules]
    # A TimeoutError is an OSError; a host name that is none is a UnicodeError.
    return (OSError, UnicodeError, ProtocolError, *(library.RequestError for library in loaded))
