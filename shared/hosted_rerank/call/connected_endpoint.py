"""The endpoint of one reranker and the transport to it, which all copies of the reranker open for themselves."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from hosted_rerank._context_manager import ContextManagerMixin
from hosted_rerank.call.call_options import CallOptions
from hosted_rerank.call.endpoint_transport import open_endpoint_transport
from hosted_rerank.providers import Provider
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.transport.custom_client import AsyncHTTPClient, HTTPClient, check_client
from hosted_rerank.transport.rate_limiter import RateLimiter
from hosted_rerank.wire import Transport


class ConnectedEndpoint(ContextManagerMixin):
    """An endpoint, and the transport to it, which opens at the first call.

    Args:
        endpoint: Where the calls are sent.
        call_options: The options of the calls.
        client: The caller's httpx client for blocking calls; `None` for none.
        async_client: The caller's httpx client for awaiting calls; `None` for none.
        rate_limiter: The caller's rate limiter; `None` for none.

    Raises:
        TypeError: A client has the wrong type.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        call_options: CallOptions,
        client: HTTPClient | None,
        async_client: AsyncHTTPClient | None,
        rate_limiter: RateLimiter | None,
    ) -> None:
        self._endpoint, self._call_options = endpoint, call_options
        check_client("client", client, "Client")
        check_client("async_client", async_client, "AsyncClient")
        self._client, self._async_client, self._rate_limiter = client, async_client, rate_limiter
        self._transport: Transport  # set by _connect

    @property
    def provider(self) -> Provider:
        """The provider that this reranker calls."""
        return self._endpoint.provider

    @property
    def model(self) -> str | None:
        """The id of the model; `None` if the API chooses the model."""
        return self._endpoint.model

    @property
    def url(self) -> str:
        """The URL that requests go to, without the query and without what may be secret."""
        return self._endpoint.shown_url()

    def _connect(self) -> Transport:
        """Returns the transport, which is opened at the first call, because the embedded model is an extra."""
        if "_transport" not in self.__dict__:
            transport = open_endpoint_transport(self._endpoint, self._client, self._async_client, self._rate_limiter)
            # Atomic: if two threads get here at once, both use the same transport; the other one has no connection yet.
            self.__dict__.setdefault("_transport", transport)
        return self._transport

    def close(self) -> None:
        """Closes the connections of the process if no other reranker needs them.

        Calls of this reranker that are in flight may fail. A later call opens a new connection. It never closes custom
        clients.
        """
        if "_transport" in self.__dict__:
            self._transport.close()

    async def aclose(self) -> None:
        """Closes the connections as `close` does, awaiting."""
        if "_transport" in self.__dict__:
            await self._transport.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(provider={self.provider.name!r}, model={self.model!r})"

    def __copy__(self) -> Self:
        copied = object.__new__(type(self))
        copied.__dict__ = {name: value for name, value in self.__dict__.items() if name != "_transport"}
        return copied

    def with_timeout(self, timeout: float) -> Self:
        """Returns a copy with another timeout. Fallbacks keep theirs.

        Args:
            timeout: httpx' timeout in seconds, as the parameter `timeout`.

        Returns:
            The copy, with the same connections, learned limits, cache and clients.

        Raises:
            ValueError: The timeout is not positive, or not finite.
            TypeError: The timeout is not a number.
        """
        other = self.__copy__()
        other.__dict__["_call_options"] = replace(self._call_options, timeout=timeout)
        return other

    def _with(self, model: str | None, options: Mapping[str, Any] | None) -> Self:
        """Returns this object for another model or with more options of the same API; it uses the same transport."""
        self._connect()
        own = self._endpoint
        endpoint = replace(own, model=model or own.model, options={**own.options, **(options or {})})
        other = object.__new__(type(self))
        other.__dict__ = self.__dict__ | {"_endpoint": endpoint}
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()  # the other attributes are immutable or belong to the caller
