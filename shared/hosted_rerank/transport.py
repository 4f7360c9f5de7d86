"""Carrying requests over HTTP, blocking and awaiting: a `Request` goes out, a `Reply` or `Lost` comes back.

Clients of httpx and of httpx2 are used alike, through what both have, so this imports neither. A lent client is used as
it is and never closed.
"""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from email.utils import formatdate
from typing import Any

from hosted_rerank.connections import ATTEMPT, CONNECTIONS, Attempt, AwaitingClient, BlockingClient
from hosted_rerank.wire import ENCODINGS, Lost, Outcome, Reply, Request

PIECE = 1 << 20
"""Bytes of a request that are handed over at once where the event loop has others to serve."""


class HttpTransport:
    """The HTTP of one reranker, over the connections of the process or over lent clients."""

    def __init__(self, client: BlockingClient | None = None, async_client: AwaitingClient | None = None) -> None:
        self._lent = client
        self._lent_async = async_client
        self._answered = False
        """Whether a lent client has answered, so that it may keep a connection: of our own clients we know."""

    def send(self, request: Request) -> Outcome:
        """Send a request and return what came of it."""
        coming = _Coming(request)
        client = self._lent if self._lent is not None else CONNECTIONS.blocking(self)
        try:
            message = client.build_request(
                "POST", request.url, headers=request.headers, content=request.content, timeout=request.timeout
            )
            response = client.send(message, stream=True, follow_redirects=False)
            try:
                if coming.begin(response):
                    for chunk in response.iter_bytes():
                        if not coming.add(chunk):
                            break
            finally:
                response.close()
        except _failures() as error:
            return coming.broken(error, kept=self._lent is None or self._answered)
        finally:
            coming.over()
        self._answered = True
        return coming.outcome()

    async def asend(self, request: Request) -> Outcome:
        """Send a request and return what came of it; a cancellation closes the request's connection."""
        coming = _Coming(request)
        length = {"content-length": str(len(request.content))}
        content = request.content if len(request.content) <= PIECE else _pieces(request.content)
        try:
            async with asyncio.timeout(request.timeout):
                client = self._lent_async if self._lent_async is not None else await CONNECTIONS.awaiting(self)
                message = client.build_request(
                    "POST", request.url, headers={**request.headers, **length}, content=content, timeout=None
                )
                response = await client.send(message, stream=True, follow_redirects=False)
                try:
                    if coming.begin(response):
                        async for chunk in response.aiter_bytes():
                            if not coming.add(chunk):
                                break
                finally:
                    await response.aclose()
        except _failures() as error:
            return coming.broken(error, kept=self._lent_async is None or self._answered)
        self._answered = True
        return coming.outcome()

    def close(self) -> None:
        """Let go of the blocking connections; lent clients stay open."""
        CONNECTIONS.release(self)

    async def aclose(self) -> None:
        """Let go of the blocking connections and of the running event loop's; lent clients stay open."""
        await CONNECTIONS.arelease(self)


async def _pieces(content: bytes) -> AsyncGenerator[bytes]:
    for start in range(0, len(content), PIECE):
        yield content[start : start + PIECE]


class _Coming:
    """A reply as it comes: its status first, its body up to the bound, and what it is in the end."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._attempt = Attempt(time.monotonic() + request.timeout)
        ATTEMPT.set(self._attempt)
        self._chunks: list[bytes] = []
        self._room = request.longest_reply
        self._status = 0
        self._headers: Mapping[str, str] = {}
        self._refused: Lost | None = None

    def begin(self, response: Any) -> bool:
        """Take the status and the headers; whether the body shall be read."""
        self._status = response.status_code
        self._headers = {name.lower(): value for name, value in response.headers.items()}
        encoding = self._headers.get("content-encoding", "").strip().lower()
        if self._status < 200:
            self._refused = Lost(f"it answered {self._status}, which is no reply", time.monotonic())
        elif encoding not in ("", "identity", *ENCODINGS):
            self._refuse("its reply came in a content encoding that was not asked for")
        return self._refused is None

    def add(self, chunk: bytes) -> bool:
        """Take a part of the body; whether more of it shall be read."""
        self._chunks.append(chunk)
        self._room -= len(chunk)
        if self._room < 0:
            self._refuse("its reply is longer than the bound on replies")
        elif time.monotonic() > self._attempt.ends:
            self._refused = Lost("its reply kept coming in small pieces", time.monotonic(), timed_out=True)
        return self._refused is None

    def over(self) -> None:
        """Let go of the connection."""
        self._attempt.over()

    def _refuse(self, reason: str) -> None:
        self._refused = Lost(reason, time.monotonic(), final=True)

    def outcome(self) -> Outcome:
        """What came. The status of a failure stands, whatever its body is."""
        if self._refused is not None and self._status < 300:
            return self._refused
        body = b"".join(self._chunks) if self._refused is None else b""
        headers = {"date": formatdate(usegmt=True), **self._headers}
        return Reply(self._status, headers, body, time.monotonic())

    def broken(self, error: BaseException, *, kept: bool) -> Outcome:
        """What came, where an exception ended it; `kept` says whether the connection may have been a kept one."""
        cause = error.__cause__
        if cause is not None and type(cause).__module__.startswith("aiohttp"):
            error = cause  # httpx-aiohttp calls a reset ConnectTimeout
        now, kind = time.monotonic(), type(error).__name__
        if isinstance(error, TimeoutError) or "Timeout" in kind:
            reason = f"nothing complete within {self._request.timeout:.3g} s"
            self._refused = Lost(reason, now, timed_out=True)
        else:
            stale = kept and not self._attempt.connected and not self._status
            self._refused = Lost(f"{kind}: {error}" if str(error) else kind, now, stale=stale)
        return self.outcome()


def _failures() -> tuple[type[BaseException], ...]:
    """What a client raises when no reply comes: `httpx` and `httpx2` have each their own classes."""
    kinds: list[type[BaseException]] = [OSError, UnicodeError]  # a TimeoutError, and a host name that is none
    for library, name in (("httpx", "RequestError"), ("httpx2", "RequestError"), ("aiohttp", "ClientError")):
        if library in sys.modules:
            kinds.append(getattr(sys.modules[library], name))
    return tuple(kinds)
