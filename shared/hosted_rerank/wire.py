"""Plain data of a rerank: what goes out, what comes back, and what the caller gets.

Nothing here decides anything. A transport turns a `Request` into an
`Outcome`: a `Reply` if the server answered at all, `TransportFailure` if it did not. The flow turns outcomes into a
`RerankResponse`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Protocol, TypeAlias

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Hosts that a key may go to over plain http; no proxy is asked for them."""

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
    """Seconds for the whole attempt, from connecting to the last byte."""
    max_response_bytes: int = 64 << 20
    """Bytes of a reply's body, decompressed; a longer one is left where it is."""
    latest: float = inf
    """`time.monotonic()` after which nobody wants the answer any more."""


@dataclass(frozen=True, slots=True)
class Reply:
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
    stale: bool = False
    """The connection had been kept from an earlier call and was dead before any byte of a reply came."""
    final: bool = False
    """Another attempt would be no better: what came is no reply that we take, or the work itself takes too long."""


Outcome: TypeAlias = Reply | TransportFailure


class Transport(Protocol):
    """Carries requests, blocking and awaiting; never raises for what the other side did."""

    def send(self, request: Request) -> Outcome: ...

    async def asend(self, request: Request) -> Outcome: ...

    @property
    def lent(self) -> bool:
        """Whether blocking calls have to stay blocking, because the connections are the caller's."""
        ...

    def close(self) -> None: ...

    async def aclose(self) -> None: ...
