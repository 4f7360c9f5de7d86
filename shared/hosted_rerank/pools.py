"""The blocking connections that we open ourselves: httpcore's pool, which is what carries httpx.

An `httpx.Client` is made for what it knows of TLS and of the proxies that the environment names; the requests then go
straight to the pools below it, which halves the work of a call. There are no cookies down there, which is as it has to
be: a pool serves all rerankers of the process, and one account's cookie must not travel with another's request.
"""

import socket
import ssl
import time
from contextlib import suppress
from functools import cache
from typing import Any

import httpcore
import httpx

from hosted_rerank.address import LOOPBACK
from hosted_rerank.attempt import ATTEMPT
from hosted_rerank.coming import Coming, pieces
from hosted_rerank.wire import Request

KEEP_ALIVE = 90.0
"""Seconds that an idle connection is kept: users pause for a minute, and a new one costs several round trips."""

CONNECTIONS = 1000
"""Connections of one pool at most."""

_DIRECT = {f"all://[{host}]" if ":" in host else f"all://{host}": None for host in LOOPBACK}
"""Never asked for through a proxy: what goes to this machine in the clear, key and all, must not leave it."""

_LIMITS = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=KEEP_ALIVE)


class BlockingPool:
    """The blocking connections of the process."""

    def __init__(self) -> None:
        self._client = httpx.Client(verify=tls(), limits=_LIMITS, mounts=_DIRECT)
        self._routes: dict[str, tuple[httpcore.URL, Any, str]] = {}
        # httpx has no way to pass a network backend on, and its own timeouts begin anew with every byte that comes.
        client: Any = self._client
        for transport in (client._transport, *filter(None, client._mounts.values())):  # noqa: SLF001 - see above
            transport._pool._network_backend = _Network()  # noqa: SLF001 - see above

    def send(self, request: Request, coming: Coming) -> None:
        """Send a request and take what comes; raises what httpcore raises."""
        url, pool, host = self._routes.get(request.url) or self._route(request.url)
        headers: Any = {"host": host, **request.headers, "content-length": str(len(request.content))}
        message = httpcore.Request("POST", url, headers=headers, content=pieces(request.content))
        response = pool.handle_request(message)
        try:
            came = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            if coming.begin(response.status, came, unpacked=False):
                for chunk in response.stream:
                    if not coming.add(chunk):
                        break
        finally:
            response.stream.close()

    def _route(self, address: str) -> tuple[httpcore.URL, Any, str]:
        """The parsed address, the pool of the proxy that it goes through or of none, and the host; they are kept."""
        client: Any = self._client
        url = httpx.URL(address)
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        route = target, client._transport_for_url(url)._pool, url.netloc.decode()  # noqa: SLF001 - the way past the client
        if len(self._routes) > CONNECTIONS:
            self._routes.clear()
        self._routes[address] = route
        return route

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


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
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout))

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


@cache
def tls() -> ssl.SSLContext:
    """The TLS context of the process: reading the certificates costs 20 to 90 ms."""
    return httpx.create_ssl_context()
