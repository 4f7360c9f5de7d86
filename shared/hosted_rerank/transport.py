"""Carrying requests over HTTP, blocking and awaiting: a `Request` goes out, a `Reply` or `Lost` comes back.

Clients of httpx and of httpx2 are used alike, through what both have, so this imports neither. A lent client is used as
it is and never closed.
"""

import asyncio
import sys
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

from hosted_rerank.connections import ATTEMPT, CONNECTIONS, AwaitingClient, BlockingClient
from hosted_rerank.wire import Lost, Outcome, Reply, Request

ENCODINGS = ("", "identity", "gzip", "x-gzip", "deflate")
"""Content encodings that were asked for. Others could unpack a small reply to any size in one step."""


class HttpTransport:
    """The HTTP of one reranker, over the connections of the process or over lent clients."""

    def __init__(self, client: BlockingClient | None = None, async_client: AwaitingClient | None = None) -> None:
        self._lent = client
        self._lent_async = async_client

    def send(self, request: Request) -> Outcome:
        """Send a request and return what came of it."""
        ends = ATTEMPT.ends = time.monotonic() + request.timeout
        client = self._lent if self._lent is not None else CONNECTIONS.blocking(self)
        kept = request.url in CONNECTIONS.answered
        head = False
        try:
            message = _message(client, request, timeout=request.timeout)
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
        return _outcome(request, body, response, late=time.monotonic() > ends)

    async def asend(self, request: Request) -> Outcome:
        """Send a request and return what came of it; a cancellation closes the request's connection."""
        client = self._lent_async if self._lent_async is not None else await CONNECTIONS.awaiting(self)
        kept = request.url in CONNECTIONS.answered
        head = False
        try:
            async with asyncio.timeout(request.timeout):
                message = _message(client, request, timeout=None)
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
        return _outcome(request, body, response, late=False)

    def close(self) -> None:
        """Let go of the blocking connections; lent clients stay open."""
        CONNECTIONS.release(self)

    async def aclose(self) -> None:
        """Let go of the blocking connections and of the running event loop's; lent clients stay open."""
        await CONNECTIONS.arelease(self)


def _outcome(request: Request, body: "_Body", response: Any, *, late: bool) -> Outcome:
    now = time.monotonic()
    if body.refused:
        return Lost(body.refused, now, oversized=True)
    if late:
        return Lost("its reply kept coming in small pieces", now, timed_out=True)
    CONNECTIONS.answered.add(request.url)
    headers = {name.lower(): value for name, value in response.headers.items()}
    headers.setdefault("date", formatdate(usegmt=True))
    return Reply(response.status_code, headers, body.content(), now)


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


def _message(client: Any, request: Request, *, timeout: float | None) -> Any:
    return client.build_request("POST", request.url, headers=request.headers, content=request.content, timeout=timeout)


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
