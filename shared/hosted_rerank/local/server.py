"""A local HTTP server that speaks every rerank API of the provider table, with the embedded model behind them.

Each is below the provider's name (`/cohere/v2/rerank`). Fireworks and Nebius, whose strictness and errors are copied in
full, are also at the root, as at their own hosts. It is what a pipeline is developed and tested against without a key:
`serve` runs it in the foreground, `running` beside other code, and `app` gives it to another ASGI server. Scoring runs
in threads, off the event loop, and stops when the client goes away.
"""

import asyncio
import socket
import struct
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
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ModuleNotFoundError as missing:
    raise ImportError(f"the local server needs {missing.name}: {INSTALL}", name=missing.name) from missing

from hosted_rerank.local.apis import MAX_BODY, Answer, Api, Call, respond
from hosted_rerank.local.conditions import Conditions, TooManyDocuments, instant
from hosted_rerank.local.fireworks import FIREWORKS
from hosted_rerank.local.model import Scores, ScoringCancelled, load_model
from hosted_rerank.local.nebius import NEBIUS
from hosted_rerank.local.rows import apis


def app(api_key: str | None = None, conditions: Conditions | None = None) -> Starlette:
    """The ASGI application. With an `api_key`, the APIs ask for it, but for those of clouds that want signatures."""
    apis = Apis(conditions or Conditions(), api_key)
    return Starlette(routes=[Route("/health", _health), Route("/{path:path}", apis)])


def serve(
    port: int = 8787,
    host: str = "127.0.0.1",
    api_key: str | None = None,
    conditions: Conditions | None = None,
    *,
    log_requests: bool = True,
) -> None:
    """Serves until interrupted or terminated. Port 0 takes a free one. Raises `OSError` if the port is taken."""
    with _listen(host, port) as listener:
        print(f"{MODEL} as Fireworks and as Nebius at {_url(listener)} (as others below /<provider>)", flush=True)
        config = _config(app(api_key, conditions), access_log=log_requests, timeout_graceful_shutdown=5)
        with suppress(KeyboardInterrupt):  # uvicorn raises it again once all is closed
            uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def running(api_key: str | None = None, conditions: Conditions | None = None) -> Generator[str]:
    """The base URL of a server on loopback, in a thread of its own for as long as the context is open.

    Args:
        api_key: The key that the APIs ask for; `None` if they do not.
        conditions: What the server is like; may be changed meanwhile.
    """
    with _listen("127.0.0.1", 0) as listener:
        config = _config(app(api_key, conditions), log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="hosted-rerank server", daemon=True)
        thread.start()
        try:
            yield _url(listener)  # it listens already: a request that comes before the server is ready waits
        finally:
            server.should_exit = True
            thread.join()


class Apis:
    """The ASGI endpoint of all APIs: reads a request, lets `respond` answer it in a thread, sends the answer."""

    def __init__(self, conditions: Conditions, api_key: str | None) -> None:
        self._conditions = conditions
        self._api_key = api_key
        self._model = load_model() if conditions.score is None else None
        self._served = {**apis(), "fireworks": [FIREWORKS], "nebius": [NEBIUS]}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            call = Call(request.method, request.url.path, dict(request.headers), await _read(request))
        except ClientDisconnect:
            return
        if self._conditions.watch is not None:
            self._conditions.watch(call)
        answer = await self._answer(scope, request, call)
        if answer is not None:
            headers = {"x-request-id": uuid.uuid4().hex, **answer.headers}
            await Response(answer.content, answer.status, headers, "application/json")(scope, receive, send)

    async def _answer(self, scope: Scope, request: Request, call: Call) -> Answer | None:
        """What to send; `None` where nobody is there, or nothing is to be sent."""
        began, day = time.monotonic(), self._conditions
        api, call = self._find(call)
        fault, after = day.fault() or (None, None)
        if isinstance(fault, int):
            refusal = api.refuse(fault, call)
            return replace(refusal, headers={**refusal.headers, **({"retry-after": f"{after:g}"} if after else {})})
        if fault == "reset":
            await _break(scope["transport"])
            return None
        answer = await self._rank(api, request, call)
        if (wait := began + day.wait() - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        if answer is not None and fault == "truncated":
            await _break(scope["transport"], answer.content)
            return None
        return answer

    async def _rank(self, api: Api, request: Request, call: Call) -> Answer | None:
        gone = threading.Event()
        watcher = asyncio.create_task(_watch(request, gone))
        try:
            score = partial(self._checked, gone.is_set)
            if self._conditions.score is instant:
                return respond(api, call, score, self._api_key)
            return await asyncio.to_thread(respond, api, call, score, self._api_key)
        except TooManyDocuments:
            return api.refuse(413, call)
        except ScoringCancelled:
            return None
        except asyncio.CancelledError:
            return api.refuse(503, call)  # the server is closing and has waited long enough
        finally:
            gone.set()
            watcher.cancel()

    def _checked(self, cancelled: Callable[[], bool], query: str, texts: Sequence[str]) -> Scores:
        self._conditions.check(len(texts))
        if self._model is not None:
            return self._model.score(query, texts, cancelled)
        score = self._conditions.score or instant
        return score(query, texts)

    def _find(self, call: Call) -> tuple[Api, Call]:
        """The API that a request is for, and the request as it sees it."""
        name, slash, path = call.path.removeprefix("/").partition("/")
        if slash and name in self._served:
            below, served = replace(call, path=slash + path), self._served[name]
            return next((api for api in served if api.path.fullmatch(below.path)), served[0]), below
        return (FIREWORKS if call.path.startswith("/inference/") else NEBIUS), call


class _Protocol(HttpToolsProtocol):
    """What tells the application of the connection that a request came on, so that it can be broken."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        served: Any = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await served({**scope, "transport": self.transport}, receive, send)

        self.app = app


def _config(served: Starlette, **settings: Any) -> uvicorn.Config:
    return uvicorn.Config(served, lifespan="off", ws="none", http=_Protocol, **settings)


async def _break(transport: asyncio.Transport, content: bytes | None = None) -> None:
    """Break a connection: with an RST, or in the midst of a reply."""
    if content is None:
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    else:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        transport.write(head.encode() + content[: len(content) // 2])
        transport.close()
    await asyncio.sleep(0.01)  # until the server has noticed


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            break
    return bytes(body)


async def _watch(request: Request, gone: threading.Event) -> None:
    """Notes when the client hangs up, or the server no longer waits for the answer."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    gone.set()


async def _health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok", "model": MODEL})


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    # Connections inherit it. asyncio would set it on sockets that name their protocol, which these do not, and without
    # it each answer takes 40 ms more: its second packet waits until the client has acknowledged the first.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
