"""Carries requests over httpx, blocking and awaiting: takes a `Request`, returns a `Response` or a `TransportFailure`.

A request goes over the clients of the process, or over a custom client, which is used as it is and never closed.
Custom clients of httpx and of httpx2 are used through what both have.

`Request.timeout` is httpx' own: for connecting, each read and each write. `Request.deadline` is hard: a blocking request
that has one runs where it can be abandoned, in the background loop, or in a thread for a custom client.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from math import inf
from typing import Any, Protocol

from hosted_rerank.errors import ConfigurationError
from hosted_rerank.transport.background_loop import BackgroundLoop
from hosted_rerank.transport.pool_manager import POOLS
from hosted_rerank.transport.response_reader import ResponseReader
from hosted_rerank.wire import USER_AGENT, Outcome, Request, Transport


class HTTPClient(Protocol):
    """What is needed of an `httpx.Client` or `httpx2.Client`."""

    @property
    def headers(self) -> Any: ...

    def build_request(self, *args: Any, **kwargs: Any) -> Any: ...

    def send(self, *args: Any, **kwargs: Any) -> Any: ...


class AsyncHTTPClient(Protocol):
    """What is needed of an `httpx.AsyncClient` or `httpx2.AsyncClient`."""

    @property
    def headers(self) -> Any: ...

    def build_request(self, *args: Any, **kwargs: Any) -> Any: ...

    async def send(self, *args: Any, **kwargs: Any) -> Any: ...


class TransportWrapper:
    """A transport over another one: closes that one, and has its clients."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    @property
    def custom_client(self) -> bool:
        """Whether the inner transport has custom clients."""
        return self._inner.custom_client

    def close(self) -> None:
        """Closes the inner transport."""
        self._inner.close()

    async def aclose(self) -> None:
        """Closes the inner transport."""
        await self._inner.aclose()


class HTTPTransport:
    """Sends the requests of one reranker over the clients of the process."""

    custom_client = False

    def send(self, request: Request) -> Outcome:
        """Sends a request.

        Returns:
            The response, or why there is none.

        Raises:
            ConfigurationError: A proxy or certificate setting of the environment is wrong.
        """
        if request.deadline < inf:
            background = POOLS.background(self)
            return background.run(_send_in_background(background, request))
        return self._send(request)

    def _send(self, request: Request) -> Outcome:
        reader, pool = ResponseReader(request), POOLS.clients(self)
        client, reader.reused_connection = pool.take(request.url)
        try:
            _read(client, request, reader)
        except failures() as error:
            client.close()
            return reader.failed(error)
        except BaseException:
            client.close()
            raise
        for unused in pool.give_back(request.url, client) if reader.keeps_connection else [client]:
            unused.close()
        return reader.outcome()

    async def asend(self, request: Request) -> Outcome:
        """Sends a request as `send` does, awaiting; a cancellation closes the request's connection."""
        background = POOLS.background(self)
        return await background.arun(_send_in_background(background, request))

    def close(self) -> None:
        """Closes the connections of the process if no other reranker needs them."""
        POOLS.release(self)

    async def aclose(self) -> None:
        """Closes the connections of the process if no other reranker needs them."""
        await asyncio.to_thread(POOLS.release, self)


async def _send_in_background(background: BackgroundLoop, request: Request) -> Outcome:
    """Sends a request over a client of the background loop."""
    reader, pool = ResponseReader(request), background.clients
    client, reader.reused_connection = pool.take(request.url)
    try:
        await _aread(client, request, reader)
    except failures() as error:
        await client.aclose()
        return reader.failed(error)
    except BaseException:
        await client.aclose()
        raise
    for unused in pool.give_back(request.url, client) if reader.keeps_connection else [client]:
        await unused.aclose()
    return reader.outcome()


class CustomClientTransport:
    """Sends requests over the caller's own clients.

    Args:
        client: For blocking calls.
        async_client: For awaiting calls.
    """

    custom_client = True

    def __init__(self, client: HTTPClient | None, async_client: AsyncHTTPClient | None) -> None:
        self._client, self._async_client = client, async_client
        self._used: set[str] = set()
        """Ways of calling that had an answer, so that the client may hold a connection."""

    def send(self, request: Request) -> Outcome:
        """Sends a request over the blocking client; `check_way` has seen that there is one."""
        reader = ResponseReader(request)
        reader.reused_connection = "blocking" in self._used
        client = self._client
        try:
            if request.deadline < inf:
                _within_deadline(lambda: _read(client, request, reader), request)
            else:
                _read(client, request, reader)
        except failures() as error:
            return reader.failed(error)
        self._used.add("blocking")
        return reader.outcome()

    async def asend(self, request: Request) -> Outcome:
        """Sends a request over the awaiting client; `check_way` has seen that there is one."""
        reader = ResponseReader(request)
        reader.reused_connection = "awaiting" in self._used
        try:
            await _aread(self._async_client, request, reader)
        except failures() as error:
            return reader.failed(error)
        self._used.add("awaiting")
        return reader.outcome()

    def close(self) -> None:
        """Does nothing: the clients are the caller's."""

    async def aclose(self) -> None:
        """Does nothing: the clients are the caller's."""


