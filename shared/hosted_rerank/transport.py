"""Carrying requests over HTTP, blocking and awaiting. The only importer of httpx.

A transport keeps one pool of connections for blocking use and one per running event loop for awaiting use, each made at
its first request. The awaiting pools are aiohttp's below httpx, because httpx's own slows down quadratically with the
connections in it. A lent client is used as it is and never closed.
"""

import asyncio
import os
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import cache
from typing import Any, Protocol

import httpx

from hosted_rerank.wire import Lost, Outcome, Reply, Request

KEEP_ALIVE = 90.0
"""Seconds that an idle connection is kept: users pause for a minute, and a new one costs several round trips."""

CONNECTIONS = 1000
"""Connections of one pool at most."""

ENCODINGS = ("", "identity", "gzip", "x-gzip", "deflate")
"""Content encodings that were asked for. Others could unpack a small reply to any size in one step."""


class BlockingClient(Protocol):
    """What is needed of an `httpx.Client` or `httpx2.Client`."""

    def build_request(self, *args: Any, **kwargs: Any) -> Any: ...

    def send(self, *args: Any, **kwargs: Any) -> Any: ...


class AwaitingClient(Protocol):
    """What is needed of an `httpx.AsyncClient` or `httpx2.AsyncClient`."""

    def build_request(self, *args: Any, **kwargs: Any) -> Any: ...

    async def send(self, *args: Any, **kwargs: Any) -> Any: ...


@dataclass(frozen=True, slots=True, eq=False)
class _LoopPool:
    """The connections of one event loop, and what closes them with it."""

    client: httpx.AsyncClient
    closer: AsyncIterator[None]


class HttpTransport:
    """The connections of one reranker; used from any thread, any event loop and after a fork."""

    def __init__(self, client: BlockingClient | None = None, async_client: AwaitingClient | None = None) -> None:
        self._lent = client
        self._lent_async = async_client
        self._reset()

    def _reset(self) -> None:
        """Begin without connections: new, or in a forked child, where the parent's sockets are not ours to use."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._own: httpx.Client | None = None
        self._loops: dict[asyncio.AbstractEventLoop, _LoopPool] = {}
        self._answered = False

    def send(self, request: Request) -> Outcome:
        """Send a request and return what came of it."""
        ends = time.monotonic() + request.timeout
        client = self._blocking()
        kept = self._answered
        head = False
        try:
            message = _message(client, request)
            response = client.send(message, stream=True, follow_redirects=False)
            head = True
            try:
                body = _Body(request, response.headers)
                for chunk in response.iter_bytes() if not body.refused else ():
                    if body.add(chunk) or time.monotonic() > ends:
                        break
            finally:
                response.close()
        except _failures() as error:
            return _lost(error, request, kept=kept and not head)
        return self._outcome(body, response, late=time.monotonic() > ends)

    async def asend(self, request: Request) -> Outcome:
        """Send a request and return what came of it; a cancellation closes the request's connection."""
        client = await self._awaiting()
        kept = self._answered
        head = False
        try:
            async with asyncio.timeout(request.timeout):
                message = _message(client, request)
                response = await client.send(message, stream=True, follow_redirects=False)
                head = True
                try:
                    body = _Body(request, response.headers)
                    if not body.refused:
                        async for chunk in response.aiter_bytes():
                            if body.add(chunk):
                                break
                finally:
                    await response.aclose()
        except _failures() as error:
            return _lost(error, request, kept=kept and not head)
        return self._outcome(body, response, late=False)

    def _outcome(self, body: "_Body", response: Any, *, late: bool) -> Outcome:
        now = time.monotonic()
        if body.refused:
            return Lost(body.refused, now, oversized=True)
        if late:
            return Lost("its reply kept coming in small pieces", now, timed_out=True)
        self._answered = True
        headers = {name.lower(): value for name, value in response.headers.items()}
        headers.setdefault("date", formatdate(usegmt=True))
        return Reply(response.status_code, headers, body.content(), now)

    def _blocking(self) -> BlockingClient:
        if self._lent is not None:
            return self._lent
        if self._pid != os.getpid():
            self._reset()
        with self._lock:
            if self._own is None:
                self._own = httpx.Client(verify=_tls(), limits=_limits())
            return self._own

    async def _awaiting(self) -> AwaitingClient:
        if self._lent_async is not None:
            return self._lent_async
        if self._pid != os.getpid():
            self._reset()
        loop = asyncio.get_running_loop()
        pool = self._loops.get(loop)
        return pool.client if pool else await self._open(loop)

    async def _open(self, loop: asyncio.AbstractEventLoop) -> httpx.AsyncClient:
        """Open a pool for a loop. The loop's end closes it: `asyncio.run` closes the async generators begun in it."""
        from httpx_aiohttp import HttpxAiohttpClient  # noqa: PLC0415 - costs 0.3 s, so not before it is needed

        client = HttpxAiohttpClient(verify=_tls(), limits=_limits())
        closer = self._close_with(loop, client)
        self._loops[loop] = _LoopPool(client, closer)
        await anext(closer)
        for other in [other for other in list(self._loops) if other.is_closed()]:  # ended without asyncio.run's care
            if gone := self._loops.pop(other, None):
                await gone.client.aclose()
        return client

    async def _close_with(self, loop: asyncio.AbstractEventLoop, client: httpx.AsyncClient) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self._loops.pop(loop, None)
            await client.aclose()

    def close(self) -> None:
        """Close the blocking connections; those of an event loop close with it."""
        own, self._own = self._own, None
        if own is not None and self._pid == os.getpid():
            own.close()

    async def aclose(self) -> None:
        """Close the blocking connections and those of the running event loop."""
        self.close()
        pool = self._loops.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            await pool.client.aclose()


