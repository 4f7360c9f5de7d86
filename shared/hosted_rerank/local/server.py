"""A local HTTP server that speaks every rerank API in `PROVIDERS`, to develop and test a pipeline without a key.

The path of an API begins with the provider's name (`/cohere/v2/rerank`). Fireworks and Nebius, with all their checks
and errors, are at the root too, as on their own hosts. `serve` runs the server in the foreground, `running` in a
thread, and `app` is for another ASGI server. Scoring runs in threads outside the event loop, and stops when the client
disconnects.
"""

import asyncio
import socket
import threading
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from hosted_rerank.local import INSTALL, MODEL

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route
    from starlette.types import Receive, Scope, Send
except ModuleNotFoundError as missing:
    raise ImportError(f"the local server needs {missing.name}: {INSTALL}", name=missing.name) from missing

from hosted_rerank.local.apis import MAX_BODY, Api, ApiRequest, ApiResponse, respond
from hosted_rerank.local.conditions import Conditions, TooManyDocuments, score_by_hash
from hosted_rerank.local.connections import Protocol, break_connection
from hosted_rerank.local.fireworks import FIREWORKS
from hosted_rerank.local.model import Scores, ScoringCancelled, load_model
from hosted_rerank.local.nebius import NEBIUS
from hosted_rerank.local.provider_apis import make_apis
from hosted_rerank.local.visitors import is_foreign

_QUICK = 1 << 16
"""The largest body in bytes that is answered by a hash in the event loop; a larger one could hold others up."""


def app(
    api_key: str | None = None,
    conditions: Conditions | None = None,
    host: str | None = None,
    pages: Sequence[Route] = (),
) -> Starlette:
    """Returns the ASGI application.

    Args:
        api_key: The key that requests must have; `None` for no check. APIs that take signatures check nothing.
        conditions: Latency, rate limit and faults; `None` for none.
        host: The address that the server listens on. A request whose `Host` or `Origin` is another name is refused, so
            that no web page can call the server (DNS rebinding); `None` for no check.
        pages: More routes, which check their requests themselves.
    """
    apis = Apis(conditions or Conditions(), api_key, host)
    return Starlette(routes=[Route("/health", _health), *pages, Route("/{path:path}", apis)])


def serve(
    port: int = 8787,
    host: str = "127.0.0.1",
    api_key: str | None = None,
    conditions: Conditions | None = None,
    *,
    log_requests: bool = True,
    pages: Sequence[Route] = (),
) -> None:
    """Serves until the process is interrupted or terminated.

    Args:
        port: The port to listen on; 0 for a free one.
        host: The address to listen on.
        api_key: The key that requests must have; `None` for no check.
        conditions: Latency, rate limit and faults; `None` for none.
        log_requests: Whether to log each request.
        pages: More routes.

    Raises:
        OSError: The port is in use.
    """
    with _listen(host, port) as listener:
        page = "; open it in a browser to try rerankers" if pages else ""
        print(f"{MODEL} as Fireworks and as Nebius at {_url(listener)} (as others below /<provider>){page}", flush=True)
        conditions = conditions or Conditions()
        config = _make_config(
            app(api_key, conditions, host, pages), conditions, access_log=log_requests, timeout_graceful_shutdown=5
        )
        with suppress(KeyboardInterrupt):  # uvicorn raises it again after it has closed everything
            uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def running(api_key: str | None = None, conditions: Conditions | None = None) -> Generator[str]:
    """Runs a server on localhost, in a thread, while the context is open.

    Args:
        api_key: The key that requests must have; `None` for no check.
        conditions: Latency, rate limit and faults, which may change while the server runs; `None` for none.

    Yields:
        The URL of the server.
    """
    with _listen("127.0.0.1", 0) as listener:
        conditions = conditions or Conditions()
        config = _make_config(
            app(api_key, conditions, "127.0.0.1"), conditions, log_config=None, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="hosted-rerank server", daemon=True)
        thread.start()
        try:
            yield _url(listener)  # it listens already, so a request before the server is ready waits
        finally:
            server.should_exit = True
            thread.join()


