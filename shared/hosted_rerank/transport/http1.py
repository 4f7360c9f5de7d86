"""HTTP/1.1 as far as a rerank needs it, without the I/O: one POST goes out, and one reply is read.

llhttp, which reads for Node.js and uvicorn too, does the reading (by httptools). The two pools do the I/O.
"""

from collections.abc import Iterator

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from hosted_rerank.transport.response_reader import ResponseReader
from hosted_rerank.transport.route import Origin, Route
from hosted_rerank.wire import Request

LONGEST_HEAD = 100_000
"""Bytes of a reply besides its body; some gateways' policies take tens of thousands."""
CHUNK = 16
"""Bytes that may frame a chunk of a body."""
SHORT, PIECE = 1 << 16, 1 << 18
"""Bytes of a request's body up to which it goes with the head, and of the pieces that a longer one goes in."""


class ProtocolError(Exception):
    """What came is no HTTP, or not all of it."""


def head_of(request: Request, route: Route) -> bytes:
    """Return a request up to its body."""
    headers = {"host": route.authority, **route.headers, **request.headers, "content-length": len(request.content)}
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"POST {route.target} HTTP/1.1\r\n{fields}\r\n".encode("latin-1")


def tunnel_head(origin: Origin) -> bytes:
    """Return the request for a tunnel through a proxy (RFC 9110, section 9.3.6)."""
    target = f"[{origin.host}]:{origin.port}" if ":" in origin.host else f"{origin.host}:{origin.port}"
    headers = {"host": target, **(origin.proxy.headers if origin.proxy else {})}
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"CONNECT {target} HTTP/1.1\r\n{fields}\r\n".encode("latin-1")


def pieces_of(head: bytes, content: bytes) -> Iterator[bytes | memoryview]:
    """Return a request as it is sent: at once, or where that would copy much, in pieces; others may go in between."""
    if len(content) <= SHORT:
        yield head + content
        return
    yield head
    whole = memoryview(content)
    yield from (whole[start : start + PIECE] for start in range(0, len(content), PIECE))


class Tunnel:
    """What a proxy says to the request for a tunnel, which is over when its head is."""

    def __init__(self) -> None:
        self.over = self.keeps = False
        self._parser = HttpResponseParser(self)
        self._head = 0

    def feed(self, data: bytes) -> bool:
        """Read what came; whether there is a tunnel.

        Raises:
            ProtocolError: It is no HTTP, or there will be none.
        """
        self._head += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if not self.over:
                raise ProtocolError(f"the proxy's reply is no HTTP: {error}") from None
        if self._head > LONGEST_HEAD:
            raise ProtocolError("the head of the proxy's reply does not end")
        if self.over and not 200 <= self._parser.get_status_code() < 300:
            raise ProtocolError(f"the proxy answered {self._parser.get_status_code()}")
        return self.over

    def end(self) -> None:
        """Take note that the proxy ended the connection."""
        raise ProtocolError("the proxy ended the connection")

    def on_headers_complete(self) -> None:
        """The end of the head."""
        self.over = True


class Reading:
    """A reply on its way from a connection to `coming`. llhttp calls its methods."""

    def __init__(self, coming: ResponseReader) -> None:
        self.over = False
        """Whether the reply is complete, or no more of it is wanted."""
        self.keeps = False
        """Whether the connection may be used again."""
        self._coming = coming
        self._parser = HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._head = 0
        """Bytes read besides the body."""
        self._begun = self._complete = self._surplus = False

    def feed(self, data: bytes) -> bool:
        """Read what came; whether the reply is over.

        Raises:
            ProtocolError: It is no HTTP.
        """
        self._head += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:  # after a 101, which `coming` has refused
            self.over = True
        except HttpParserError as error:
            if not self.over:
                raise ProtocolError(f"its reply is no HTTP: {error}") from None
            self._surplus = True
        if self._head > LONGEST_HEAD and not self.over:
            raise ProtocolError("what surrounds the body of its reply does not end")
        if self._surplus:
            self.keeps = False
        if self.over:
            del self._parser  # it holds this one as well, and a reply should not have to wait for the collector
        return self.over

    def end(self) -> None:
        """Take note that the other side ended the connection: a body without a length is then complete.

        Raises:
            ProtocolError: The reply was not.
        """
        self.keeps = False
        bounded = "content-length" in self._headers or "transfer-encoding" in self._headers
        if not self.over and (bounded or not self._begun):
            raise ProtocolError("it ended the connection before its reply was whole")
        self.over = True

    def on_message_begin(self) -> None:
        """Another reply than the one that was asked for, or the first."""
        self._surplus = self._complete

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field; one that comes again is joined, one after the body is left out (RFC 9110, sections 5.3, 6.5.1)."""
        if self._begun:
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        """The head of a reply, or of an interim one (100 to 199), after which the reply follows."""
        status = self._parser.get_status_code()
        if self._complete or (status < 200 and status != 101):
            return
        self._begun = True
        self.over = not self._coming.begin(status, self._headers)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._head = max(0, self._head - len(body) - CHUNK)
        if not self.over:
            self.over = not self._coming.add(body)

    def on_message_complete(self) -> None:
        """The end of a reply, or of an interim one."""
        if not self._begun:
            self._headers = {}
        elif not self.over:
            self.over = self._complete = True
            self.keeps = self._parser.should_keep_alive()
