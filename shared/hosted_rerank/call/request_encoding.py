"""The HTTP request of a batch, and the ranking in its response."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from hosted_rerank.call.batching import Batch, Plan
from hosted_rerank.call.error_mapping import Sensitive, malformed_error, request_id
from hosted_rerank.errors import InvalidRequestError, MalformedResponseError, RerankError
from hosted_rerank.limits.classification import error_in_success
from hosted_rerank.providers.document_parts import Parts
from hosted_rerank.providers.provider import Provider
from hosted_rerank.providers.ranking import Ranking, usage_of
from hosted_rerank.response import Usage
from hosted_rerank.wire import Request, Response, TextIndex

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The scores of one batch, by text, and the facts that the API states about the request."""

    scores: Mapping[TextIndex, float]
    """In the order of the reply."""
    usage: Usage
    model: str | None
    request_id: str | None
    attempts: int
    error: RerankError | None = None
    """Why texts of the batch have no score; `None` if the ranking is complete."""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """The fields of the last page beside its results."""
    result_extras: Mapping[TextIndex, Mapping[str, Any]] = field(
        default_factory=dict[TextIndex, Mapping[str, Any]], repr=False
    )
    """The other fields of the results, by text."""


def batch_texts(plan: Plan, batch: Batch) -> Sequence[str]:
    """Returns the texts of a batch."""
    if len(batch.text_indices) == len(plan.texts):
        return plan.texts
    return [plan.texts[index] for index in batch.text_indices]


def sensitive(plan: Plan, batch: Batch, key: str | None) -> Sensitive:
    """Returns the secrets and texts of a batch's request."""
    call = plan.call
    texts = [call.query, call.instruction or "", *batch_texts(plan, batch)]
    given = (call.documents[plan.document_indices[text]] for text in batch.text_indices)
    texts += [part for document in given if isinstance(document, Parts) for part in document.strings()]
    return Sensitive(plan.endpoint.secrets(key), texts)


def encode_request(plan: Plan, batch: Batch, top_n: int | None, key: str | None, started: float) -> Request:
    """Returns the HTTP request of a batch.

    Args:
        plan: The call.
        batch: The documents of the request.
        top_n: How many results the request asks for; `None` for all.
        key: The API key.
        started: `time.monotonic()` when the call began; the deadline counts from there.

    Raises:
        InvalidRequestError: An option is not JSON.
    """
    endpoint = plan.endpoint
    try:
        content = encode_body(plan, batch_texts(plan, batch), top_n)
    except TypeError:  # orjson's own error is one
        raise not_json_error(endpoint.provider.name) from None
    return Request(
        endpoint.request_url(key),
        endpoint.request_headers(key),
        content,
        plan.call_options.timeout,
        endpoint.provider.max_response_bytes,
        started + (plan.call_options.deadline or math.inf),
    )


def not_json_error(provider: str) -> InvalidRequestError:
    """Returns the error for a request that cannot be written as JSON."""
    return InvalidRequestError(
        "options or extra_body hold a value that is not JSON serializable: pass str, int, float, bool, list, dict",
        provider=provider,
    )


def encode_body(plan: Plan, texts: Sequence[str], top_n: int | None) -> bytes:
    """Returns the body of a request.

    Args:
        plan: The call.
        texts: The texts of the documents.
        top_n: How many results the request asks for; `None` for all.

    Raises:
        TypeError: An option is not JSON.
    """
    endpoint, query, instruction = plan.endpoint, plan.call.query, plan.call.instruction
    dialect = endpoint.provider.dialect
    if instruction and not dialect.takes_instruction:  # `check_instruction` allows this
        query, instruction = f"{instruction}\n{query}", None
    options = {**endpoint.options, **endpoint.extra_body} if endpoint.extra_body else endpoint.options
    return dialect.encode(query, texts, model=endpoint.model, top_n=top_n, instruction=instruction, options=options)


def decode_page(
    plan: Plan, batch: Batch, top_n: int | None, key: str | None, response: Response, pages: Sequence[Ranking]
) -> Ranking | Response:
    """Returns the ranking in a response, or the error that a success has in its body, as that error.

    Most APIs send all of a ranking in one page.

    Args:
        plan: The call.
        batch: The documents of the request.
        top_n: How many results the request asked for; `None` for all.
        key: The API key, which an error must not show.
        response: The response.
        pages: The pages before this one, each with the scores of those before it.

    Raises:
        MalformedResponseError: The response is neither a consistent ranking nor an error.
    """
    endpoint = plan.endpoint
    earlier = pages[-1].scores if pages else None
    try:
        ranking = endpoint.provider.dialect.decode(
            response.content, sent=len(batch.text_indices), top_n=top_n, earlier=earlier
        )
    except MalformedResponseError as problem:
        if error := error_in_success(response):
            return error
        raise malformed_error(problem, response, endpoint, sensitive(plan, batch, key)) from None
    if ranking.incomplete and (error := error_in_success(response)):
        return error
    counts = _header_usage(endpoint.provider, response)
    return replace(ranking, usage=ranking.usage + counts) if counts else ranking


def batch_result(
    plan: Plan, batch: Batch, key: str | None, response: Response, pages: Sequence[Ranking], attempts: int
) -> BatchResult:
    """Returns the result of a batch, whose scores are in the last page."""
    ranking, text_indices = pages[-1], batch.text_indices
    extras = {index: extra for page in pages for index, extra in page.result_extras.items()}
    usage = ranking.usage if len(pages) == 1 else sum((page.usage for page in pages), Usage())
    secrets = Sensitive(plan.endpoint.secrets(key), ())
    error = None
    if ranking.incomplete:
        problem = MalformedResponseError(ranking.incomplete)
        error = malformed_error(problem, response, plan.endpoint, sensitive(plan, batch, key))
        error.attempts = attempts
    return BatchResult(
        _by_text(ranking.scores, text_indices),
        usage,
        ranking.model,
        request_id(response, plan.endpoint, secrets) or ranking.id,
        attempts,
        error,
        ranking.extra,
        _by_text(extras, text_indices),
    )


def _by_text(values: Mapping[int, _Value], text_indices: Sequence[TextIndex]) -> Mapping[TextIndex, _Value]:
    """Returns the values of the documents of a request by text."""
    if isinstance(text_indices, range) and text_indices.start == 0:  # the numbers are the same
        return cast("Mapping[TextIndex, _Value]", values)
    return {text_indices[index]: value for index, value in values.items()}


def _header_usage(provider: Provider, response: Response) -> Usage | None:
    """Returns the counts in the headers of a response."""
    if not provider.usage_headers:
        return None
    counts = {name: response.headers.get(header, "") for header, name in provider.usage_headers.items()}
    return usage_of({name: int(count) for name, count in counts.items() if count.isdecimal() and len(count) < 16})
