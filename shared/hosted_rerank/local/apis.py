"""What the hosted rerank APIs have in common, seen from their side of the wire.

An `Api` says where it lives, which models it lists, and has two functions, one that answers a rerank and one that
refuses a request. `respond` turns any HTTP request into an answer with them. There is no I/O and no server here, so an
API can be tested with plain values. Blank documents are scored like any other, as the vendors' servers do.
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
"""Bytes of a request body; a longer one is refused with 413."""

Score: TypeAlias = Callable[[str, Sequence[str]], Scores]
"""Scores documents against a query."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request that came in. Its query string is left out: no API refuses anything there."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    """Header names in lower case."""
    content: bytes = field(repr=False)
    """The body; of one above `MAX_BODY`, at least a byte more than that."""
    named: Mapping[str, str] = field(default_factory=dict[str, str])
    """What stands in the path for the names that the API's path has in it."""


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

    path: re.Pattern[str]
    """What the path of a rerank is, all of it."""
    rerank: Callable[[Call, Score], Answer]
    """Answers a rerank, whether its body is right or wrong."""
    refuse: Callable[[int, Call], Answer]
    """Its way of saying 401, 404, 405, 413 or 503 to a request."""
    key: KeyHeader | None = KeyHeader()
    """Where it asks for a key; `None` if for signatures, which the local server cannot check and does not ask for."""
    models_path: str | None = None
    """Where it lists its models."""
    models: Sequence[str] = ()
    """The ids it lists."""


def respond(api: Api, call: Call, score: Score, api_key: str | None = None) -> Answer:
    """The API's answer. Where `api_key` is given, it is asked for. Raises what `score` raises."""
    found = api.path.fullmatch(call.path)
    if found is None and call.path != api.models_path:
        return api.refuse(404, call)
    method = HTTPMethod.GET if found is None else HTTPMethod.POST
    if call.method != method:
        refusal = api.refuse(405, call)
        return Answer(refusal.status, refusal.body, {"allow": method})
    if api_key is not None and api.key is not None and not _authorised(call, api.key, api_key):
        return api.refuse(401, call)
    if found is None:
        return Answer(200, {"object": "list", "data": [{"id": model, "object": "model"} for model in api.models]})
    if len(call.content) > MAX_BODY:
        return api.refuse(413, call)
    return api.rerank(replace(call, named=found.groupdict()), score)


def rank(scores: Scores) -> list[tuple[int, float]]:
    """Index and relevance of each document, best first, ties in input order."""
    return sorted(enumerate(scores.relevance), key=lambda scored: -scored[1])


def _authorised(call: Call, key: KeyHeader, api_key: str) -> bool:
    given = call.headers.get(key.name, "")
    scheme, _, token = given.partition(" ") if key.scheme else ("", "", given)
    return scheme.lower() == key.scheme.lower() and hmac.compare_digest(token.strip().encode(), api_key.encode())
