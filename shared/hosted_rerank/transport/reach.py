"""How a host is reached: its addresses in turn, and TLS."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import cache
from typing import Any

READ = 1 << 16
"""Bytes read at once."""

PATIENCE = 2.0
"""Seconds that an address is tried, at most, while there is another one."""


def addresses(host: str, port: int) -> Future[Sequence[Any]]:
    """Look up what `getaddrinfo` returns, in a thread that nobody has to wait for: it takes as long as it takes."""
    future = Future[Sequence[Any]]()
    try:  # a number needs no thread
        future.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    except socket.gaierror:
        future.set_running_or_notify_cancel()  # from here on, nobody can cancel it
        threading.Thread(target=_look_up, args=(host, port, future), name="hosted-rerank-names", daemon=True).start()
    return future


def _look_up(host: str, port: int, future: "Future[Sequence[Any]]") -> None:
    try:
        future.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
        future.set_exception(error)


def in_turn(found: Sequence[Any], ends: float) -> Iterator[tuple[int, Any, float]]:
    """Yield a host's addresses as (family, address, seconds to try it); all together do not take longer than `ends`.

    Args:
        found: What `getaddrinfo` returns.
        ends: `time.monotonic()` when it has to be over.

    Raises:
        OSError: There are none.
    """
    if not found:
        raise OSError("the host has no address")
    for others, (family, _, _, _, address) in zip(range(len(found) - 1, -1, -1), found, strict=True):
        left = time_left(ends)
        yield family, address, min(left / (others + 1), PATIENCE) if others else left


def time_left(ends: float) -> float:
    """Return the seconds that an attempt still has; a moment at least, for zero would mean not to wait."""
    return max(0.001, ends - time.monotonic())


@cache
def tls() -> ssl.SSLContext:
    """The TLS context of the process: reading the certificates costs 20 to 90 ms.

    It trusts what httpx trusts: certifi's certificates, or those of `SSL_CERT_FILE` or `SSL_CERT_DIR`.
    """
    from httpx import create_ssl_context  # noqa: PLC0415 - 60 ms, for nothing where no TLS is spoken

    context = create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
