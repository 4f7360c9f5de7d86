"""The transport to the embedded model in this process, for `provider="local"`.

It takes and returns the JSON of a rerank API, so that the request flow needs no special case.
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
    """The fields of a request that the model needs; other fields are ignored."""

    model_config = ConfigDict(strict=True)

    model: str
    query: str
    documents: list[str]


class LocalTransport:
    """Answers each request with the embedded model. It has no connection, so it does not need to be closed."""

    def send(self, request: Request) -> Outcome:
        """Scores the documents of a request.

        Args:
            request: The request.

        Returns:
            The response, or a `TransportFailure` if scoring took longer than the request's timeout.

        Raises:
            ImportError: The packages of the extra `local` are not installed.
        """
        return _answer(request, time.monotonic() + request.timeout, threading.Event())

    async def asend(self, request: Request) -> Outcome:
        """Scores the documents as `send` does, in a thread that stops at its next document after a cancellation."""
        cancelled = threading.Event()
        try:
            return await asyncio.to_thread(_answer, request, time.monotonic() + request.timeout, cancelled)
        finally:
            cancelled.set()

    custom_client = False

    def close(self) -> None:
        """Does nothing: there is no connection."""

    async def aclose(self) -> None:
        """Does nothing: there is no connection."""


def _answer(request: Request, deadline: float, cancelled: threading.Event) -> Outcome:
    from hosted_rerank.local.model import ScoringCancelled, load_model  # noqa: PLC0415 - heavy, and an extra

    try:
        body = RerankBody.model_validate_json(request.content)
    except ValidationError as error:
        return _make_response(
            422, {"detail": error.errors(include_url=False, include_context=False, include_input=False)}
        )
    if body.model != MODEL:
        return _make_response(
            404, {"detail": f"The model `{body.model}` does not exist: the id of the embedded model is `{MODEL}`."}
        )
    try:
        scores = load_model().score(
            body.query, body.documents, lambda: cancelled.is_set() or time.monotonic() > deadline
        )
    except ScoringCancelled:
        reason = f"the embedded model took longer than the timeout of {request.timeout:g} s"
        return TransportFailure(reason, at=time.monotonic(), timed_out=not cancelled.is_set(), retryable=False)
    results = [{"index": index, "relevance_score": score} for index, score in enumerate(scores.relevance)]
    return _make_response(
        200, {"id": f"rerank-{uuid.uuid4().hex}", "model": MODEL, "results": results, "usage": scores.usage}
    )


def _make_response(status: int, body: object) -> Response:
    headers = {"date": formatdate(usegmt=True), "content-type": "application/json"}
    return Response(status, headers, orjson.dumps(body), time.monotonic())
