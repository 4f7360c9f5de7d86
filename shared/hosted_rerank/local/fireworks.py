"""The rerank API of Fireworks: `POST /inference/v1/rerank`.

Fields, types, ranges and the refusal of unknown fields are those of its reference. The bodies of 400, 401 and 404 are
those seen from its gateway; for 405, 413, 503 and a path that is not there none is known, and the gateway's usual shape
is used. `task` is accepted and has no effect: the embedded model takes no instruction. A `model` that is left out or
null means the serverless reranker.
"""

import re
from typing import Annotated

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hosted_rerank.local.apis import Answer, Api, Call, Score, rank

SERVERLESS = "accounts/fireworks/models/qwen3-reranker-8b"
MODELS = re.compile(
    r"(accounts/fireworks/models|fireworks)/qwen3-reranker-(8b|4b|0p6b)"
    r"|accounts/(?!fireworks/)[\w-]+/models/[\w.-]+"  # one's own model
    r"|accounts/[\w-]+/deployments/[\w-]+"
    r"|[\w./-]+#[\w./-]+"  # a model on a deployment
)
"""The ids it can know. Whether an account has that model or deployment, only Fireworks can say."""

_REFUSALS = {
    401: ("UNAUTHORIZED", "The API key you provided is invalid."),
    404: ("NOT_FOUND", "Path not found"),
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


def _rerank(call: Call, score: Score) -> Answer:
    try:
        request = CreateRerankRequest.model_validate(orjson.loads(call.content))
    except orjson.JSONDecodeError:
        return _invalid("Request body is not valid JSON")
    except ValidationError as error:
        return _invalid(_describe(error))
    model = request.model if request.model is not None else SERVERLESS
    if not MODELS.fullmatch(model):
        return _error(404, "NOT_FOUND", "Model not found, inaccessible, and/or not deployed", param="model")
    scores = score(request.query, request.documents)
    data: list[dict[str, object]] = []
    for index, relevance in rank(scores)[: request.top_n]:
        echo = {"document": request.documents[index]} if request.return_documents else {}
        data.append({"index": index, "relevance_score": relevance, **echo})
    return Answer(200, {"object": "list", "model": model, "data": data, "usage": scores.usage})


def _describe(error: ValidationError) -> str:
    """All that is wrong with a request, in the gateway's words, which quote the values."""
    wrong: list[str] = []
    for detail in error.errors(include_url=False):
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
        value = "" if detail["type"] == "missing" else f", value: {detail['input']!r:.200}"
        wrong.append(f"{detail['msg']}, field: '{place}'{value}")
    return wrong[0] if len(wrong) == 1 else f"{len(wrong)} request validation errors: {'; '.join(wrong)}"


def _invalid(message: str) -> Answer:
    kind = "invalid_request_error"
    return Answer(400, {"error": {"object": "error", "type": kind, "code": kind, "message": message}})


def _error(status: int, code: str, message: str, param: str | None = None) -> Answer:
    return Answer(status, {"error": {"message": message, "param": param, "code": code, "type": "error"}})


def _refuse(status: int, _call: Call) -> Answer:
    return _error(status, *_REFUSALS[status])


FIREWORKS = Api(
    path=re.compile("/inference/v1/rerank"),
    rerank=_rerank,
    refuse=_refuse,
    models_path="/inference/v1/models",
    models=(SERVERLESS,),
)
