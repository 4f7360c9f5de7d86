"""aiohttp below httpx, as awaiting use needs it: no cookies, long headers, and no word of a server taken amiss."""

from typing import Any

from aiohttp import ClientResponse, ClientSession, DummyCookieJar, TCPConnector
from httpx_aiohttp import AiohttpTransport, HttpxAiohttpClient

from hosted_rerank.connections import ATTEMPT

LONGEST_HEADER = 100_000
"""Bytes, as in httpx; aiohttp's own 8 kB are less than some gateways' policies take."""


class Client(HttpxAiohttpClient):
    """An `httpx.AsyncClient` over aiohttp's connections."""

    def _init_transport(self, *_: Any, **settings: Any) -> AiohttpTransport:
        return _Transport(**settings)

    def _init_proxy_transport(self, *proxy: Any, **settings: Any) -> AiohttpTransport:
        return _Transport(proxy=proxy[0], **settings)


class _Transport(AiohttpTransport):
    def get_client(self) -> ClientSession:
        limits = self.limits
        return ClientSession(
            connector=_Connector(
                limit=limits.max_connections or 0, keepalive_timeout=limits.keepalive_expiry, ssl=self.ssl_context
            ),
            cookie_jar=DummyCookieJar(),
            response_class=_Response,
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
        )


class _Connector(TCPConnector):
    async def _create_connection(self, *args: Any, **kwargs: Any) -> Any:
        ATTEMPT.get().connected = True
        return await super()._create_connection(*args, **kwargs)


class _Response(ClientResponse):
    async def start(self, *args: Any, **kwargs: Any) -> ClientResponse:
        await super().start(*args, **kwargs)
        self.reason = (self.reason or "").encode("ascii", "replace").decode()  # httpx-aiohttp expects no more
        return self
