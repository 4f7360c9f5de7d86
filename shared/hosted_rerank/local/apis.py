"""The server's side of a rerank API, without a server.

An `Api` has its path, its models and two functions: one answers a rerank, the other one refuses a request. `respond`
turns any HTTP request into a response with them. This module does no I/O, so plain values can test an API. Blank
documents are scored like others, as the providers' servers do.
"""

import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPMethod
from typing import TypeAlias

import orjson

from hosted_rerank.local.model import Scores
from hosted_rerank.providers.auth import KeyHeader

MAX_BODY = 64 * 2**20
"""The largest request body in bytes; a larger one gets a 413."""

ScoreFunction: TypeAlias = Callable[[str, Sequence[str]], Scores]
"""Returns the scores of documents for a query."""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One HTTP request, without its query string, which no API checks."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    """The headers, with names in lower case."""
    content: bytes = field(repr=False)
    """The body; at least one byte more than `MAX_BODY` of a larger one."""
    path_params: Mapping[str, str] = field(default_factory=dict[str, str])
    """The values of the names in braces in the API's path."""


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """One HTTP response."""

    status: int
    body: object
    """The JSON value of the body."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content: bytes = field(init=False, repr=False)
    """The body as JSON."""

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "content", orjson.dumps(self.body))
        except TypeError:  # orjson's own error is one
            raise TooDeepError from None


class TooDeepError(Exception):
    """A response repeats values of the request that are nested too deeply for JSON."""


@dataclass(frozen=True, slots=True)
class Api:
    """One rerank API: how it answers a rerank, and how it refuses a request."""

    path: re.Pattern[str]
    """The pattern of the whole path of a rerank."""
    rerank: Callable[[ApiRequest, ScoreFunction], ApiResponse]
    """Returns the response to a rerank, with a valid or an invalid body."""
    refuse: Callable[[int, ApiRequest], ApiResponse]
    """Returns the response with a status of 400, 401, 403, 404, 405, 413, 503 or another error."""
    key: KeyHeader | None = KeyHeader()
    """The header of the key; `None` if the API takes signatures, which the local server does not check."""
    models_path: str | None = None
    """The path of the list of models; `None` if there is none."""
    models: Sequence[str] = ()
    """The ids in the list of models."""


def respond(api: Api, request: ApiRequest, score: ScoreFunction, api_key: str | None = None) -> ApiResponse:
    """Returns the response of an API to a request; raises the exceptions of `score`.

    Args:
        api: The API.
        request: The request.
        score: The function that scores documents.
        api_key: The key that the request must have; `None` for no check.
    """
    try:
        return _respond(api, request, score, api_key)
    except (TooDeepError, RecursionError):
        return api.refuse(400, request)


def _respond(api: Api, request: ApiRequest, score: ScoreFunction, api_key: str | None) -> ApiResponse:
    match = api.path.fullmatch(request.path)
    if match is None and request.path != api.models_path:
        return api.refuse(404, request)
    method = HTTPMethod.GET if match is None else HTTPMethod.POST
    if request.method != method:
        refusal = api.refuse(405, request)
        return ApiResponse(refusal.status, refusal.body, {"allow": method})
    if api_key is not None and api.key is not None and not _has_key(request, api.key, api_key):
        return api.refuse(401, request)
    if match is None:
        return ApiResponse(200, {"object": "list", "data": [{"id": model, "object": "model"} for model in api.models]})
    if len(request.content) > MAX_BODY:
        return api.refuse(413, request)
    return api.rerank(replace(request, path_params=match.groupdict()), score)


def rank(scores: Scores) -> list[tuple[int, float]]:
    """Returns the index and the score of each document, best first, and equal scores in input order."""
    return sorted(enumerate(scores.relevance), key=lambda pair: -pair[1])


def _has_key(request: ApiRequest, key: KeyHeader, api_key: str) -> bool:
    value = request.headers.get(key.name, "")
    scheme, _, token = value.partition(" ") if key.scheme else ("", "", value)
    return scheme.lower() == key.scheme.lower() and hmac.compare_digest(token.strip().encode(), api_key.encode())
