"""Sends requests over the caller's own httpx or httpx2 clients, which are used as they are and never closed."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextvars import copy_context
from math import inf
from typing import Any, Protocol

from hosted_rerank.errors import ConfigurationError
from hosted_rerank.transport.httpx_exchange import HEADERS, aread, failures, read
from hosted_rerank.transport.response_reader import ResponseReader
from hosted_rerank.wire import Outcome, Request, TransportFailure

_WITHOUT_USER_AGENT = {name: value for name, value in HEADERS.items() if name != "user-agent"}


class HTTPClient(Protocol):
    """What is needed of an `httpx.Client` or `httpx2.Client`."""

    @property
    def base_url(self) -> Any: ...

    @property
    def headers(self) -> Any: ...

    @property
    def is_closed(self) -> bool: ...

    def build_request(self, *args: Any, **kwargs: Any) -> Any: ...

    def send(self, *args: Any, **kwargs: Any) -> Any: ...


class AsyncHTTPClient(Protocol):
    """What is needed of an `httpx.AsyncClient` or `httpx2.AsyncClient`."""

    @property
    def base_url(self) -> Any: ...

    @property
    def headers(self) -> Any: ...

    @property
    def is_closed(self) -> bool: ...

    def build_request(self, *args: Any, **kwargs: Any) -> Any: ...

    async def send(self, *args: Any, **kwargs: Any) -> Any: ...


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
        client, defaults = self._client, _default_headers(self._client)
        if request.cancelled is not None and request.cancelled.is_set():
            return TransportFailure("the call has ended", time.monotonic(), retryable=False, unsent=True)
        try:
            if request.deadline < inf:
                _within_deadline(lambda: read(client, request, reader, defaults), request)
            else:
                read(client, request, reader, defaults)
        except failures() as error:
            return reader.failed(error)
        self._used.add("blocking")
        return reader.outcome()

    async def asend(self, request: Request) -> Outcome:
        """Sends a request over the awaiting client; `check_way` has seen that there is one."""
        reader = ResponseReader(request)
        reader.reused_connection = "awaiting" in self._used
        try:
            await aread(self._async_client, request, reader, _default_headers(self._async_client))
        except failures() as error:
            return reader.failed(error)
        self._used.add("awaiting")
        return reader.outcome()

    def close(self) -> None:
        """Does nothing: the clients are the caller's."""

    async def aclose(self) -> None:
        """Does nothing: the clients are the caller's."""


def check_client(parameter: str, client: object, kind: str) -> None:
    """Checks that a value is a client of httpx or httpx2, without importing either.

    Raises:
        TypeError: It is something else.
    """
    classes = {(cls.__module__.partition(".")[0], cls.__name__) for cls in type(client).__mro__}
    if client is not None and not classes & {("httpx", kind), ("httpx2", kind)}:
        raise TypeError(f"{parameter} must be an httpx.{kind} or httpx2.{kind}, not {type(client).__name__}")


def check_way(needed: str, client: HTTPClient | None, async_client: AsyncHTTPClient | None) -> None:
    """Checks that a custom client serves a way of calling: where one is given, no call may leave by another.

    Args:
        needed: "client" for a blocking call, "async_client" for an awaiting one.
        client: The custom client of blocking calls.
        async_client: The custom client of awaiting calls.

    Raises:
        ConfigurationError: Only the other client is given, or it is closed.
    """
    used = client if needed == "client" else async_client
    if used is not None and used.is_closed:
        raise ConfigurationError(f"{needed}= is closed: pass one that stays open as long as the reranker is used")
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


def _default_headers(client: Any) -> Mapping[str, str]:
    """Returns our default headers for a client. Its own `User-Agent` stands, httpx' default does not."""
    return HEADERS if client.headers.get("user-agent", "python-").startswith("python-") else _WITHOUT_USER_AGENT


def _within_deadline(work: Callable[[], None], request: Request) -> None:
    """Runs blocking work in a thread, and abandons the thread at the request's deadline.

    Raises:
        TimeoutError: The deadline came first. A thread that has begun ends by itself, when the client gives up.
    """
    future, context = Future[None](), copy_context()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(context.run(work))
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
            future.set_exception(error)

    threading.Thread(target=run, name="hosted-rerank-deadline", daemon=True).start()
    try:
        future.result(max(0.0, request.deadline - time.monotonic()))
    finally:
        future.cancel()
