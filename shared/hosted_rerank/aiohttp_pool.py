"""The awaiting connections that we open ourselves: aiohttp's, for httpx's own get slower with their number squared."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, hdrs

from hosted_rerank.address import LOOPBACK
from hosted_rerank.attempt import ATTEMPT
from hosted_rerank.coming import Coming, apieces
from hosted_rerank.pools import CONNECTIONS, KEEP_ALIVE, tls
from hosted_rerank.wire import Request

LONGEST_HEADER = 100_000
"""Bytes, as in httpx; aiohttp's own 8 kB are less than some gateways' policies take."""

_NO_TIMEOUT = ClientTimeout(total=None, sock_connect=None, sock_read=None)
"""The attempt has a time of its own."""


class AwaitingPool:
    """The connections of one event loop. There are no cookies, for a pool serves several accounts."""

    def __init__(self) -> None:
        self._session = ClientSession(
            connector=_Connector(limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE, ssl=tls()),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
            skip_auto_headers=(hdrs.USER_AGENT,),
            timeout=_NO_TIMEOUT,
        )
        self._proxies: dict[str, str | None] = {}

    async def send(self, request: Request, coming: Coming) -> None:
        """Send a request and take what comes; raises what aiohttp raises."""
        length: dict[str, str] = {hdrs.CONTENT_LENGTH: str(len(request.content))}
        async with self._session.post(
            request.url,
            data=apieces(request.content),
            headers={**request.headers, **length},
            allow_redirects=False,
            proxy=self._proxy(request.url),
        ) as response:
            if coming.begin(response.status, _lower(response.headers), unpacked=False):
                async for chunk in response.content.iter_any():
                    if not coming.add(chunk):
                        response.close()
                        break

    def _proxy(self, url: str) -> str | None:
        """The proxy that the environment names for an address."""
        if url not in self._proxies:
            parts = urlsplit(url)
            host = parts.hostname or ""
            known = {} if host in LOOPBACK or proxy_bypass(parts.netloc) else getproxies()
            if len(self._proxies) > CONNECTIONS:
                self._proxies.clear()
            self._proxies[url] = known.get(parts.scheme) or known.get("all")
        return self._proxies[url]

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()


class _Connector(TCPConnector):
    async def _create_connection(self, *args: Any, **kwargs: Any) -> Any:
        ATTEMPT.get().connected = True
        return await super()._create_connection(*args, **kwargs)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
