"""The rerank API of Fireworks: `POST /inference/v1/rerank`.

Fields, types, ranges and the refusal of unknown fields are those of its API reference. The bodies of 400, 401 and 404
are those that its gateway sent; those of 405, 413, 503 and an unknown path are unknown, and have the gateway's usual
format. `task` is accepted and has no effect, because the embedded model takes no instruction. A missing or null `model`
means the serverless reranker.
"""

import re
from typing import Annotated

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hosted_rerank.local.apis import Api, ApiRequest, ApiResponse, ScoreFunction, rank

SERVERLESS = "accounts/fireworks/models/qwen3-reranker-8b"
MODELS = re.compile(
    r"(accounts/fireworks/models|fireworks)/qwen3-reranker-(8b|4b|0p6b)"
    r"|accounts/(?!fireworks/)[\w-]+/models/[\w.-]+"  # a model of the account
    r"|accounts/[\w-]+/deployments/[\w-]+"
    r"|[\w./-]+#[\w./-]+"  # a model on a deployment
)
"""The pattern of the ids that Fireworks may know; it depends on the account which of them exist."""

_REFUSALS = {
    400: ("INVALID_ARGUMENT", "Request body is nested too deeply"),
    401: ("UNAUTHORIZED", "The API key you provided is invalid."),
    403: ("FORBIDDEN", "Forbidden"),
    404: ("NOT_FOUND", "Path not found"),
    408: ("TIMEOUT", "Request was not complete in time"),
    405: ("METHOD_NOT_ALLOWED", "Method not allowed"),
    413: ("PAYLOAD_TOO_LARGE", "Request body too large"),
    503: ("UNAVAILABLE", "Service Overloaded"),
}


class CreateRerankRequest(BaseModel):
    """The request body."""

    model_config = ConfigDict(extra="forbid", strict=True)

    query: str
    documents: Annotated[list[str], Field(min_length=1)]
    model: str | None = None
    top_n: Annotated[int, Field(ge=1)] | None = None
    return_documents: bool = True
    task: str | None = None


def _rerank(http_request: ApiRequest, score: ScoreFunction) -> ApiResponse:
    try:
        request = CreateRerankRequest.model_validate(orjson.loads(http_request.content))
    except orjson.JSONDecodeError:
        return _make_invalid("Request body is not valid JSON")
    except ValidationError as error:
        return _make_invalid(_describe(error))
    model = request.model if request.model is not None else SERVERLESS
    if not MODELS.fullmatch(model):
        return _make_error(404, "NOT_FOUND", "Model not found, inaccessible, and/or not deployed", param="model")
    scores = score(request.query, request.documents)
    data: list[dict[str, object]] = []
    for index, relevance in rank(scores)[: request.top_n]:
        document = {"document": request.documents[index]} if request.return_documents else {}
        data.append({"index": index, "relevance_score": relevance, **document})
    headers = {"fireworks-prompt-tokens": str(scores.tokens), "fireworks-cached-prompt-tokens": "0"}
    return ApiResponse(200, {"object": "list", "model": model, "data": data, "usage": scores.usage}, headers)


def _describe(error: ValidationError) -> str:
    """Returns all errors of a request in the words of the gateway, which repeat the values."""
    messages: list[str] = []
    for detail in error.errors(include_url=False):
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
        value = "" if detail["type"] == "missing" else f", value: {detail['input']!r:.200}"
        messages.append(f"{detail['msg']}, field: '{place}'{value}")
    return messages[0] if len(messages) == 1 else f"{len(messages)} request validation errors: {'; '.join(messages)}"


def _make_invalid(message: str) -> ApiResponse:
    kind = "invalid_request_error"
    return ApiResponse(400, {"error": {"object": "error", "type": kind, "code": kind, "message": message}})


def _make_error(status: int, code: str, message: str, param: str | None = None) -> ApiResponse:
    return ApiResponse(status, {"error": {"message": message, "param": param, "code": code, "type": "error"}})


def _refuse(status: int, _http_request: ApiRequest) -> ApiResponse:
    return _make_error(status, *_REFUSALS[status])


FIREWORKS = Api(
    path=re.compile("/inference/v1/rerank"),
    rerank=_rerank,
    refuse=_refuse,
    models_path="/inference/v1/models",
    models=(SERVERLESS,),
)
