"""Turns an outcome into the error that a caller sees, which says what happened and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hosted_rerank.call.redaction import error_code, error_id, redact_error_body
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
from hosted_rerank.wire import Outcome, Response, TransportFailure


@dataclass(frozen=True, slots=True)
class Sensitive:
    """Texts and secrets of a request, which must not come back in an error."""

    secrets: Sequence[str] = field(repr=False)
    texts: Sequence[str] = field(repr=False)
    """Query, instruction and documents."""


def error_for(
    outcome: Outcome, endpoint: Endpoint, *, hidden: Sensitive, attempts: int, late: float | None
) -> RerankError:
    """Returns the error for an outcome that is not a success.

    Args:
        outcome: What came of the last request.
        endpoint: Where the request was sent.
        hidden: What the message must not show.
        attempts: The requests that were made.
        late: The call's deadline in seconds, if it ended the retries.
    """
    name = endpoint.provider.name
    after = f" after {attempts} attempts" if attempts > 1 else ""
    over = f"; the deadline of {late:g} s leaves no time for more" if late is not None else ""
    if isinstance(outcome, TransportFailure):
        reason = (
            outcome.reason
            if outcome.timed_out
            else redact_error_body(outcome.reason.encode(), hidden.texts, hidden.secrets)
        )
        if outcome.timed_out:
            error = RerankTimeoutError if late is None else DeadlineExceededError
            return error(f"no reply from {name} in time{after}: {reason}{over}", provider=name)
        if not outcome.retryable:
            return MalformedResponseError(f"what {name} answered cannot be used{after}: {reason}", provider=name)
        return RerankConnectionError(f"no reply from {name}{after}: {reason}{over}", provider=name)
    provider = endpoint.provider
    verdict = classify(outcome, provider)
    kind = provider_error(outcome, provider) or (
        RequestTooLargeError if verdict.too_large else error_class(outcome.status)
    )
    said = redact_error_body(outcome.content, hidden.texts, hidden.secrets)
    wait = verdict.retry_after
    return kind(
        f"{name} answered {outcome.status}{after}"
        + (f": {said}" if said else "")
        + (f"; {advice}" if (advice := _advice(outcome.status, endpoint)) else "")
        + (f"; it asks to wait {wait:g} s" if wait is not None else "")
        + over,
        status=outcome.status,
        provider=name,
        request_id=request_id(outcome, endpoint, hidden),
        retry_after=wait,
        code=_code(outcome, hidden),
    )


def _code(response: Response, hidden: Sensitive) -> str | None:
    """The vendor's own code of a failure."""
    return _shown(vendor_error_type(response) or error_code(response.content, response.status), hidden)


def malformed_error(
    problem: MalformedResponseError, response: Response, endpoint: Endpoint, hidden: Sensitive
) -> MalformedResponseError:
    """Return the error for a success that holds no usable ranking."""
    said = redact_error_body(response.content, hidden.texts, hidden.secrets) if response.content[:1] == b"{" else ""
    return MalformedResponseError(
        f"{endpoint.provider.name} answered {response.status}, but {problem}" + (f"; it says: {said}" if said else ""),
        status=response.status,
        provider=endpoint.provider.name,
        request_id=request_id(response, endpoint, hidden),
    )


def request_id(response: Response, endpoint: Endpoint, hidden: Sensitive) -> str | None:
    """The API's id of a request, from the response's headers, or from the body of a failure."""
    found = next(filter(None, map(response.headers.get, endpoint.provider.request_id_headers)), None)
    if found is None and response.status >= 300:
        found = error_id(response.content)
    return _shown(found, hidden)


def _shown(word: str | None, hidden: Sensitive) -> str | None:
    """A word of the server's, as it may be shown; none if it is empty, or has a secret or a text in it."""
    if (
        not word
        or any(secret in word for secret in hidden.secrets)
        or any(text in word for text in hidden.texts if text)
    ):
        return None
    return "".join(filter(str.isprintable, word))[:128]


def _advice(status: int, endpoint: Endpoint) -> str:
    """The remedy, where the status alone tells it."""
    if 300 <= status < 400:
        return "redirects are not followed, for the key would go along: set base_url to the final address"
    if status == 401:
        sources = " or ".join(("api_key=", *endpoint.provider.api_key_env))
        return f"check the key ({sources})"
    if status in (404, 410):
        which = f"model {endpoint.model!r}" if endpoint.model else "the model"
        return f"{which} or the endpoint is not available to this key: check the id, letter case included, and base_url"
    if status == 413:
        return "send fewer or shorter documents"
    return ""
