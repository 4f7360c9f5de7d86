"""The models of the Fireworks API: which ids are known, which is the default, and the list."""

import json

import pytest

from hosted_rerank.local.apis import ApiRequest, respond
from hosted_rerank.local.fireworks import FIREWORKS, SERVERLESS
from tests.local.fireworks_api import get_error, post, score


@pytest.mark.parametrize(
    "model",
    [
        SERVERLESS,
        "fireworks/qwen3-reranker-8b",
        "accounts/fireworks/models/qwen3-reranker-4b",
        "fireworks/qwen3-reranker-0p6b",
        "accounts/me/models/my-reranker.v2",
        "accounts/me/deployments/y1",
        "accounts/fireworks/models/x#accounts/me/deployments/y",
        "qwen3-reranker-8b#my-deployment",
    ],
)
def test_a_model_it_can_know_is_answered_under_its_name(model: str) -> None:
    """Serverless ids, short ids, own models and deployments in both spellings pass verbatim."""
    answer = post({"query": "q", "documents": ["a"], "model": model})
    assert json.loads(answer.content)["model"] == model


@pytest.mark.parametrize(
    "model",
    [
        "",
        "qwen3-reranker-8b",
        "Qwen/Qwen3-Reranker-8B",
        SERVERLESS.upper(),
        SERVERLESS + " ",
        "accounts/fireworks/models/x",
    ],
)
def test_a_model_it_cannot_know_is_not_found(model: str) -> None:
    """Any other id is a 404 in the gateway's words."""
    answer = post({"query": "q", "documents": ["a"], "model": model})
    assert answer.status == 404
    assert get_error(answer) == {
        "message": "Model not found, inaccessible, and/or not deployed",
        "param": "model",
        "code": "NOT_FOUND",
        "type": "error",
    }


def test_no_model_is_the_serverless_one() -> None:
    """The reference lets the model be null; the answer names the one that was taken."""
    for body in ({"query": "q", "documents": ["a"]}, {"query": "q", "documents": ["a"], "model": None}):
        assert json.loads(post(body).content)["model"] == SERVERLESS


def test_the_models_are_listed() -> None:
    """The list of models holds the serverless reranker, for those with the key."""
    call = ApiRequest("GET", "/inference/v1/models", {}, b"")
    models = {"object": "list", "data": [{"id": SERVERLESS, "object": "model"}]}
    assert respond(FIREWORKS, call, score).body == models
    assert respond(FIREWORKS, call, score, "sk").status == 401