class Apis:
    """The ASGI endpoint of all APIs: reads a request, calls `respond` in a thread and sends the response."""

    def __init__(self, conditions: Conditions, api_key: str | None, host: str | None = None) -> None:
        self._host = host
        self._conditions = conditions
        self._api_key = api_key
        self._model = load_model() if conditions.score is None else None
        self._served = _make_served()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if self._host is not None and is_foreign(request.headers, self._host, (scope.get("server") or ("",))[0]):
            return await JSONResponse({"error": {"message": "foreign Host or Origin"}}, 403)(scope, receive, send)
        try:
            async with asyncio.timeout(self._conditions.read_timeout):
                body = await read_body(request, MAX_BODY)
        except ClientDisconnect:
            return None
        except TimeoutError:
            late = JSONResponse({"error": {"message": "incomplete request"}}, 408, {"connection": "close"})
            return await late(scope, receive, send)
        api_request = ApiRequest(request.method, request.url.path, dict(request.headers), body)
        if self._conditions.on_request is not None:
            self._conditions.on_request(api_request)
        response = await self._answer(scope, request, api_request)
        if response is not None:
            headers = {"x-request-id": uuid.uuid4().hex, **response.headers}
            await Response(response.content, response.status, headers, "application/json")(scope, receive, send)
        return None

    async def _answer(self, scope: Scope, request: Request, api_request: ApiRequest) -> ApiResponse | None:
        """Returns the response; `None` if the client is gone or there is nothing to send."""
        started, conditions = time.monotonic(), self._conditions
        api, api_request = self._find(api_request)
        fault, retry_after = conditions.draw_fault() or (None, None)
        if isinstance(fault, int):
            refusal = api.refuse(fault, api_request)
            return replace(
                refusal, headers={**refusal.headers, **({"retry-after": f"{retry_after:g}"} if retry_after else {})}
            )
        if fault == "reset":
            await break_connection(scope["transport"])
            return None
        response = await self._rank(api, request, api_request)
        if (wait := started + conditions.draw_latency() - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        if response is not None and fault == "truncated":
            await break_connection(scope["transport"], response.content)
            return None
        return response

    async def _rank(self, api: Api, request: Request, api_request: ApiRequest) -> ApiResponse | None:
        gone = threading.Event()
        watcher = asyncio.create_task(_watch(request, gone))
        try:
            score = partial(self._checked, gone.is_set)
            if self._conditions.score is score_by_hash and len(api_request.content) <= _QUICK:
                return respond(api, api_request, score, self._api_key)
            return await asyncio.to_thread(respond, api, api_request, score, self._api_key)
        except TooManyDocuments:
            return api.refuse(413, api_request)
        except ScoringCancelled:
            return None
        except asyncio.CancelledError:
            return api.refuse(503, api_request)  # the server closes and does not wait longer
        finally:
            gone.set()
            watcher.cancel()

    def _checked(self, cancelled: Callable[[], bool], query: str, texts: Sequence[str]) -> Scores:
        self._conditions.check_documents(len(texts))
        if self._model is not None:
            return self._model.score(query, texts, cancelled)
        score = self._conditions.score or score_by_hash
        return score(query, texts)

    def _find(self, api_request: ApiRequest) -> tuple[Api, ApiRequest]:
        """Returns the API of a request, and the request with the path of that API."""
        name, slash, path = api_request.path.removeprefix("/").partition("/")
        if slash and name in self._served:
            below, served = replace(api_request, path=slash + path), self._served[name]
            return next((api for api in served if api.path.fullmatch(below.path)), served[0]), below
        return (FIREWORKS if api_request.path.startswith("/inference/") else NEBIUS), api_request


def _make_config(served: Starlette, conditions: Conditions, **settings: Any) -> uvicorn.Config:
    protocol: Any = partial(Protocol, read_timeout=conditions.read_timeout)  # uvicorn calls it
    return uvicorn.Config(served, lifespan="off", ws="none", http=protocol, **settings)


def _make_served() -> dict[str, Sequence[Api]]:
    return {**make_apis(), "fireworks": [FIREWORKS], "nebius": [NEBIUS]}


def served_names() -> list[str]:
    """Returns the names of the providers whose APIs are served, each below its name."""
    return list(_make_served())


async def read_body(request: Request, most: int) -> bytes:
    """Returns the body of a request; of one that is longer than `most` bytes, a part that is too."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            break
    return bytes(body)


async def _watch(request: Request, gone: threading.Event) -> None:
    """Sets `gone` when the client disconnects, or the server does not wait for the response any more."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    gone.set()


async def _health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok", "model": MODEL})


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    # Connections inherit TCP_NODELAY; asyncio sets it only on sockets that name their protocol, unlike these. Without
    # it, the second packet of a response waits 40 ms until the client has acknowledged the first.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
