"""The rerank API of Nebius Token Factory: `POST /v1/rerank`.

Nebius runs a FastAPI application in front of vLLM, so the responses are theirs: one 422 lists all errors of a body and
repeats the body; unknown fields are ignored, `top_n` too; results always repeat the documents; a 405, 413 or 503 has
only its phrase as message; and an empty list of documents gets the model server's own error. `user` and `service_tier`
are checked and have no effect.
"""

import re
import uuid
from http import HTTPStatus
from typing import Literal

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from hosted_rerank.local.apis import Api, ApiRequest, ApiResponse, ScoreFunction, rank

MODEL = "Qwen/Qwen3-Reranker-8B"
"""The id of its only reranker. Upper and lower case matter."""


class CreateRerankRequest(BaseModel):
    """The request body."""

    model: str
    query: str
    documents: list[str]
    user: str | None = None
    service_tier: Literal["auto", "default", "over-limit", "flex", "no-limit"] | None = "auto"


_BODY = TypeAdapter(CreateRerankRequest)


def _rerank(http_request: ApiRequest, score: ScoreFunction) -> ApiResponse:
    try:
        body: object = orjson.loads(http_request.content or b"null")
    except orjson.JSONDecodeError as error:
        return _make_unprocessable(
            "json_invalid", ["body", error.pos], "JSON decode error", {}, ctx={"error": error.msg}
        )
    if body is None:
        return _make_unprocessable("missing", ["body"], "Field required", None)
    try:
        request = _BODY.validate_python(body, from_attributes=True)  # gives the same message for an array as FastAPI
    except ValidationError as error:
        return ApiResponse(
            422, {"detail": [{**e, "loc": ["body", *e["loc"]]} for e in error.errors(include_url=False)]}
        )
    if request.model != MODEL:
        return ApiResponse(404, {"detail": f"The model `{request.model}` does not exist."})
    if not request.documents:
        message = "At least one text_pair element must be given"
        return ApiResponse(400, {"error": {"message": message, "type": "BadRequestError", "param": None, "code": 400}})
    scores = score(request.query, request.documents)
    results = [
        {"index": index, "document": {"text": request.documents[index]}, "relevance_score": relevance}
        for index, relevance in rank(scores)
    ]
    return ApiResponse(
        200, {"id": f"rerank-{uuid.uuid4().hex[:16]}", "model": MODEL, "usage": scores.usage, "results": results}
    )


def _make_unprocessable(kind: str, place: list[str | int], message: str, value: object, **more: object) -> ApiResponse:
    return ApiResponse(422, {"detail": [{"type": kind, "loc": place, "msg": message, "input": value, **more}]})


def _refuse(status: int, http_request: ApiRequest) -> ApiResponse:
    if status == HTTPStatus.UNAUTHORIZED:
        reason = "Unable authenticate" if "authorization" in http_request.headers else "token is not present"
        return ApiResponse(401, {"detail": f"Couldn't authenticate. Reason: {reason}"})
    return ApiResponse(status, {"detail": HTTPStatus(status).phrase})


NEBIUS = Api(path=re.compile("/v1/rerank"), rerank=_rerank, refuse=_refuse, models_path="/v1/models", models=(MODEL,))
