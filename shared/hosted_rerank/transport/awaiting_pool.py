"""The awaiting connections of one event loop: asyncio's transports, read as the bytes come.

There are no cookies, for a pool serves all rerankers of the process, and one account's cookie must not travel with
another's request.
"""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from hosted_rerank.transport.http1 import ProtocolError, Reading, Tunnel, head_of, pieces_of, tunnel_head
from hosted_rerank.transport.idle import Idle
from hosted_rerank.transport.reach import READ, addresses, in_turn, tls
from hosted_rerank.transport.response_reader import ResponseReader
from hosted_rerank.transport.route import Origin, Routes
from hosted_rerank.wire import Request


class AwaitingPool:
    """The connections of one event loop."""

    def __init__(self) -> None:
        self._routes = Routes()
        self._idle: Idle[_Connection] = Idle()
        self._open: set[_Connection] = set()

    async def send(self, request: Request, coming: ResponseReader) -> None:
        """Send a request and take what comes; a cancellation ends the connection.

        Raises:
            OSError: There is no connection, or it broke.
            ProtocolError: What came is no HTTP, or not all of it.
        """
        route = self._routes.find(request.url)
        while (connection := self._idle.take(route.origin, time.monotonic())) is not None and not connection.is_quiet:
            connection.close()
        coming.kept = connection is not None
        connection = connection or await self._connect(route.origin, coming.ends)
        await connection.exchange(head_of(request, route), request.content, Reading(coming))

    async def _connect(self, origin: Origin, ends: float) -> "_Connection":
        proxy, loop = origin.proxy, asyncio.get_running_loop()
        made = await _socket(*((proxy.host, proxy.port) if proxy else (origin.host, origin.port)), ends)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        straight = origin.tls and proxy is None
        _, connection = await loop.create_connection(
            lambda: _Connection(made, self._open, lambda free: self._idle.give(origin, free, time.monotonic())),
            sock=made,
            ssl=tls() if straight else None,
            server_hostname=origin.host if straight else None,
        )
        if origin.tls and proxy is not None:
            await connection.exchange(tunnel_head(origin), b"", Tunnel())
            await connection.start_tls(origin.host)
        return connection

    async def aclose(self) -> None:
        """Close all connections."""
        self.abandon()
        await asyncio.gather(*(connection.over for connection in self._open))

    def abandon(self) -> None:
        """Close all connections, without a wait for it: their loop may be closed."""
        self._idle.close()
        for connection in self._open:
            connection.close()


async def _socket(host: str, port: int, ends: float) -> socket.socket:
    """Try a host's addresses in turn."""
    loop, failed = asyncio.get_running_loop(), OSError()
    found = await asyncio.wrap_future(addresses(host, port))
    for family, address, seconds in in_turn(found, ends):
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            async with asyncio.timeout(seconds):
                await loop.sock_connect(made, address)
        except OSError as error:
            made.close()
            failed = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise failed


class _Connection(asyncio.Protocol):
    """One connection; one request at a time is on it.

    Args:
        made: Its socket.
        others: The connections of the pool.
        free: Takes it back as soon as a reply is over, before whoever waits for that has their turn.
    """

    def __init__(self, made: socket.socket, others: "set[_Connection]", free: "Callable[[_Connection], None]") -> None:
        self._socket, self._others, self._free = made, others, free
        self._transport: asyncio.Transport  # set when the connection is made
        self._loop: asyncio.AbstractEventLoop  # likewise
        self._reading: Reading | Tunnel  # set while a request is on it
        self._answer: asyncio.Future[None] | None = None
        """To the request that is on it, or was last."""
        self._sending = False
        """Whether a part of the request is not written yet."""
        self._room: asyncio.Future[None] | None = None
        """Set while no more should be written."""

    @property
    def is_quiet(self) -> bool:
        """Whether the other side has neither ended it nor sent what nobody asked for; the loop may not know yet."""
        if self._transport.is_closing():
            return False
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    async def exchange(self, head: bytes, content: bytes, reading: Reading | Tunnel) -> None:
        """Send a request, and read the reply; a server may answer before all of a request has come."""
        self._reading, self._sending = reading, True
        self._answer = answer = self._loop.create_future()
        try:
            for piece in pieces_of(head, content):
                self._transport.write(piece)
                if self._room is not None:
                    await asyncio.wait((self._room, answer), return_when=asyncio.FIRST_COMPLETED)
                if answer.done() or self._transport.is_closing():
                    break
            else:
                self._sending = False
            await answer
        except BaseException:
            free = isinstance(reading, Reading) and not answer.cancelled() and answer.done() and not answer.exception()
            if not free:  # else it may have another request on it by now
                answer.cancel()  # nobody waits for it any more
                self.close()
            raise

    async def start_tls(self, host: str) -> None:
        """Speak TLS from here on."""
        try:
            transport = await self._loop.start_tls(self._transport, self, tls(), server_hostname=host)
        except BaseException:
            self.close()
            self._end()  # asyncio tells nobody of the end of a connection in its handshake
            raise
        self._transport = cast(asyncio.Transport, transport)

    def _is_over(self) -> None:
        """Go on to the next request, or end, or become a tunnel."""
        if isinstance(self._reading, Tunnel):
            return
        if self._reading.keeps and not self._sending:
            del self._reading  # which holds the whole reply
            self._free(self)
        else:
            self.close()

    def close(self) -> None:
        """End it, whatever is on it. With its loop already closed, only its socket can be."""
        if self._loop.is_closed():
            self._socket.close()
        else:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = self._loop.create_future()
        """Done when the connection is no more."""
        self._others.add(self)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None or answer.done():  # nobody asked for that
            self.close()
            return
        try:
            if self._reading.feed(data):
                answer.set_result(None)
                self._is_over()
        except ProtocolError as error:
            answer.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self.resume_writing()
        answer = self._answer
        if exc is not None and self._transport.get_extra_info("ssl_object") is None:
            with suppress(OSError):  # a server that did not want all of a request may have answered before it broke
                while answer is not None and not answer.done() and (data := self._socket.recv(READ)):
                    self.data_received(data)
        if answer is None or answer.done():
            return
        try:
            if exc is not None:
                raise exc
            self._reading.end()
        except (OSError, ProtocolError) as error:
            answer.set_exception(error)
        else:
            answer.set_result(None)

    def _end(self) -> None:
        self._others.discard(self)
        if not self.over.done():
            self.over.set_result(None)

    def pause_writing(self) -> None:
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._room is not None:
            self._room.set_result(None)
            self._room = None
