"""The way to an address: the host, or the proxy that the environment names for it (`HTTPS_PROXY`, `NO_PROXY`, ...)."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from hosted_rerank.wire import LOOPBACK

REMEMBERED = 1000
"""Addresses whose way is remembered."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy."""

    host: str
    port: int
    headers: Mapping[str, str] = field(repr=False, hash=False, compare=False)
    """What it is told of who asks."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a connection goes; requests of one origin may use each other's connections."""

    host: str
    port: int
    tls: bool
    proxy: Proxy | None


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes, and what its first line says."""

    origin: Origin
    authority: str
    """The host, with a port where it is not the usual one."""
    target: str
    """The path and the query; the whole address where a proxy is told it."""
    headers: Mapping[str, str] = field(repr=False)
    """What a proxy is told besides."""


class Routes:
    """The ways to addresses, remembered."""

    def __init__(self) -> None:
        self._known: dict[str, Route] = {}

    def find(self, url: str) -> Route:
        """Return the way to an address. Raises what `route_to` raises."""
        route = self._known.get(url)
        if route is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[url] = route = route_to(url)
        return route


def route_to(url: str) -> Route:
    """Return the way to an address.

    Raises:
        OSError: The environment names a proxy of a kind that is not supported.
    """
    parts = urlsplit(url)
    proxy, tls, host = _proxy(parts), parts.scheme == "https", parts.hostname or ""
    origin = Origin(host, parts.port or (443 if tls else 80), tls, proxy)
    authority = parts.netloc.rpartition("@")[2]
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if proxy is None or tls:
        return Route(origin, authority, target, {})
    return Route(origin, authority, f"http://{authority}{target}", proxy.headers)


def _proxy(parts: SplitResult) -> Proxy | None:
    host = parts.hostname or ""
    if host in LOOPBACK or proxy_bypass(parts.netloc):  # what goes to this machine, key and all, must not leave it
        return None
    known = getproxies()
    url = known.get(parts.scheme) or known.get("all")
    if not url:
        return None
    found = urlsplit(url if "://" in url else f"http://{url}")
    if found.scheme != "http" or not found.hostname:
        raise OSError(
            f"the environment names a proxy of the kind {found.scheme!r}: only http:// is supported here; lend a client"
            " that can, by client= and async_client="
        )
    user = f"{unquote(found.username or '')}:{unquote(found.password or '')}".encode()
    headers = {"proxy-authorization": f"Basic {b64encode(user).decode()}"} if found.username else {}
    return Proxy(found.hostname, found.port or 80, headers)
