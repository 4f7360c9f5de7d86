"""The server's side of every provider's API, from the paths in its `Dialect`.

It reads the fields that a client writes, and writes the fields that the API has (`reply_shapes`), or, for a new API,
those that a client reads. So the local server speaks a new API as soon as its `Provider` exists. It refuses a field
that the dialect does not have, unless the API ignores such fields.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from hosted_rerank.local.apis import Api, ApiRequest, ApiResponse, ScoreFunction, rank
from hosted_rerank.local.model import Scores
from hosted_rerank.local.reply_shape import ABSENT, Answered, ReplyShape
from hosted_rerank.local.reply_shapes import shape_of
from hosted_rerank.local.request_texts import InvalidError, read_texts
from hosted_rerank.providers import PROVIDERS, Provider
from hosted_rerank.providers.auth import KeyHeader
from hosted_rerank.providers.json_path import at, copy_with, is_array, is_object, parse, put
from hosted_rerank.providers.servers import LLAMACPP, VLLM
from hosted_rerank.providers.vendors import COHERE

_COHERE_V1 = replace(
    COHERE.dialect,
    options={**COHERE.dialect.options, "return_documents": bool, "max_chunks_per_doc": int, "rank_fields": list},
)
OTHER_PATHS: Mapping[str, Sequence[Provider]] = {
    "cohere": [replace(COHERE, url="https://api.cohere.com/v1/rerank", dialect=_COHERE_V1)],  # older clients use it
    "vllm": [replace(VLLM, url=f"http://localhost/{path}") for path in ("rerank", "v2/rerank")],
    "llamacpp": [replace(LLAMACPP, url=f"http://localhost/{path}") for path in ("rerank", "reranking")],
}
"""Other URLs at which an API answers, by the provider's name."""

_COHERE_UNKNOWN = (422, "unknown field: parameter '{}' is not a valid field")
UNKNOWN_FIELD: Mapping[str, tuple[int, str]] = {
    "cohere": _COHERE_UNKNOWN,
    "azure": _COHERE_UNKNOWN,
    "vercel": _COHERE_UNKNOWN,
}
"""The status and the message with which an API refuses an unknown field, if they differ from the usual ones."""

IGNORED_FIELDS: Mapping[str, Sequence[str]] = {"cohere": ("return_documents",)}
"""Fields that an API takes and ignores: older SDKs and litellm 1.100 send this one to Cohere's second version."""


def make_apis() -> Mapping[str, Sequence[Api]]:
    """Returns the APIs of each provider that has a URL, by the provider's name."""
    providers = [provider for provider in PROVIDERS.values() if provider.url.startswith("http")]
    return {
        provider.name: [_make_api(each) for each in (provider, *OTHER_PATHS.get(provider.name, ()))]
        for provider in providers
    }


def _make_api(provider: Provider) -> Api:
    return Api(
        path=re.compile(_make_pattern(urlsplit(provider.url).path)),
        rerank=partial(_rerank, provider),
        refuse=partial(_refuse, provider),
        key=provider.auth if isinstance(provider.auth, KeyHeader) else None,
    )


def _make_pattern(path: str) -> str:
    """Returns the pattern of a path with names in braces; a model's id may have slashes."""
    return re.sub(r"\\\{(\w+)\\\}", lambda match: f"(?P<{match[1]}>.+)", re.escape(path))


@dataclass(frozen=True, slots=True)
class _RerankRequest:
    """The content of a rerank request."""

    model: str
    query: str
    documents: Sequence[str]
    top_n: int | None
    body: Mapping[str, Any]
    items: Sequence[Any]
    """The documents as they are in the body."""


def _rerank(provider: Provider, http_request: ApiRequest, score: ScoreFunction) -> ApiResponse:
    try:
        request = _parse(provider, http_request)
    except InvalidError as invalid:
        return _make_error(provider, invalid.status, str(invalid))
    return _make_response(provider, request, score(request.query, request.documents))


def _parse(provider: Provider, http_request: ApiRequest) -> _RerankRequest:
    body, is_json = parse(http_request.content)
    if not is_json or not is_object(body):
        raise InvalidError("the body is not a JSON object")
    ignored = {*IGNORED_FIELDS.get(provider.name, ())} - provider.dialect.options.keys()
    body = {name: value for name, value in body.items() if name not in ignored}
    _refuse_unknown(provider, body)
    model = (
        http_request.path_params.get("model")
        or _get_optional(body, provider.dialect.model, str)
        or provider.default_model
        or "model"
    )
    top_n_path = provider.dialect.top_n or shape_of(provider.name, provider.dialect).top_n
    top_n = _get_optional(body, top_n_path, int)
    if top_n is not None and top_n < 1:
        raise InvalidError(f"{top_n_path} must be at least 1")
    query, documents = read_texts(provider, body)
    return _RerankRequest(model, query, documents, top_n, body, at(body, provider.dialect.documents))