def open_transport(client: HTTPClient | None, async_client: AsyncHTTPClient | None) -> Transport:
    """Returns a transport over the caller's clients, or over those of the process where the caller has none."""
    return CustomClientTransport(client, async_client) if client or async_client else HTTPTransport()


def check_client(parameter: str, client: object, kind: str) -> None:
    """Checks that a value is a client of httpx or httpx2, without importing either.

    Raises:
        TypeError: It is something else.
    """
    classes = {(cls.__module__.partition(".")[0], cls.__name__) for cls in type(client).__mro__}
    if client is not None and not classes & {("httpx", kind), ("httpx2", kind)}:
        raise TypeError(f"{parameter} must be an httpx.{kind} or httpx2.{kind}, not {type(client).__name__}")


def check_way(needed: str, client: object, async_client: object) -> None:
    """Checks that a custom client serves a way of calling: where one is given, no call may leave by another.

    Args:
        needed: "client" for a blocking call, "async_client" for an awaiting one.
        client: The custom client of blocking calls.
        async_client: The custom client of awaiting calls.

    Raises:
        ConfigurationError: Only the other client is given.
    """
    if needed == "client" and client is None and async_client is not None:
        raise ConfigurationError(
            "async_client= is given and client= is not, and a blocking call would leave by another client:"
            " pass client= too"
        )
    if needed == "async_client" and async_client is None and client is not None:
        raise ConfigurationError(
            "client= is given and async_client= is not, and an awaiting call would leave by another client:"
            " pass async_client= too"
        )


def _read(client: Any, request: Request, reader: ResponseReader) -> None:
    """Sends a request and reads the response, up to its bound."""
    response = client.send(_message(client, request), stream=True, follow_redirects=False)
    try:
        if reader.on_headers(response.status_code, _headers(response)):
            for chunk in response.iter_bytes():
                if not reader.on_chunk(chunk):
                    break
    finally:
        response.close()


async def _aread(client: Any, request: Request, reader: ResponseReader) -> None:
    """Sends a request and reads the response as `_read` does, awaiting, until the deadline."""
    left = None if request.deadline == inf else max(0.0, request.deadline - time.monotonic())
    async with asyncio.timeout(left):
        response = await client.send(_message(client, request), stream=True, follow_redirects=False)
        try:
            if reader.on_headers(response.status_code, _headers(response)):
                async for chunk in response.aiter_bytes():
                    if not reader.on_chunk(chunk):
                        break
        finally:
            await response.aclose()


def _message(client: Any, request: Request) -> Any:
    """Returns the request as httpx has it. A custom client's own `User-Agent` stands, httpx' default does not."""
    headers = dict(request.headers)
    if client.headers.get("user-agent", "python-").startswith("python-"):
        headers.setdefault("user-agent", USER_AGENT)
    return client.build_request("POST", request.url, headers=headers, content=request.content, timeout=request.timeout)


def _headers(response: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _within_deadline(work: Callable[[], None], request: Request) -> None:
    """Runs blocking work in a thread, and abandons the thread at the request's deadline.

    Raises:
        TimeoutError: The deadline came first. The thread ends by itself, when the client gives up.
    """
    future, context = Future[None](), copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(work))
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
            future.set_exception(error)

    threading.Thread(target=run, name="hosted-rerank-deadline", daemon=True).start()
    future.result(max(0.0, request.deadline - time.monotonic()))


def failures() -> tuple[type[BaseException], ...]:
    """Returns the exceptions that mean that no response came; httpx and httpx2 have their own classes."""
    loaded = [sys.modules[library] for library in ("httpx", "httpx2") if library in sys.modules]
    kinds = [kind for library in loaded for kind in (library.RequestError, library.InvalidURL)]
    return (OSError, UnicodeError, *kinds)  # a TimeoutError is an OSError
