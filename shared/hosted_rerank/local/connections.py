"""The connections of the local server: half-sent requests end, and a simulated fault breaks a connection."""

import asyncio
import socket
import struct
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class Protocol(H11Protocol):
    """uvicorn's protocol that ends half-sent requests, and gives the application each connection, to break it."""

    def __init__(self, *args: Any, read_timeout: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_timeout = read_timeout
        served: Any = self.app
        self._serving = False
        self._timer: asyncio.TimerHandle | None = None

        async def app(scope: Any, receive: Any, send: Any) -> None:
            self._serving = True
            self._stop_timer()
            try:
                await served({**scope, "transport": self.transport}, receive, send)
            finally:
                self._serving = False

        self.app = app

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in H11Protocol
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        if not self._serving:
            self._start_timer()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _start_timer(self) -> None:
        """Closes the connection if the head of a request is not complete in time."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._read_timeout, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def break_connection(transport: asyncio.Transport, content: bytes | None = None) -> None:
    """Breaks a connection: with an RST, or in the middle of a response with `content`."""
    if content is None:
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    else:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        transport.write(head.encode() + content[: len(content) // 2])
        transport.close()
    await asyncio.sleep(0.01)  # so that the server notices
