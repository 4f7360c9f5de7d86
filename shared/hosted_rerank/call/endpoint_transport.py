"""Opens the transport to an endpoint: in process or over HTTP, with credentials and the caller's rate limiter."""

from hosted_rerank.providers.auth import KeyHeader
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.providers.servers import LOCAL
from hosted_rerank.transport.custom_client import AsyncHTTPClient, HTTPClient
from hosted_rerank.transport.rate_limiter import RateLimitedTransport, RateLimiter
from hosted_rerank.transport.signing import SigningTransport
from hosted_rerank.transport.transport import open_transport
from hosted_rerank.wire import Transport


def open_endpoint_transport(
    endpoint: Endpoint,
    client: HTTPClient | None,
    async_client: AsyncHTTPClient | None,
    rate_limiter: RateLimiter | None,
) -> Transport:
    """Returns a transport that sends requests to an endpoint.

    Args:
        endpoint: The endpoint.
        client: The caller's httpx client for blocking calls; `None` for none.
        async_client: The caller's httpx client for awaiting calls; `None` for none.
        rate_limiter: The caller's rate limiter; `None` for none.
    """
    provider = endpoint.provider
    if provider.url == LOCAL.url:
        from hosted_rerank.local.inprocess import LocalTransport  # noqa: PLC0415 - an extra

        return LocalTransport()
    transport = open_transport(client, async_client)
    if not isinstance(provider.auth, KeyHeader) and not endpoint.is_loopback:
        transport = SigningTransport(transport, provider.auth, endpoint.key, endpoint.url_params, provider.name)
    return transport if rate_limiter is None else RateLimitedTransport(transport, rate_limiter)
