"""Each provider's file of samples: what we must send, what it answers, what that comes to."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema
import pytest

import hosted_rerank
from hosted_rerank import PROVIDERS, Reranker, RerankError
from hosted_rerank.providers.auth import KeyHeader
from tests.byhand import body_of, planned, request_of
from tests.conftest import KEY, Rerank
from tests.hostile import HostileServer, reply

SAMPLES = {path.stem: json.loads(path.read_text("utf-8")) for path in Path(__file__).parents[1].glob("samples/*.json")}


def each(part: str) -> pytest.MarkDecorator:
    """A test for each sample of a part, in each file."""
    cases = [
        pytest.param(file["provider"], sample, id=f"{name}-{number}")
        for name, file in sorted(SAMPLES.items())
        for number, sample in enumerate(file[part])
    ]
    return pytest.mark.parametrize(("provider", "sample"), cases)


def address(url: str) -> tuple[Any, ...]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc, parts.path, parse_qsl(parts.query, strict_parsing=bool(parts.query))


def keyed(provider: str) -> dict[str, Any]:
    """The key, for an API that takes one."""
    auth = PROVIDERS[provider].auth
    return {"api_key": KEY if isinstance(auth, KeyHeader) or auth.takes_key else None}


def shown(headers: Mapping[str, str], provider: str) -> dict[str, str]:
    """The headers that say who asks, and those that the row has, with KEY for the key."""
    row = PROVIDERS[provider]
    named = {"authorization", "api-key", "x-api-key", *row.headers}
    return {name: value.replace(KEY, "KEY") for name, value in headers.items() if name in named}


def test_every_hosted_provider_has_samples() -> None:
    """A row of the table without a sample file is not done."""
    assert set(SAMPLES) == set(PROVIDERS) - {"local"}


@each("requests")
def test_request_is_exactly_the_sample(provider: str, sample: dict[str, Any]) -> None:
    """A request has the sample's address, headers and fields, no field more, and no null."""
    todo = planned(provider, **keyed(provider), **sample["settings"] | sample["call"])
    request, body = request_of(todo), body_of(todo)
    assert body == sample["body"]
    assert None not in body.values()
    assert address(request.url) == address(sample["url"])
    assert shown(request.headers, provider) == SAMPLES[provider].get("headers", {"authorization": "Bearer KEY"})
    assert request.headers["content-type"] == "application/json"
    jsonschema.validate(body, SAMPLES[provider]["schema"])


@each("requests")
def test_request_arrives_as_the_sample(
    provider: str, sample: dict[str, Any], server: HostileServer, rerank: Rerank
) -> None:
    """The request that a server receives is a POST with the sample's path, query string and body."""
    here = server.url + urlsplit(sample["settings"].get("base_url", "")).path
    server.play(reply(400))
    with pytest.raises(RerankError):
        rerank(Reranker(provider, **keyed(provider), **sample["settings"] | {"base_url": here}), **sample["call"])
    (seen,) = server.requests
    assert (seen.method, seen.body) == ("POST", sample["body"])
    assert address(seen.target)[2:] == address(sample["url"])[2:]
    assert shown(seen.headers, provider) == SAMPLES[provider].get("headers", {"authorization": "Bearer KEY"})
    assert seen.headers["content-type"] == "application/json"


@each("replies")
def test_reply_is_decoded(provider: str, sample: dict[str, Any], server: HostileServer, rerank: Rerank) -> None:
    """A success comes to the sample's results, usage, model and request ids."""
    server.play(reply(200, sample["body"], **sample.get("headers", {})))
    settings = SAMPLES[provider]["requests"][0]["settings"] | {"base_url": server.url}
    response = rerank(Reranker(provider, **keyed(provider), **settings), **sample["call"])
    assert [[result.index, result.relevance_score] for result in response.results] == sample["results"]
    assert asdict(response.usage) == sample["usage"]
    assert response.model == sample["model"]
    assert (response.score_kind, response.score_transform) == (sample["score_kind"], sample["score_transform"])
    assert response.provider == provider
    assert list(response.request_ids) == sample["request_ids"]
    assert response.attempts == 1


@each("errors")
def test_error_is_classified(provider: str, sample: dict[str, Any], server: HostileServer, rerank: Rerank) -> None:
    """A failure comes to the sample's error, with the server's words and without the request's."""
    server.play(reply(sample["status"], sample["body"], **sample.get("headers", {})))
    settings = SAMPLES[provider]["requests"][0]["settings"] | {"base_url": server.url}
    with pytest.raises(RerankError) as caught:
        rerank(
            Reranker(provider, **keyed(provider), **settings, max_retries=0),
            "tides",
            ["Bread rises.", "The moon pulls."],
        )
    error = caught.value
    assert type(error) is getattr(hosted_rerank, sample["error"])
    assert (error.status, error.provider) == (sample["status"], provider)
    assert error.retry_after == sample.get("retry_after")
    assert error.request_id == sample.get("request_id")
    assert error.code == sample.get("code")
    assert [words for words in sample["shows"] if words.rstrip(".") not in str(error)] == []
    assert [words for words in sample.get("hides", []) if words in str(error)] == []
