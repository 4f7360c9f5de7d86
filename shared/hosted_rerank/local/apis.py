"""What the hosted rerank APIs have in common, seen from their side of the wire.

An `Api` is a row: where it lives, which models it lists, and two functions, one that answers a rerank and one that
refuses a request. `respond` turns any HTTP request into an answer with them. There is no I/O and no server here, so an
API can be tested with plain values. Blank documents are scored like any other, as the vendors' servers do.
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPMethod
from typing import TypeAlias

import orjson

from hosted_rerank.local.model import Scores

MAX_BODY = 64 * 2**20
"""Bytes of a request body; a longer one is refused with 413."""

Score: TypeAlias = Callable[[str, Sequence[str]], Scores]
"""Scores documents against a query."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request that came in. Its query string is left out: neither API refuses anything there."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    """Header names in lower case."""
    content: bytes = field(repr=False)
    """The body; of one above `MAX_BODY`, at least a byte more than that."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The HTTP response to send."""

    status: int
    body: object
    """What JSON is made of."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def content(self) -> bytes:
        """The body as JSON."""
        return orjson.dumps(self.body)


@dataclass(frozen=True, slots=True)
class Api:
    """One hosted API: what it answers, and how it refuses."""

    prefix: str
    """What its paths begin with, such as `/v1`."""
    models: Sequence[str]
    """The ids it lists."""
    rerank: Callable[[bytes, Score], Answer]
    """Answers a request body, whether it is right or wrong."""
    refuse: Callable[[int, Call], Answer]
    """Its way of saying 401, 404, 405, 413 or 503 to a request."""


def respond(api: Api, call: Call, score: Score, api_key: str | None = None) -> Answer:
    """The API's answer. Where `api_key` is given, it is asked for. Raises what `score` raises."""
    methods = {f"{api.prefix}/rerank": HTTPMethod.POST, f"{api.prefix}/models": HTTPMethod.GET}
    method = methods.get(call.path)
    if method is None:
        return api.refuse(404, call)
    if call.method != method:
        refusal = api.refuse(405, call)
        return Answer(refusal.status, refusal.body, {"allow": method})
    if api_key is not None and not _authorised(call, api_key):
        return api.refuse(401, call)
    if method == HTTPMethod.GET:
        return Answer(200, {"object": "list", "data": [{"id": model, "object": "model"} for model in api.models]})
    if len(call.content) > MAX_BODY:
        return api.refuse(413, call)
    return api.rerank(call.content, score)


def rank(scores: Scores) -> list[tuple[int, float]]:
    """Index and relevance of each document, best first, ties in input order."""
    return sorted(enumerate(scores.relevance), key=lambda scored: -scored[1])


def _authorised(call: Call, api_key: str) -> bool:
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), api_key.encode())
