"""Sends one request over a client of httpx or httpx2 and reads the response, through what both libraries have."""

import asyncio
import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from math import inf
from typing import Any

from hosted_rerank.transport.response_reader import ResponseReader
from hosted_rerank.wire import ENCODINGS, USER_AGENT, Request

HEADERS = {"user-agent": USER_AGENT, "accept": "application/json", "accept-encoding": ", ".join(ENCODINGS)}
"""The headers that a client sends with every request."""
NO_HEADERS: Mapping[str, str] = {}


def read(client: Any, request: Request, reader: ResponseReader, defaults: Mapping[str, str] = NO_HEADERS) -> None:
    """Sends a request and reads the response, up to its bound.

    Args:
        client: The client.
        request: The request.
        reader: Collects the response.
        defaults: Headers that the client does not send by itself; the request's own replace them.
    """
    response = client.send(_message(client, request, defaults), stream=True, follow_redirects=False)
    try:
        if reader.on_headers(response.status_code, _headers(response)):
            for chunk in response.iter_bytes():
                if not reader.on_chunk(chunk):
                    break
    finally:
        response.close()


async def aread(
    client: Any, request: Request, reader: ResponseReader, defaults: Mapping[str, str] = NO_HEADERS
) -> None:
    """Sends a request and reads the response as `read` does, awaiting, until the deadline."""
    left = None if request.deadline == inf else max(0.0, request.deadline - time.monotonic())
    async with asyncio.timeout(left):
        response = await client.send(_message(client, request, defaults), stream=True, follow_redirects=False)
        try:
            if reader.on_headers(response.status_code, _headers(response)):
                async for chunk in response.aiter_bytes():
                    if not reader.on_chunk(chunk):
                        break
        finally:
            await response.aclose()


def _message(client: Any, request: Request, defaults: Mapping[str, str]) -> Any:
    """Returns the request as httpx has it."""
    url = _parse_url(client.base_url.__class__, request.url)
    headers = {**defaults, **request.headers}
    return client.build_request("POST", url, headers=headers, content=request.content, timeout=request.timeout)


@lru_cache(maxsize=256)
def _parse_url(kind: type, url: str) -> Any:
    """Returns a URL as httpx or httpx2 has it; all requests of a reranker go to the same one."""
    return kind(url)


def _headers(response: Any) -> dict[str, str]:
    return dict(response.headers.items())  # the names are in lower case


def failures() -> tuple[type[BaseException], ...]:
    """Returns the exceptions that mean that no response came; httpx and httpx2 have their own classes.

    Another thread may be importing httpx2, so that it has no classes yet, and has raised none of them.
    """
    loaded = [sys.modules[library] for library in ("httpx", "httpx2") if library in sys.modules]
    kinds = [getattr(library, name, OSError) for library in loaded for name in ("RequestError", "InvalidURL")]
    return (OSError, UnicodeError, *kinds)  # a TimeoutError is an OSError
