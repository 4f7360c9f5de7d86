"""Collects one HTTP response: status, headers and the decompressed body, up to a size limit."""

import errno
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from email.utils import formatdate

from hosted_rerank.wire import ENCODINGS, Outcome, Request, Response, TransportFailure

_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
"""What OpenSSL calls an answer in plain text; the name differs with its version."""


class ResponseReader:
    """Collects the response to one request.

    Args:
        request: The request, which says how large the body may be.
    """

    def __init__(self, request: Request) -> None:
        self.reused_connection = False
        """Whether the request goes over a connection of an earlier one, which the server may have closed."""
        self._timeout = request.timeout
        self._deadline = request.deadline
        self._chunks: list[bytes] = []
        self._room = request.max_response_bytes
        self._status = 0
        self._headers: Mapping[str, str] = {}
        self._failure: TransportFailure | None = None

    def on_headers(self, status: int, headers: Mapping[str, str]) -> bool:
        """Takes the status and the headers, names in lower case; returns whether to read the body."""
        self._status, self._headers = status, headers
        encoding = headers.get("content-encoding", "").strip().lower()
        if status < 200:
            self._failure = TransportFailure(f"the status {status} is not a final response", time.monotonic())
        elif encoding not in ("", "identity", *ENCODINGS):
            self._fail("the response has a content encoding that was not asked for")
        return self._failure is None

    @property
    def keeps_connection(self) -> bool:
        """Returns whether the server keeps the connection open for another request."""
        return self._headers.get("connection", "").strip().lower() != "close"

    def on_chunk(self, chunk: bytes) -> bool:
        """Takes a part of the decompressed body; returns whether to read more."""
        self._chunks.append(chunk)
        self._room -= len(chunk)
        if self._room < 0:
            self._fail("the response is longer than max_response_bytes")
        return self._failure is None

    def _fail(self, reason: str) -> None:
        self._failure = TransportFailure(reason, time.monotonic(), retryable=False)

    def outcome(self) -> Outcome:
        """Returns the response, or why it cannot be used. The status of an error stands, whatever its body is."""
        if self._failure is not None and self._status < 300:
            return self._failure
        body = b"".join(self._chunks) if self._failure is None else b""
        if self._status >= 300 and "date" not in self._headers:
            self._headers = {**self._headers, "date": formatdate(usegmt=True)}
        return Response(self._status, self._headers, body, time.monotonic())

    def failed(self, error: BaseException, proxies: str = "") -> Outcome:
        """Returns the outcome of a request that an exception ended.

        Args:
            error: The exception.
            proxies: The names of the variables whose proxies may have carried the request; empty for none.
        """
        now, kind = time.monotonic(), type(error).__name__
        if isinstance(error, TimeoutError) or "Timeout" in kind:
            reason = "the deadline is over" if now >= self._deadline else f"no data within {self._timeout:.3g} s"
            self._failure = TransportFailure(reason, now, timed_out=True)
        else:
            # Status 0 and no new connection: the server closed the kept one before it saw the request.
            dead = self.reused_connection and not self._status and not kind.startswith("Connect")
            causes = list(_system_errors(error))
            numbers = {cause.errno for cause in causes}
            full = not numbers.isdisjoint((errno.EMFILE, errno.ENFILE))
            said = re.sub(r"\[Errno -?\d+\] | \(_ssl\.c:\d+\)", "", str(error))
            if reason := _explain(causes, proxies):
                said = "" if errno.ECONNREFUSED in numbers else said
            self._failure = TransportFailure(reason or kind, now, said=said, dead_connection=dead, no_descriptors=full)
        return self.outcome()


def _explain(causes: Sequence[OSError], proxies: str) -> str:
    """Returns what an error of the system means, and the remedy; empty where its own words say it."""
    for cause in causes:
        names = {cls.__name__ for cls in type(cause).__mro__}
        if cause.errno == errno.ECONNREFUSED:
            return f"connection refused: is the {f'proxy of {proxies}' if proxies else 'server'} running?"
        if "gaierror" in names:
            return f"the {f'proxy of {proxies}' if proxies else 'host'} is not found: check its name and the network"
        if "SSLCertVerificationError" in names:
            return "the server's certificate is not trusted: correct the host, or name its authority in SSL_CERT_FILE"
        if "SSLError" in names and getattr(cause, "reason", "") in _NO_TLS:
            return "the server answers without TLS: is its URL http://?"
    return ""


def _system_errors(error: BaseException | None) -> Iterator[OSError]:
    """Yields the errors of the system among an error, its causes and the members of its groups."""
    if error is None:
        return
    if isinstance(error, OSError):
        yield error
    members: tuple[BaseException, ...] = error.exceptions if isinstance(error, BaseExceptionGroup) else ()  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - of any type
    for each in (error.__cause__ or error.__context__, *members):
        yield from _system_errors(each)
