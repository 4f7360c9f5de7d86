"""Any row of the provider table, from the server's side of the wire: its `Dialect` read the other way round.

What a client is told to send is what is read here, and where a client is told to look is where the answer is put. So a
new row can be developed against as soon as it is written. A field that the row does not have is refused, unless the API
ignores such fields.
"""

import math
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from hosted_rerank.local.apis import Answer, Api, Call, Score, rank
from hosted_rerank.local.model import Scores
from hosted_rerank.providers import PROVIDERS, Provider
from hosted_rerank.providers.auth import KeyHeader
from hosted_rerank.providers.dialect import Dialect, Prompt
from hosted_rerank.providers.json_path import at, is_array, is_object, parse, put
from hosted_rerank.providers.servers import LLAMACPP, VLLM
from hosted_rerank.providers.vendors import COHERE

ALSO: Mapping[str, Sequence[Provider]] = {
    "cohere": [replace(COHERE, url="https://api.cohere.com/v1/rerank")],  # what older clients still call
    "vllm": [replace(VLLM, url=f"http://localhost/{path}") for path in ("rerank", "v2/rerank")],
    "llamacpp": [replace(LLAMACPP, url=f"http://localhost/{path}") for path in ("rerank", "reranking")],
}
"""Where an API answers besides, by the provider's name."""

ECHOES_TEXT = ("infinity", "voyage")
"""Who echoes a document as its text alone; others as an object with the text in it."""


def apis() -> Mapping[str, Sequence[Api]]:
    """Return what each provider of the table is served with, by its name."""
    hosted = [row for row in PROVIDERS.values() if row.url.startswith("http")]
    return {row.name: [_api(served) for served in (row, *ALSO.get(row.name, ()))] for row in hosted}


def _api(row: Provider) -> Api:
    return Api(
        path=re.compile(_pattern(urlsplit(row.url).path)),
        rerank=partial(_rerank, row),
        refuse=partial(_refuse, row),
        key=row.auth if isinstance(row.auth, KeyHeader) else None,
    )


def _pattern(path: str) -> str:
    """What matches an address with names in braces; a model's id may have slashes."""
    return re.sub(r"\\\{(\w+)\\\}", lambda found: f"(?P<{found[1]}>.+)", re.escape(path))


class _WrongError(Exception):
    """What is wrong with a request, in words for the client."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request asks."""

    model: str
    query: str
    documents: Sequence[str]
    top_n: int | None
    echo: bool


def _rerank(row: Provider, call: Call, score: Score) -> Answer:
    try:
        asked = _read(row, call)
    except _WrongError as wrong:
        return _failure(row, 400, str(wrong))
    return _success(row, asked, score(asked.query, asked.documents))


def _read(row: Provider, call: Call) -> _Asked:
    body, is_json = parse(call.content)
    if not is_json or not is_object(body):
        raise _WrongError("the body is not a JSON object")
    _refuse_unknown(row.dialect, body)
    model = call.named.get("model") or _optional(body, row.dialect.model, str) or row.default_model or "model"
    top_n = _optional(body, row.dialect.top_n, int)
    if top_n is not None and top_n < 1:
        raise _WrongError(f"{row.dialect.top_n} must be at least 1")
    return _Asked(model, *_texts(row.dialect, body), top_n, at(body, "return_documents") is True)


def _refuse_unknown(dialect: Dialect, body: Mapping[str, Any]) -> None:
    own = (dialect.model, dialect.query, dialect.documents, dialect.top_n, dialect.instruction, dialect.next_page)
    known = {path for path in (*own, *dialect.static_fields, *dialect.options) if path is not None}
    unknown = [path for path in _paths(body, known) if path and path not in known]
    if unknown and not dialect.allows_extra_fields:
        raise _WrongError(f"unknown fields: {', '.join(unknown)}")


