"""Requests to the embedded Fireworks API without a server, scored by a stand-in for the model."""

import json
from collections.abc import Sequence
from typing import Any

from hosted_rerank.local.apis import ApiRequest, ApiResponse, respond
from hosted_rerank.local.fireworks import FIREWORKS
from hosted_rerank.local.model import Scores

PATH = "/inference/v1/rerank"


DOCUMENTS = ["middle", "best of all", "x", "middle"]


def score(_query: str, documents: Sequence[str]) -> Scores:
    """A stand-in for the model: the longer a text, the better."""
    return Scores(tuple(len(document) / 100 for document in documents), 7)


def post(body: object, api_key: str | None = None, **headers: str) -> ApiResponse:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = respond(FIREWORKS, ApiRequest("POST", PATH, headers, content), score, api_key)
    assert json.loads(answer.content) == answer.body
    return answer


def get_data(answer: ApiResponse) -> list[dict[str, Any]]:
    return json.loads(answer.content)["data"]


def get_error(answer: ApiResponse) -> dict[str, Any]:
    return json.loads(answer.content)["error"]
