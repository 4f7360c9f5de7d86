"""A reply as it comes: its status first, its body up to the bound, unpacked as it comes, and what it is in the end."""

import time
import zlib
from collections.abc import Mapping
from email.utils import formatdate

from hosted_rerank.wire import ENCODINGS, Outcome, Reply, Request, TransportFailure


class ResponseReader:
    """The reply to one attempt, which begins with it."""

    def __init__(self, request: Request) -> None:
        self.ends = time.monotonic() + request.timeout
        """When the attempt has to be over."""
        self.kept = False
        """Whether it goes over a connection that was kept from an earlier one, and that may be dead."""
        self._timeout = request.timeout
        self._chunks: list[bytes] = []
        self._room = request.max_response_bytes
        self._status = 0
        self._headers: Mapping[str, str] = {}
        self._refused: TransportFailure | None = None
        self._unpack: _Unpacker | None = None

    def begin(self, status: int, headers: Mapping[str, str], *, unpacked: bool = False) -> bool:
        """Take the status and the headers; whether the body shall be read.

        Args:
            status: The HTTP status.
            headers: The headers, names in lower case.
            unpacked: Whether the body comes without its content encoding.
        """
        self._status, self._headers = status, headers
        encoding = self._headers.get("content-encoding", "").strip().lower()
        if status < 200:
            self._refused = TransportFailure(f"it answered {status}, which is no reply", time.monotonic())
        elif encoding not in ("", "identity", *ENCODINGS):
            self._refuse("its reply came in a content encoding that was not asked for")
        elif encoding in ENCODINGS and not unpacked:
            self._unpack = _Unpacker()
        return self._refused is None

    def add(self, chunk: bytes) -> bool:
        """Take a part of the body; whether more of it shall be read."""
        if self._unpack is not None:
            if self._unpack.is_over:  # what follows is nobody's, and counts
                self._room -= len(chunk)
            try:
                chunk = self._unpack(chunk, self._room + 1)
            except zlib.error:
                self._refused = TransportFailure(
                    "its reply is not in the content encoding that it says", time.monotonic()
                )
                return False
        self._chunks.append(chunk)
        self._room -= len(chunk)
        if self._room < 0:
            self._refuse("its reply is longer than the bound on replies")
        elif time.monotonic() > self.ends:
            self._refused = TransportFailure("its reply kept coming in small pieces", time.monotonic(), timed_out=True)
        return self._refused is None

    def _refuse(self, reason: str) -> None:
        self._refused = TransportFailure(reason, time.monotonic(), final=True)

    def outcome(self) -> Outcome:
        """What came. The status of a failure stands, whatever its body is."""
        if self._refused is None and self._unpack is not None and not self._unpack.is_whole:
            self._refused = TransportFailure("its reply ended in the middle of its content encoding", time.monotonic())
        if self._refused is not None and self._status < 300:
            return self._refused
        body = b"".join(self._chunks) if self._refused is None else b""
        if self._status >= 300 and "date" not in self._headers:
            self._headers = {**self._headers, "date": formatdate(usegmt=True)}
        return Reply(self._status, self._headers, body, time.monotonic())

    def broken(self, error: BaseException) -> Outcome:
        """What came, where an exception ended it."""
        now, kind = time.monotonic(), type(error).__name__
        if isinstance(error, TimeoutError) or "Timeout" in kind:
            reason = f"nothing complete within {self._timeout:.3g} s"
            self._refused = TransportFailure(reason, now, timed_out=True)
        else:
            stale = self.kept and not self._status
            self._refused = TransportFailure(f"{kind}: {error}" if str(error) else kind, now, stale=stale)
        return self.outcome()


class _Unpacker:
    """Undoes gzip and deflate, of which servers send two kinds."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip, or zlib's own form
        self._first = True
        self._held = b""
        """A first byte, which does not tell the kind yet."""

    def __call__(self, chunk: bytes, most: int) -> bytes:
        """Return what a chunk unpacks to, and of that not more than `most` bytes."""
        if self._inflate.eof:
            return b""
        chunk = self._held + chunk
        if self._first and len(chunk) == 1:
            self._held = chunk
            return b""
        self._held = b""
        try:
            unpacked = self._inflate.decompress(chunk, most)
        except zlib.error:
            if not self._first:
                raise
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)  # bare deflate, without zlib's frame
            unpacked = self._inflate.decompress(chunk, most)
        self._first = False
        return unpacked

    @property
    def is_over(self) -> bool:
        """Whether its end has come."""
        return self._inflate.eof

    @property
    def is_whole(self) -> bool:
        """Whether all has come; nothing at all is whole too."""
        return self._inflate.eof or (self._first and not self._held)
