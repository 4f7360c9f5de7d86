"""A loopback HTTP server that answers as it is told, byte for byte, and remembers what it was sent.

    with HostileServer() as server:
        server.play(reply(503), ranking())  # an act for each request, the last one for all that follow
        ...
        assert len(server.requests) == 2

An act is a coroutine function of a `Peer`. After it the connection waits for its next request, unless the act ended it.
"""

import asyncio
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, TypeAlias

from tests.bounded import patience

End: TypeAlias = Literal["keep", "hang_up", "reset", "gone"]
"""The fate of a connection: kept, ended in good order, ended with an RST, or held until the client ends it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived."""

    connection: int
    """Which of the server's connections brought it, counted from 1."""
    method: str
    target: str
    headers: Mapping[str, str]
    """Names in lower case; values of a repeated name are joined."""
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)


@dataclass(eq=False, slots=True)
class Peer:
    """The other side of a connection, as an act has it."""

    server: "HostileServer"
    seen: Seen
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def end(self, how: End) -> None:
        if how == "gone":
            with suppress(ConnectionError):
                while await self.reader.read(4096):
                    pass
            self.server.left += 1
        if how == "reset":
            linger = struct.pack("ii", 1, 0)
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.writer.transport.abort()
        if how != "keep":
            self.writer.close()


Act: TypeAlias = Callable[[Peer], Awaitable[None]]


class HostileServer:
    """The server, in a thread of its own, on a port of its own."""

    _ports: ClassVar[set[int]] = set()
    """Taken once: no test shall meet what the library remembers of an earlier server."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.requests: list[Seen] = []
        self.connections = 0
        """Opened so far."""
        self.open = 0
        """Open now."""
        self.left = 0
        """Connections that the client ended while an act waited for that."""
        self._acts: list[Act] = [ranking()]
        self._talks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def play(self, *acts: Act) -> None:
        """Set the acts for the requests to come."""
        self._acts = list(acts)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await self._bind()
        while (port := server.sockets[0].getsockname()[1]) in self._ports:
            server.close()
            server = await self._bind()
        self._ports.add(port)
        await server.start_serving()
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{port}"
        self._ready.set()
        await self._stop.wait()
        self._loop.remove_reader(server.sockets[0])  # no connection is accepted any more
        for _ in range(3):  # turns for connections being accepted: a closed server would leave them open
            await asyncio.sleep(0)
        server.close()
        for task, writer in self._talks.items():
            task.cancel()
            writer.transport.abort()  # a task that never had its turn would leave it open
        if self._talks:
            await asyncio.wait(self._talks)

    async def _bind(self) -> asyncio.Server:
        return await asyncio.start_server(
            self._accept, "127.0.0.1", 0, limit=1 << 20, backlog=1024, ssl=self._tls, start_serving=False
        )

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._talk(reader, writer))
        self._talks[task] = writer
        task.add_done_callback(self._talks.pop)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        number = self.connections
        try:
            while not writer.is_closing():
                peer = Peer(self, await self._read(reader, number), reader, writer)
                self.requests.append(peer.seen)
                await (self._acts.pop(0) if len(self._acts) > 1 else self._acts[0])(peer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has gone
        except asyncio.CancelledError:
            writer.transport.abort()  # the test is over
        self.open -= 1
        writer.close()
        try:
            await writer.wait_closed()
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()

    @staticmethod
    async def _read(reader: asyncio.StreamReader, connection: int) -> Seen:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            earlier = headers.get(name.lower())
            headers[name.lower()] = f"{earlier}, {value.strip()}" if earlier else value.strip()
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        return Seen(connection, method, target, headers, content)


def encoded(body: Any) -> bytes:
    """A body's bytes: of bytes and text themselves, of anything else the JSON."""
    return body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()


def http(status: int, body: Any = b"", reason: str = "Any", **headers: str) -> bytes:
    """A whole reply. `retry_after="1"` is a header; an empty value leaves out one that would be there."""
    content = encoded(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = {"content-type": "application/json", "content-length": str(len(content))} | named
    head = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in lines.items() if value), "", ""]
    return "\r\n".join(head).encode("latin-1") + content


def ranked(*scores: Any, **more: Any) -> dict[str, Any]:
    """A body that ranks documents by position, under the names of every dialect."""
    results = [{"index": index, "relevance_score": score} for index, score in enumerate(scores)]
    return {"results": results, "data": results} | more


def raw(*pieces: bytes, every: float = 0.0, end: End = "keep") -> Act:
    """Send bytes with a pause after each piece."""

    async def act(peer: Peer) -> None:
        for piece in pieces:
            await peer.send(piece)
            await asyncio.sleep(every)
        await peer.end(end)

    return act


def reply(status: int = 200, body: Any = b"", **headers: str) -> Act:
    """Send a whole reply."""
    return raw(http(status, body, **headers))


def ranking(*scores: float, after: float = 0.0, **headers: str) -> Act:
    """Rank the documents of the request: by `scores`, or the later the better."""

    async def act(peer: Peer) -> None:
        await asyncio.sleep(after)
        documents = peer.seen.body["documents"]
        given = scores or [place / len(documents) for place in range(len(documents))]
        await peer.send(http(200, ranked(*given), **headers))

    return act


NUMBERS = [f"text {number}" for number in range(10)]
"""Documents for `by_number`."""


def by_number(most: int | None = None, refusal: Act | None = None) -> Act:
    """An act that scores "text 7" with 0.7, and refuses more than `most` documents."""

    async def act(peer: Peer) -> None:
        documents = peer.seen.body["documents"]
        if most is not None and len(documents) > most:
            await (refusal or reply(413))(peer)
            return
        scores = [int(text.split()[1]) / 10 for text in documents]
        await ranking(*scores, x_request_id="r-1")(peer)

    return act


def silence() -> Act:
    """Say nothing until the client gives up."""
    return raw(end="gone")


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether a condition came true in time; for what the server sees a moment after the client did it."""
    ends = time.monotonic() + patience(seconds)
    while not condition() and time.monotonic() < ends:
        time.sleep(0.005)
    return condition()
