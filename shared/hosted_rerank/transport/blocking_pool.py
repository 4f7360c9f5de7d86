"""The blocking connections: a thread sends and reads by itself, in one time for the whole attempt.

There are no cookies, for a pool serves all rerankers of the process, and one account's cookie must not travel with
another's request.
"""

import selectors
import socket
import ssl
import time
from collections.abc import Iterable

from hosted_rerank.transport.http1 import SHORT, Reading, Tunnel, head_of, pieces_of, tunnel_head
from hosted_rerank.transport.idle import Idle
from hosted_rerank.transport.reach import READ, addresses, in_turn, time_left, tls
from hosted_rerank.transport.response_reader import ResponseReader
from hosted_rerank.transport.route import Origin, Routes
from hosted_rerank.wire import Request


class BlockingPool:
    """The blocking connections of the process."""

    def __init__(self) -> None:
        self._idle: Idle[_Connection] = Idle()
        self._routes = Routes()

    def send(self, request: Request, coming: ResponseReader) -> None:
        """Send a request and take what comes.

        Raises:
            OSError: There is no connection, or it broke, or time is up.
            ProtocolError: What came is no HTTP, or not all of it.
        """
        route, reading = self._routes.find(request.url), Reading(coming)
        origin = route.origin
        while (connection := self._idle.take(origin, time.monotonic())) is not None and not connection.is_quiet:
            connection.close()
        coming.kept = connection is not None
        connection = connection or _Connection(origin, coming.ends)
        try:
            connection.exchange(head_of(request, route), request.content, reading, coming.ends)
        except BaseException:
            connection.close()
            raise
        if reading.keeps:
            self._idle.give(origin, connection, time.monotonic())
        else:
            connection.close()

    def close(self) -> None:
        """Close all idle connections."""
        self._idle.close()


class _Connection:
    """One connection."""

    def __init__(self, origin: Origin, ends: float) -> None:
        proxy = origin.proxy
        self._socket = _connect(*((proxy.host, proxy.port) if proxy else (origin.host, origin.port)), ends)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin.tls and proxy is not None:
                self.exchange(tunnel_head(origin), b"", Tunnel(), ends)
            if origin.tls:
                self._socket.settimeout(time_left(ends))
                self._socket = tls().wrap_socket(self._socket, server_hostname=origin.host)
        except BaseException:
            self._socket.close()
            raise

    @property
    def is_quiet(self) -> bool:
        """Whether the other side has neither ended it nor sent what nobody asked for."""
        self._socket.settimeout(0)
        try:
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def exchange(self, head: bytes, content: bytes, reading: Reading | Tunnel, ends: float) -> None:
        """Send a request, and read the reply; a server may answer before all of a request has come."""
        sent = False
        try:
            if len(content) > SHORT and not isinstance(self._socket, ssl.SSLSocket):
                sent = self._send_and_read(pieces_of(head, content), reading, ends)
            else:
                for piece in pieces_of(head, content):
                    self._socket.settimeout(time_left(ends))
                    self._socket.sendall(piece)
                sent = True
        except TimeoutError:
            raise
        except OSError:
            pass  # it may have answered before it broke
        while not reading.over:
            self._read(reading, ends)
        reading.keeps = reading.keeps and sent

    def _read(self, reading: Reading | Tunnel, ends: float) -> None:
        """Read what comes next."""
        self._socket.settimeout(time_left(ends))
        if data := self._socket.recv(READ):
            reading.feed(data)
        else:
            reading.end()
        if time.monotonic() > ends and not reading.over:
            raise TimeoutError

    def _send_and_read(self, pieces: Iterable[bytes | memoryview], reading: Reading | Tunnel, ends: float) -> bool:
        """Send as long as there is no reply; whether all was sent. Without TLS, whose own messages look like one."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
            for piece in pieces:
                left = memoryview(piece)
                while left:
                    ready = selector.select(time_left(ends))
                    if not ready:
                        raise TimeoutError
                    if ready[0][1] & selectors.EVENT_READ:
                        self._read(reading, ends)
                        if reading.over:
                            return False
                    else:
                        self._socket.settimeout(0)
                        left = left[self._socket.send(left) :]
        return True

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def _connect(host: str, port: int, ends: float) -> socket.socket:
    """Try a host's addresses in turn."""
    failed = OSError()
    for family, address, seconds in in_turn(addresses(host, port).result(time_left(ends)), ends):
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.settimeout(seconds)
            made.connect(address)
        except OSError as error:
            made.close()
            failed = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise failed