class _Body:
    """A reply's body, gathered up to the bound."""

    def __init__(self, request: Request, headers: Mapping[str, str]) -> None:
        self._chunks: list[bytes] = []
        self._room = request.longest_reply
        encoding = headers.get("content-encoding", "").strip().lower()
        self.refused = "" if encoding in ENCODINGS else "its reply came in a content encoding that was not asked for"

    def add(self, chunk: bytes) -> bool:
        """Keep a chunk; whether the bound is passed."""
        self._chunks.append(chunk)
        self._room -= len(chunk)
        if self._room < 0:
            self.refused = "its reply is longer than the bound on replies"
        return self._room < 0

    def content(self) -> bytes:
        return b"".join(self._chunks)


def _message(client: Any, request: Request) -> Any:
    return client.build_request(
        "POST", request.url, headers=request.headers, content=request.content, timeout=request.timeout
    )


def _limits() -> httpx.Limits:
    return httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=KEEP_ALIVE)


@cache
def _tls() -> ssl.SSLContext:
    """The TLS context of the process: reading the certificates costs 20 to 90 ms."""
    return httpx.create_ssl_context()


def _failures() -> tuple[type[BaseException], ...]:
    """What a client raises when no reply comes: `httpx` and `httpx2` have each their own classes."""
    kinds: list[type[BaseException]] = [OSError]  # TimeoutError is one
    for library, name in (("httpx", "RequestError"), ("httpx2", "RequestError"), ("aiohttp", "ClientError")):
        if library in sys.modules:
            kinds.append(getattr(sys.modules[library], name))
    return tuple(kinds)


def _lost(error: BaseException, request: Request, *, kept: bool) -> Lost:
    """The outcome of an exception: of the one that aiohttp raised, if it did, for httpx-aiohttp renames resets."""
    cause = error.__cause__
    if type(cause).__module__.startswith("aiohttp") and cause is not None:
        error = cause
    now, kind = time.monotonic(), type(error).__name__
    if isinstance(error, TimeoutError) or "Timeout" in kind:
        return Lost(f"nothing complete within {request.timeout:.3g} s", now, timed_out=True)
    never_reached = "ConnectError" in kind or "Connector" in kind or "Decoding" in kind
    return Lost(f"{kind}: {error}" if str(error) else kind, now, stale=kept and not never_reached)