def _refuse_unknown(provider: Provider, body: Mapping[str, Any]) -> None:
    dialect = provider.dialect
    own = (dialect.model, dialect.query, dialect.documents, dialect.top_n, dialect.instruction, dialect.next_page)
    beside = dialect.document_parts.beside.values()
    shape = shape_of(provider.name, dialect)
    taken = (*shape.takes, shape.top_n, dialect.document_count)
    known = {path for path in (*own, *beside, *dialect.static_fields, *dialect.options, *taken) if path is not None}
    unknown = [path for path in _list_paths(body, known) if path and path not in known]
    if unknown and not dialect.allows_extra_fields:
        status, message = UNKNOWN_FIELD.get(provider.name, (400, "unknown fields: {}"))
        raise InvalidError(message.format(", ".join(unknown)), status)


_DEEPEST_PATH = 8
"""The dots in the longest path of a field in an error."""


def _list_paths(value: Any, known: set[str], path: str = "") -> Iterator[str]:
    """Yields the paths in a value; a known path ends there, whatever is below it."""
    children = value.items() if is_object(value) else enumerate(value) if is_array(value) else ()
    if path in known or not children or path.count(".") == _DEEPEST_PATH:
        yield path
        return
    for name, child in children:
        yield from _list_paths(child, known, f"{path}.{name}" if path else str(name))


def _get_optional(body: Mapping[str, Any], path: str | None, kind: type) -> Any:
    value = None if path is None else at(body, path)
    if value is not None and type(value) is not kind:
        raise InvalidError(f"{path} must be of type {kind.__name__}")
    return value


def _make_response(provider: Provider, request: _RerankRequest, scores: Scores) -> ApiResponse:
    dialect, shape = provider.dialect, shape_of(provider.name, provider.dialect)
    order = rank(scores)[: request.top_n] if dialect.index is not None else list(enumerate(scores.relevance))
    results = [_make_result(provider, shape, request, index, relevance) for index, relevance in order]
    headers = dict(shape.headers) | {
        header: str(0 if count == "cached_tokens" else scores.tokens)
        for header, count in provider.usage_headers.items()
    }
    if not dialect.results:
        return ApiResponse(200, results, headers)
    body: dict[str, Any] = {}
    answered = Answered(request.body, request.model, request.query, scores)
    for path, value in shape.body.items():
        if (found := value(answered) if callable(value) else value) is not ABSENT:
            put(body, path, found)
    put(body, dialect.results, results)
    return ApiResponse(200, body, headers)


def _make_result(provider: Provider, shape: ReplyShape, request: _RerankRequest, index: int, relevance: float) -> Any:
    dialect = provider.dialect
    if not dialect.score:
        return relevance
    item, text = request.items[index], request.documents[index]
    result = None if shape.echo is None else shape.echo.repeat(request.body, item, text)
    for path, value in shape.result.items():
        result = copy_with(result, path, value)
    if dialect.index is not None:
        own_id = None if dialect.document_id is None else at(item, dialect.document_id)
        result = copy_with(result, dialect.index, index if own_id is None else own_id)
    if dialect.prompt is not None:  # the probabilities of "no" and "yes"
        return copy_with(result, dialect.score.rpartition(".")[0], [1 - relevance, relevance])
    logit = provider.facts(request.model).score_kind == "logit"
    return copy_with(result, dialect.score, _to_logit(relevance) if logit else relevance)


def _to_logit(relevance: float) -> float:
    clipped = min(max(relevance, 1e-12), 1 - 1e-12)
    return math.log(clipped / (1 - clipped))


def _refuse(provider: Provider, status: int, _http_request: ApiRequest) -> ApiResponse:
    return _make_error(provider, status, HTTPStatus(status).phrase)


def _make_error(provider: Provider, status: int, message: str) -> ApiResponse:
    """Returns an error response with the message where the API has it."""
    if not provider.dialect.error:
        return ApiResponse(status, message)
    body: dict[str, Any] = {}
    put(body, provider.dialect.error, message)
    return ApiResponse(status, body)