def _paths(value: Any, known: set[str], path: str = "") -> Iterator[str]:
    """The paths of what is in a value; what stands below a known path is not looked into."""
    inside = value.items() if is_object(value) else enumerate(value) if is_array(value) else ()
    if path in known or not inside:
        yield path
        return
    for name, part in inside:
        yield from _paths(part, known, f"{path}.{name}" if path else str(name))


def _optional(body: Mapping[str, Any], path: str | None, kind: type) -> Any:
    value = None if path is None else at(body, path)
    if value is not None and type(value) is not kind:
        raise _WrongError(f"{path} must be of type {kind.__name__}")
    return value


def _texts(dialect: Dialect, body: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The query and the documents of a request."""
    items = at(body, dialect.documents)
    if not is_array(items) or not items:
        raise _WrongError(f"{dialect.documents} must be a list that is not empty")
    texts = [_text(dialect, item) for item in items]
    if dialect.prompt is not None:
        asked = [_asked(dialect.prompt, text) for text in texts]
        return asked[0][0], [document for _, document in asked]
    query = at(body, dialect.query or "")
    if not isinstance(query, str):
        raise _WrongError(f"{dialect.query} must be a string")
    return query, texts


def _text(dialect: Dialect, item: Any) -> str:
    text = item if isinstance(item, str) and not dialect.document else at(item, dialect.document or "text")
    if not isinstance(text, str):
        raise _WrongError(f"an item of {dialect.documents} has no text")
    return text


def _asked(prompt: Prompt, text: str) -> tuple[str, str]:
    """The query and the document of a prompt."""
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.*)", re.escape(prompt.template))
    found = re.fullmatch(pattern, text, re.DOTALL)
    if found is None:
        raise _WrongError("the prompt is not the reranker's")
    return found["query"], found["document"]


def _success(row: Provider, asked: _Asked, scores: Scores) -> Answer:
    dialect = row.dialect
    body: dict[str, Any] = {}
    order = rank(scores)[: asked.top_n] if dialect.index is not None else list(enumerate(scores.relevance))
    results = [_result(row, index, relevance) for index, relevance in order]
    if asked.echo:
        for result, (index, _) in zip(results, order, strict=True):
            text = asked.documents[index]
            result["document"] = text if row.name in ECHOES_TEXT else {"text": text}
    headers = {header: str(scores.tokens) for header in row.usage_headers}
    if not dialect.results:
        return Answer(200, results, headers)
    put(body, dialect.id, uuid.uuid4().hex)
    put(body, dialect.served_model, asked.model)
    for path in dialect.usage:
        put(body, path, _count(path, scores))
    put(body, dialect.results, results)
    return Answer(200, body, headers)


def _result(row: Provider, index: int, relevance: float) -> Any:
    dialect = row.dialect
    if not dialect.score:
        return relevance
    result: dict[str, Any] = {}
    if dialect.index is not None:
        put(result, dialect.index, index if dialect.document_id is None else str(index))
    if dialect.prompt is not None:  # the answers' probabilities: "no", "yes"
        put(result, dialect.score.rpartition(".")[0], [1 - relevance, relevance])
    else:
        put(result, dialect.score, _logit(relevance) if row.score_kind == "logit" else relevance)
    return result


def _logit(relevance: float) -> float:
    inside = min(max(relevance, 1e-12), 1 - 1e-12)
    return math.log(inside / (1 - inside))


def _count(path: str, scores: Scores) -> Any:
    """What stands where a row looks for a count, or for an object of counts."""
    name = path.rpartition(".")[2]
    if name.endswith("units"):
        return 1
    return scores.tokens if name.endswith(("_tokens", "_bytes", "_count")) else scores.usage


def _refuse(row: Provider, status: int, _call: Call) -> Answer:
    return _failure(row, status, HTTPStatus(status).phrase)


def _failure(row: Provider, status: int, message: str) -> Answer:
    """A failure where the API says its failures."""
    if not row.dialect.error:
        return Answer(status, message)
    body: dict[str, Any] = {}
    put(body, row.dialect.error, message)
    return Answer(status, body)
