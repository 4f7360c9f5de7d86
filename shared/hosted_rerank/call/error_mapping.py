"""Maps an outcome to the error that the caller sees. Its message says what happened and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hosted_rerank.call.error_body import error_code, error_id
from hosted_rerank.call.redaction import redact, redact_error_body, repeats_request
from hosted_rerank.errors import (
    DeadlineExceededError,
    MalformedResponseError,
    RequestTooLargeError,
    RerankConnectionError,
    RerankError,
    RerankTimeoutError,
    error_class,
)
from hosted_rerank.limits.classification import classify, provider_error, vendor_error_type
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.providers.url import fill
from hosted_rerank.wire import Outcome, Response, TransportFailure


@dataclass(frozen=True, slots=True)
class Sensitive:
    """Texts and secrets of a request, which no error may show."""

    secrets: Sequence[str] = field(repr=False)
    """API keys, passwords and tokens."""
    texts: Sequence[str] = field(repr=False)
    """Query, instruction and documents."""


def error_for(
    outcome: Outcome, endpoint: Endpoint, *, sensitive: Sensitive, attempts: int, late: float | None
) -> RerankError:
    """Returns the error for an outcome that is not a success.

    Args:
        outcome: The outcome of the last attempt.
        endpoint: Where the request was sent.
        sensitive: Texts and secrets that the message must not show.
        attempts: HTTP requests made.
        late: The call's deadline in seconds, if it ended the retries.
    """
    name = endpoint.provider.name
    after = f" after {attempts} attempts" if attempts > 1 else ""
    no_time = f"; the deadline of {late:g} s leaves no time for another attempt" if late is not None else ""
    if isinstance(outcome, TransportFailure):
        said = redact(outcome.said, sensitive.texts, sensitive.secrets)
        reason = redact(outcome.reason, (), sensitive.secrets) + (f" ({said})" if said else "")
        if outcome.timed_out:
            error = RerankTimeoutError if late is None else DeadlineExceededError
            return error(f"timeout: no response from {name} in time{after}: {reason}{no_time}", provider=name)
        if not outcome.retryable:
            return MalformedResponseError(f"the response of {name} cannot be used{after}: {reason}", provider=name)
        return RerankConnectionError(f"no response from {name}{after}: {reason}{no_time}", provider=name)
    provider = endpoint.provider
    verdict = classify(outcome, provider)
    kind = provider_error(outcome, provider) or (
        RequestTooLargeError if verdict.too_large else error_class(outcome.status)
    )
    said = redact_error_body(outcome.content, sensitive.texts, sensitive.secrets)
    wait = verdict.retry_after
    refused = kind(
        f"{name} answered {outcome.status}{after}"
        + (f": {said.rstrip('.')}" if said else "")
        + (f"; {advice}" if (advice := _advice(outcome.status, endpoint)) else "")
        + (f"; it asks to wait {wait:g} s" if wait is not None else "")
        + no_time,
        status=outcome.status,
        provider=name,
        request_id=request_id(outcome, endpoint, sensitive),
        retry_after=wait,
        code=_code(outcome, sensitive),
    )
    if isinstance(refused, RequestTooLargeError):
        refused.refusal = verdict.too_large
    return refused


def _code(response: Response, sensitive: Sensitive) -> str | None:
    """Returns the API's own code of an error."""
    return _shown(vendor_error_type(response) or error_code(response.content, response.status), sensitive)


def malformed_error(
    problem: MalformedResponseError, response: Response, endpoint: Endpoint, sensitive: Sensitive
) -> MalformedResponseError:
    """Returns the error for a successful response without a complete and consistent ranking.

    Args:
        problem: The error of the decoder.
        response: The response.
        endpoint: Where the request was sent.
        sensitive: Texts and secrets that the message must not show.
    """
    said = (
        redact_error_body(response.content, sensitive.texts, sensitive.secrets) if response.content[:1] == b"{" else ""
    )
    return MalformedResponseError(
        f"{endpoint.provider.name} answered {response.status}, but {problem}" + (f"; it says: {said}" if said else ""),
        status=response.status,
        provider=endpoint.provider.name,
        request_id=request_id(response, endpoint, sensitive),
    )


def request_id(response: Response, endpoint: Endpoint, sensitive: Sensitive) -> str | None:
    """Returns the API's id of a request, from the response's headers or from the body of an error."""
    found = next(filter(None, map(response.headers.get, endpoint.provider.request_id_headers)), None)
    if found is None and response.status >= 300:
        found = error_id(response.content)
    return _shown(found, sensitive)


def _shown(word: str | None, sensitive: Sensitive) -> str | None:
    """Returns a word of the server as it may be shown; `None` if it is empty, or contains a secret or a text."""
    if not word or repeats_request(word, sensitive.texts, sensitive.secrets):
        return None
    return "".join(filter(str.isprintable, word))[:128]


def _advice(status: int, endpoint: Endpoint) -> str:
    """Returns the remedy for a status; empty if the status alone does not tell it."""
    if 300 <= status < 400:
        return "redirects are not followed, so that the key goes to no other host: set base_url to the final address"
    if status == 401:
        names = " or ".join(endpoint.provider.api_key_env)
        return f"check the API key{f' ({names})' if names else ''}, or pass another api_key="
    if status in (404, 410):
        which = f"model {endpoint.model!r}" if endpoint.model else "the model"
        models = (fill(model, endpoint.url_params) for model in endpoint.provider.known_models)
        others = [model for model in models if model != endpoint.model]
        known = f"; {endpoint.provider.name} also has {', '.join(others)}" if others else ""
        return (
            f"{which} or the endpoint is not available to this key: check the id, letter case included, and base_url"
            + known
        )
    if status == 413:
        return "send fewer or shorter documents, or pass batch_size= or max_document_chars="
    return ""
