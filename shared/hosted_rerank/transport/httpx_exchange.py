"""Sends one request over a client of httpx or httpx2 and reads the response, through what both libraries have."""

import asyncio
import sys
import time
from functools import lru_cache
from math import inf
from typing import Any

from hosted_rerank.transport.response_reader import ResponseReader
from hosted_rerank.wire import ENCODINGS, USER_AGENT, Request

HEADERS = {"user-agent": USER_AGENT, "accept": "application/json", "accept-encoding": ", ".join(ENCODINGS)}
"""The headers that a client sends with every request."""


def read(client: Any, request: Request, reader: ResponseReader) -> None:
    """Sends a request and reads the response, up to its bound."""
    response = client.send(_message(client, request), stream=True, follow_redirects=False)
    try:
        if reader.on_headers(response.status_code, _headers(response)):
            for chunk in response.iter_bytes():
                if not reader.on_chunk(chunk):
                    break
    finally:
        response.close()


async def aread(client: Any, request: Request, reader: ResponseReader) -> None:
    """Sends a request and reads the response as `read` does, awaiting, until the deadline."""
    left = None if request.deadline == inf else max(0.0, request.deadline - time.monotonic())
    async with asyncio.timeout(left):
        response = await client.send(_message(client, request), stream=True, follow_redirects=False)
        try:
            if reader.on_headers(response.status_code, _headers(response)):
                async for chunk in response.aiter_bytes():
                    if not reader.on_chunk(chunk):
                        break
        finally:
            await response.aclose()


def _message(client: Any, request: Request) -> Any:
    """Returns the request as httpx has it."""
    url = _parse_url(client.base_url.__class__, request.url)
    return client.build_request("POST", url, headers=request.headers, content=request.content, timeout=request.timeout)


@lru_cache(maxsize=256)
def _parse_url(kind: type, url: str) -> Any:
    """Returns a URL as httpx or httpx2 has it; all requests of a reranker go to the same one."""
    return kind(url)


def _headers(response: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def failures() -> tuple[type[BaseException], ...]:
    """Returns the exceptions that mean that no response came; httpx and httpx2 have their own classes."""
    loaded = [sys.modules[library] for library in ("httpx", "httpx2") if library in sys.modules]
    kinds = [kind for library in loaded for kind in (library.RequestError, library.InvalidURL)]
    return (OSError, UnicodeError, *kinds)  # a TimeoutError is an OSError
