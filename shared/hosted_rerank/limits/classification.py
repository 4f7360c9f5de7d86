"""Classifies an outcome, without effects: a success, retryable, throttled, an outage, or too large."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from hosted_rerank.errors import RateLimitError, RequestTooLargeError, RerankError, ServerError, SizeRefusal
from hosted_rerank.limits.retry import THROTTLING_STATUSES, Quota, is_retryable, quota, retry_after
from hosted_rerank.providers.json_path import at, parse
from hosted_rerank.providers.provider import Provider
from hosted_rerank.providers.size_errors import find_size_refusal
from hosted_rerank.wire import Outcome, Response, TransportFailure

_BYTES_SEARCHED = 1 << 14
"""Bytes of an error's body that are searched for a phrase."""
_MAX_JSON = 4 << 20
"""Maximum bytes of a body that is parsed as JSON."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The classification of an outcome."""

    success: bool
    reason: str
    """The outcome in words, without any text of the server."""
    retryable: bool = False
    """Whether the same request may succeed later."""
    throttled: bool = False
    """Whether the API gets too many requests, from this account or from all."""
    overloaded: bool = False
    """Whether the service as a whole is overloaded, which says nothing about the account's rate."""
    answered: bool = False
    """Whether the service works: it responded, if only that the request is wrong."""
    outage: str | None = None
    """The sign of an outage, in words; `None` without one. A throttled request is none: the queue handles it."""
    timed_out: bool = False
    """Whether there was no response within the caller's `timeout` or `deadline`."""
    too_large: SizeRefusal | None = None
    """What the API says about the size of the request; `None` if the size is not the problem."""
    retry_after: float | None = None
    """Seconds that the API asks to wait; `None` if it states none."""
    quota: Quota | None = None
    """The rest of a limit, if the API states it."""


def classify(outcome: Outcome, provider: Provider) -> Verdict:
    """Returns the verdict on an outcome. It has no effect: the limiters record the verdict.

    Args:
        outcome: The outcome of an attempt.
        provider: The provider, whose errors may have other meanings than their statuses.
    """
    if isinstance(outcome, TransportFailure):
        if outcome.no_descriptors:  # fewer requests at once succeed
            return Verdict(False, "too many open files", retryable=True, throttled=True, overloaded=True)
        reason = "a timeout" if outcome.timed_out else "no response"
        sign = reason if outcome.retryable and not outcome.unsent else None
        return Verdict(False, reason, retryable=outcome.retryable, outage=sign, timed_out=outcome.timed_out)
    status, reason = outcome.status, f"status {outcome.status}"
    if 200 <= status < 300:
        return Verdict(True, reason, answered=True, quota=quota(outcome.headers))
    error = provider_error(outcome, provider)
    permanent = error is not None and not issubclass(error, (RateLimitError, ServerError))
    too_large = _size_refusal(outcome, provider, error)
    throttled = status in THROTTLING_STATUSES and not permanent
    outage = (status >= 500 or status == 408) and not (permanent or throttled)
    return Verdict(
        False,
        reason,
        retryable=not permanent and too_large is None and is_retryable(outcome),
        throttled=throttled,
        overloaded=status != 429,
        answered=not (throttled or outage),
        outage=reason if outage else None,
        too_large=too_large,
        retry_after=retry_after(outcome.headers),
        quota=quota(outcome.headers),
    )


def provider_error(response: Response, provider: Provider) -> type[RerankError] | None:
    """Returns the error class that the provider defines for a response, by phrase or by status; else `None`."""
    classes = provider.errors
    phrases = [phrase for phrase in classes if isinstance(phrase, str)]
    said = f"{vendor_error_type(response)} {_beginning(response)}".lower() if phrases else ""
    phrase = next((phrase for phrase in phrases if phrase.lower() in said), None)
    return classes.get(response.status if phrase is None else phrase)


def vendor_error_type(response: Response) -> str:
    """Returns the error code that AWS sends in a header."""
    return response.headers.get("x-amzn-errortype", "").partition(":")[0]


def _size_refusal(response: Response, provider: Provider, error: type[RerankError] | None) -> SizeRefusal | None:
    """Returns what an error says about the size of the request; `None` if its cause is another one."""
    if not (400 <= response.status < 500) or response.status in THROTTLING_STATUSES:
        return None
    if error not in (None, RequestTooLargeError):
        return None
    refusal = find_size_refusal(response.content, provider.size_errors)
    if refusal is None and response.status == 413:
        return SizeRefusal("bytes")
    return refusal or (SizeRefusal("documents") if error is RequestTooLargeError else None)


def error_in_success(response: Response) -> Response | None:
    """Returns a success whose body is an error as that error; `None` if the body states no status of an error.

    Args:
        response: A response without a complete ranking. Gateways answer 200 before they ask the API behind them.
    """
    body, _ = parse(response.content) if len(response.content) <= _MAX_JSON else (None, False)
    statuses = (_error_status(at(body, path)) for path in _STATUS_PATHS)
    status = next(filter(None, statuses), None)
    return None if status is None else replace(response, status=status)


def _error_status(code: Any) -> int | None:
    """Returns the HTTP status that an error code means: 429, "429", "NOT_FOUND"; `None` for any other code."""
    if isinstance(code, str):
        name = code[:64].upper().replace(" ", "_")
        code = int(name) if name.isdecimal() and len(name) == 3 else _STATUS_BY_NAME.get(name)
    return code if type(code) is int and 400 <= code < 600 else None


_STATUS_PATHS = (
    *("error.code", "error.status", "error.status_code", "error.type", "errors.0.code", "errors.0.status"),
    *("code", "status", "status_code", "statusCode", "error_code"),
)
_STATUS_BY_NAME: Mapping[str, int] = {
    **{status.name: status.value for status in HTTPStatus},
    **dict.fromkeys(("RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"), 429),  # OpenAI's name, and gRPC's
}

_OVERLONG = re.compile(
    r"context.{0,10}(length|window)|too long|too large to process|max.{0,5}model.{0,5}len"
    r"|(maximum|max|exceed).{0,40}tokens|tokens.{0,40}(maximum|limit|exceed)",
    re.IGNORECASE | re.DOTALL,
)


def is_overlong(response: Response) -> bool:
    """Returns whether an error says that a text is longer than the model reads."""
    return response.status in (400, 422, 500) and bool(_OVERLONG.search(_beginning(response)))


def _beginning(response: Response) -> str:
    """Returns the part of the body that is searched."""
    return response.content[:_BYTES_SEARCHED].decode("utf-8", "replace")
