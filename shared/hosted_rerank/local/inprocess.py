"""A transport without a wire: `provider="local"` is answered by the model in this process.

What goes in and out is what any rerank API would be sent and would answer, so the flow above treats it as one.
"""

import asyncio
import threading
import time
import uuid
from email.utils import formatdate

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from hosted_rerank.local import MODEL
from hosted_rerank.wire import Outcome, Request, Response, TransportFailure


class RerankBody(BaseModel):
    """What is read of a request; whatever else it holds is ignored."""

    model_config = ConfigDict(strict=True)

    model: str
    query: str
    documents: list[str]


class LocalTransport:
    """Answers each request from the embedded model. It holds nothing, so it needs no closing and copies freely.

    Both ways raise `ImportError` if the packages of the extra `local` are not installed.
    """

    def send(self, request: Request) -> Outcome:
        """The answer, or `TransportFailure` if it took longer than the request's timeout."""
        return _answer(request, time.monotonic() + request.timeout, threading.Event())

    async def asend(self, request: Request) -> Outcome:
        """The same from a thread, which stops before its next document when the caller is cancelled."""
        cancelled = threading.Event()
        try:
            return await asyncio.to_thread(_answer, request, time.monotonic() + request.timeout, cancelled)
        finally:
            cancelled.set()

    custom_client = False

    def close(self) -> None:
        """Does nothing."""

    async def aclose(self) -> None:
        """Does nothing."""


def _answer(request: Request, deadline: float, cancelled: threading.Event) -> Outcome:
    from hosted_rerank.local.model import ScoringCancelled, load_model  # noqa: PLC0415 - heavy, and an extra

    try:
        body = RerankBody.model_validate_json(request.content)
    except ValidationError as error:
        return _reply(422, {"detail": error.errors(include_url=False, include_context=False, include_input=False)})
    if body.model != MODEL:
        return _reply(404, {"detail": f"The model `{body.model}` does not exist; the embedded one is `{MODEL}`."})
    try:
        scores = load_model().score(
            body.query, body.documents, lambda: cancelled.is_set() or time.monotonic() > deadline
        )
    except ScoringCancelled:
        reason = f"the embedded model was not done after {request.timeout:g} s"
        return TransportFailure(reason, at=time.monotonic(), timed_out=not cancelled.is_set(), retryable=False)
    results = [{"index": index, "relevance_score": score} for index, score in enumerate(scores.relevance)]
    return _reply(200, {"id": f"rerank-{uuid.uuid4().hex}", "model": MODEL, "results": results, "usage": scores.usage})


def _reply(status: int, body: object) -> Response:
    headers = {"date": formatdate(usegmt=True), "content-type": "application/json"}
    return Response(status, headers, orjson.dumps(body), time.monotonic())
