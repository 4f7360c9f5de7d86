"""Carries requests over httpx, blocking and awaiting: takes a `Request`, returns a `Response` or a `TransportFailure`.

A request goes over the clients of the process, or over custom clients. `Request.timeout` is httpx' own: for connecting,
each read and each write. `Request.deadline` is hard: a blocking request that has one runs where it can be abandoned, in
the background loop, or in a thread for a custom client.
"""

import asyncio
from math import inf

from hosted_rerank.transport.background_loop import BackgroundLoop
from hosted_rerank.transport.custom_client import AsyncHTTPClient, CustomClientTransport, HTTPClient
from hosted_rerank.transport.http_clients import proxy_variables
from hosted_rerank.transport.httpx_exchange import aread, failures, read
from hosted_rerank.transport.pool_manager import POOLS
from hosted_rerank.transport.response_reader import ResponseReader
from hosted_rerank.wire import Outcome, Request, Transport


class TransportWrapper:
    """A transport over another one: closes that one, and has its clients."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    @property
    def custom_client(self) -> bool:
        """Whether the inner transport has custom clients."""
        return self._inner.custom_client

    def close(self) -> None:
        """Closes the inner transport."""
        self._inner.close()

    async def aclose(self) -> None:
        """Closes the inner transport."""
        await self._inner.aclose()


class HTTPTransport:
    """Sends the requests of one reranker over the clients of the process."""

    custom_client = False

    def send(self, request: Request) -> Outcome:
        """Sends a request.

        Returns:
            The response, or why there is none.

        Raises:
            ConfigurationError: A proxy or certificate setting of the environment is wrong.
        """
        if request.deadline < inf:
            background = POOLS.background(self)
            return background.run(_send_in_background(background, request))
        return self._send(request)

    def _send(self, request: Request) -> Outcome:
        reader, pool = ResponseReader(request), POOLS.clients(self)
        client, reader.reused_connection = pool.take(request.url)
        try:
            read(client, request, reader)
        except failures() as error:
            client.close()
            return reader.failed(error, proxy_variables(request.url))
        except BaseException:
            client.close()
            raise
        for unused in pool.give_back(request.url, client) if reader.keeps_connection else [client]:
            unused.close()
        return reader.outcome()

    async def asend(self, request: Request) -> Outcome:
        """Sends a request as `send` does, awaiting; a cancellation closes the request's connection."""
        background = POOLS.background(self)
        return await background.arun(_send_in_background(background, request))

    def close(self) -> None:
        """Closes the connections of the process if no other reranker needs them."""
        POOLS.release(self)

    async def aclose(self) -> None:
        """Closes the connections of the process if no other reranker needs them."""
        await asyncio.to_thread(POOLS.release, self)


async def _send_in_background(background: BackgroundLoop, request: Request) -> Outcome:
    """Sends a request over a client of the background loop."""
    reader, pool = ResponseReader(request), background.clients
    client, reader.reused_connection = pool.take(request.url)
    try:
        await aread(client, request, reader)
    except failures() as error:
        await client.aclose()
        return reader.failed(error, proxy_variables(request.url))
    except BaseException:
        await client.aclose()
        raise
    for unused in pool.give_back(request.url, client) if reader.keeps_connection else [client]:
        await unused.aclose()
    return reader.outcome()


def open_transport(client: HTTPClient | None, async_client: AsyncHTTPClient | None) -> Transport:
    """Returns a transport over the caller's clients, or over those of the process where the caller has none."""
    return CustomClientTransport(client, async_client) if client or async_client else HTTPTransport()
