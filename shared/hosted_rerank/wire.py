"""Plain data of a rerank: what goes out, what comes back, and what the caller gets.

Nothing here decides anything. A transport turns a `Request` into an
`Outcome`: a `Response` if the server answered at all, `TransportFailure` if it did not. The flow turns outcomes into a
`RerankResponse`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NewType, Protocol, TypeAlias

from hosted_rerank._version import __version__

USER_AGENT = f"hosted-rerank/{__version__}"
"""What requests say of their sender; gateways refuse requests that say nothing."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Hosts that a key may go to over plain http; no proxy is asked for them."""

DocumentIndex = NewType("DocumentIndex", int)
"""A document's number in the caller's list."""

TextIndex = NewType("TextIndex", int)
"""A document's number among the texts that are sent, where blank and equal documents do not count."""

RequestIndex = NewType("RequestIndex", int)
"""A document's number in one request."""

ENCODINGS = ("gzip", "deflate")
"""Content encodings that replies may come in. Others could unpack a small reply to any size in one step."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a caller asks, as it was passed in."""

    query: str = field(repr=False)
    documents: Sequence[str] = field(repr=False)
    top_n: int | None
    instruction: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP POST, ready to be sent."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    """Header names in lower case. May hold a key, as the URL may, so both stay out of the repr."""
    content: bytes = field(repr=False)
    timeout: float
    """Seconds for connecting, and for each read and each write."""
    max_response_bytes: int = 64 << 20
    """Bytes of a reply's body, decompressed; a longer one is left where it is."""
    deadline: float = inf
    """`time.monotonic()` at which the call is over."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Header names in lower case; a failure always has its `date` (RFC 9110, section 6.6.1)."""
    content: bytes = field(repr=False)
    """The body, decompressed."""
    at: float
    """`time.monotonic()` when the last byte had come."""


@dataclass(frozen=True, slots=True)
class TransportFailure:
    """No complete reply came, and why. A value, not an exception: what to do about it is the flow's business."""

    reason: str
    at: float
    """`time.monotonic()` when it was known."""
    timed_out: bool = False
    dead_connection: bool = False
    """The server had closed the kept connection before it sent any byte of a response."""
    retryable: bool = True
    """Whether another attempt may succeed."""


Outcome: TypeAlias = Response | TransportFailure


class Transport(Protocol):
    """Carries requests, blocking and awaiting; never raises for what the other side did."""

    def send(self, request: Request) -> Outcome: ...

    async def asend(self, request: Request) -> Outcome: ...

    @property
    def custom_client(self) -> bool:
        """Whether blocking calls have to stay blocking, because the connections are the caller's."""
        ...

    def close(self) -> None: ...

    async def aclose(self) -> None: ...
