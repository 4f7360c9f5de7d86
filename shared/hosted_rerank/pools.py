"""The HTTP clients that we open ourselves. The only importer of httpx.

Blocking use has httpx's own pool, awaiting use has aiohttp's below httpx, because httpx's own slows down quadratically
with the connections in it. Both go through the proxies that the environment names, and both refuse cookies: a pool
serves all rerankers of the process, and one account's cookie must not travel with another's request.
"""

import socket
import ssl
import time
from contextlib import suppress
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore
import httpx

from hosted_rerank.address import LOOPBACK
from hosted_rerank.connections import ATTEMPT

KEEP_ALIVE = 90.0
"""Seconds that an idle connection is kept: users pause for a minute, and a new one costs several round trips."""

CONNECTIONS = 1000
"""Connections of one pool at most."""

_DIRECT = {f"all://[{host}]" if ":" in host else f"all://{host}": None for host in LOOPBACK}
"""Never asked for through a proxy: what goes to this machine in the clear, key and all, must not leave it."""

_LIMITS = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=KEEP_ALIVE)


def open_blocking() -> httpx.Client:
    """Return a new client for blocking use."""
    client = httpx.Client(verify=_tls(), limits=_LIMITS, cookies=_no_cookies(), mounts=_DIRECT)
    # httpx has no way to pass a network backend on, and its own timeouts begin anew with every byte that comes.
    routes: Any = client
    for transport in (routes._transport, *filter(None, routes._mounts.values())):  # noqa: SLF001 - see above
        transport._pool._network_backend = _Network()  # noqa: SLF001 - see above
    return client


class _Network(httpcore.SyncBackend):
    """Connections of which no read or write outlasts the attempt, however slowly a server drips its bytes."""

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **kwargs: Any
    ) -> httpcore.NetworkStream:
        """Try a host's addresses in turn, and share out the time among them; the base gives each of them all of it."""
        ATTEMPT.get().connected = True
        *others, last = [found[4][0] for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        for left, address in zip(range(len(others) + 1, 1, -1), others, strict=True):
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return _Stream(super().connect_tcp(str(address), port, _left(timeout) / left, *args, **kwargs))
        return _Stream(super().connect_tcp(str(last), port, _left(timeout), *args, **kwargs))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        ATTEMPT.get().connection = self
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        ATTEMPT.get().connection = self
        self._stream.write(buffer, _left(timeout))

    def stop(self) -> None:
        """Have whoever reads or writes in another thread find the connection ended."""
        with suppress(OSError):
            connection: socket.socket = self._stream.get_extra_info("socket")
            socket.socket.shutdown(connection, socket.SHUT_RDWR)  # not TLS' own, which the other thread would trip over

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()


def _left(timeout: float | None) -> float:
    """The seconds that this thread's attempt still has; a moment at least, for zero would mean not to block."""
    left = ATTEMPT.get().ends - time.monotonic()
    return max(0.001, left if timeout is None else min(timeout, left))


def open_awaiting() -> httpx.AsyncClient:
    """Return a new client for awaiting use, in one event loop."""
    from hosted_rerank.aiohttp_pool import Client  # noqa: PLC0415 - aiohttp costs 0.3 s to import

    return Client(verify=_tls(), limits=_LIMITS, cookies=_no_cookies(), mounts=_DIRECT)


@cache
def _tls() -> ssl.SSLContext:
    """The TLS context of the process: reading the certificates costs 20 to 90 ms."""
    return httpx.create_ssl_context()


def _no_cookies() -> CookieJar:
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))
