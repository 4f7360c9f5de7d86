"""The plain data of a rerank: a caller's call, HTTP requests and responses.

A transport turns a `Request` into an `Outcome`: a `Response` if the server answered, a `TransportFailure` if not. The
request flow turns outcomes into a `RerankResponse`.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, NewType, Protocol, TypeAlias

from hosted_rerank._version import __version__

USER_AGENT = f"hosted-rerank/{__version__}"
"""The `User-Agent` of each request; some gateways refuse requests without one."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""The hosts of this machine: a key may go there over plain http, and requests use no proxy."""

DocumentIndex = NewType("DocumentIndex", int)
"""The position of a document in the caller's list."""

TextIndex = NewType("TextIndex", int)
"""The position of a text among the distinct texts that are not blank, which are the ones to send."""

RequestIndex = NewType("RequestIndex", int)
"""The position of a document in one request."""

Document: TypeAlias = str | Mapping[str, Any]
"""A document of a caller: a text, or parts by name, such as `{"image": url, "text": caption}` or other fields."""

ENCODINGS = ("gzip", "deflate")
"""The accepted content encodings of a response. Others can expand a small response to any size in one step."""


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments of one rerank."""

    query: str = field(repr=False)
    documents: Sequence[Document] = field(repr=False)
    top_n: int | None
    """The number of results to return; `None` for all."""
    instruction: str | None = field(repr=False)
    has_parts: bool = False
    """Whether a document has several parts."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP POST."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    """The headers, with names in lower case. Headers and URL may contain a key, so the repr omits both."""
    content: bytes = field(repr=False)
    timeout: float
    """httpx' timeout: seconds for connecting, for each read and for each write."""
    max_response_bytes: int = 64 << 20
    """The largest response body, in bytes after decompression; the rest of a longer one is not read."""
    deadline: float = inf
    """The value of `time.monotonic()` at which the call ends."""
    cancelled: threading.Event | None = field(default=None, repr=False)
    """Is set when the call has ended, so that a thread that waits for a rate limiter or credentials does not send."""


@dataclass(frozen=True, slots=True)
class Response:
    """A complete HTTP response with any status."""

    status: int
    headers: Mapping[str, str]
    """The headers, with names in lower case; an error response has a `date` (RFC 9110, section 6.6.1)."""
    content: bytes = field(repr=False)
    """The body, decompressed."""
    at: float
    """The value of `time.monotonic()` after the last byte."""


@dataclass(frozen=True, slots=True)
class TransportFailure:
    """The reason why there is no complete response. It is a value and not an exception: the request flow decides."""

    reason: str
    """Words of this package, which an error shows as they are."""
    at: float
    """The value of `time.monotonic()` at the failure."""
    said: str = ""
    """The message of the HTTP library or of the server. It may contain parts of the request."""
    timed_out: bool = False
    dead_connection: bool = False
    """Whether the server closed a reused connection before the first byte of a response."""
    retryable: bool = True
    """Whether another attempt may succeed."""
    no_descriptors: bool = False
    """Whether the process has too many open files to connect, which says nothing about the service."""
    unsent: bool = False
    """Whether it was not sent for want of credentials, which says nothing about the service."""


Outcome: TypeAlias = Response | TransportFailure


class Transport(Protocol):
    """Sends requests, blocking or awaiting. A failure of the server or the network is returned and not raised."""

    def send(self, request: Request) -> Outcome: ...

    async def asend(self, request: Request) -> Outcome: ...

    @property
    def custom_client(self) -> bool:
        """Whether the caller's own clients send the requests, so that a blocking call must use the blocking client."""
        ...

    def close(self) -> None: ...

    async def aclose(self) -> None: ...
