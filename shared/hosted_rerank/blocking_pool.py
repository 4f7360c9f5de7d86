"""The blocking connections: a thread sends and reads by itself, in one time for the whole attempt.

There are no cookies, for a pool serves all rerankers of the process, and one account's cookie must not travel with
another's request.
"""

import socket
import ssl
import time

from hosted_rerank.coming import Coming
from hosted_rerank.http1 import Reading, Tunnel, head_of, pieces_of, tunnel_head
from hosted_rerank.idle import Idle
from hosted_rerank.reach import in_turn, time_left, tls
from hosted_rerank.route import Origin, Routes
from hosted_rerank.wire import Request

READ = 1 << 16
"""Bytes read at once."""


class BlockingPool:
    """The blocking connections of the process."""

    def __init__(self) -> None:
        self._idle: Idle[_Connection] = Idle()
        self._routes = Routes()

    def send(self, request: Request, coming: Coming) -> None:
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
        unsent = False
        try:
            for piece in pieces_of(head, content):
                self._socket.settimeout(time_left(ends))
                self._socket.sendall(piece)
        except TimeoutError:
            raise
        except OSError:
            unsent = True
        while not reading.over:
            self._socket.settimeout(time_left(ends))
            if data := self._socket.recv(READ):
                reading.feed(data)
            else:
                reading.end()
        reading.keeps = reading.keeps and not unsent

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def _connect(host: str, port: int, ends: float) -> socket.socket:
    """Try a host's addresses in turn."""
    failed = OSError()
    for family, address, seconds in in_turn(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), ends):
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
