"""The rerank API of Nebius Token Factory: `POST /v1/rerank`.

It is a FastAPI application in front of vLLM, and it shows: all that is wrong with a body is listed in one 422, which
echoes what was sent; unknown fields are ignored, `top_n` among them; documents are always echoed; a 405, 413 or 503
says no more than its name; and no documents at all is the model server's own error. `user` and `service_tier` are
checked and have no effect.
"""

import re
import uuid
from http import HTTPStatus
from typing import Literal

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from hosted_rerank.local.apis import Answer, Api, Call, Score, rank

MODEL = "Qwen/Qwen3-Reranker-8B"
"""The one reranker it has. Upper and lower case matter."""


class CreateRerankRequest(BaseModel):
    """The request body."""

    model: str
    query: str
    documents: list[str]
    user: str | None = None
    service_tier: Literal["auto", "default", "over-limit", "flex", "no-limit"] | None = "auto"


_BODY = TypeAdapter(CreateRerankRequest)


def _rerank(call: Call, score: Score) -> Answer:
    try:
        body: object = orjson.loads(call.content or b"null")
    except orjson.JSONDecodeError as error:
        return _unprocessable("json_invalid", ["body", error.pos], "JSON decode error", {}, ctx={"error": error.msg})
    if body is None:
        return _unprocessable("missing", ["body"], "Field required", None)
    try:
        request = _BODY.validate_python(body, from_attributes=True)  # its message for an array is FastAPI's
    except ValidationError as error:
        return Answer(422, {"detail": [{**e, "loc": ["body", *e["loc"]]} for e in error.errors(include_url=False)]})
    if request.model != MODEL:
        return Answer(404, {"detail": f"The model `{request.model}` does not exist."})
    if not request.documents:
        message = "At least one text_pair element must be given"
        return Answer(400, {"error": {"message": message, "type": "BadRequestError", "param": None, "code": 400}})
    scores = score(request.query, request.documents)
    results = [
        {"index": index, "document": {"text": request.documents[index]}, "relevance_score": relevance}
        for index, relevance in rank(scores)
    ]
    return Answer(
        200, {"id": f"rerank-{uuid.uuid4().hex[:16]}", "model": MODEL, "usage": scores.usage, "results": results}
    )


def _unprocessable(kind: str, place: list[str | int], message: str, value: object, **more: object) -> Answer:
    return Answer(422, {"detail": [{"type": kind, "loc": place, "msg": message, "input": value, **more}]})


def _refuse(status: int, call: Call) -> Answer:
    if status == HTTPStatus.UNAUTHORIZED:
        reason = "Unable authenticate" if "authorization" in call.headers else "token is not present"
        return Answer(401, {"detail": f"Couldn't authenticate. Reason: {reason}"})
    return Answer(status, {"detail": HTTPStatus(status).phrase})


NEBIUS = Api(path=re.compile("/v1/rerank"), rerank=_rerank, refuse=_refuse, models_path="/v1/models", models=(MODEL,))
