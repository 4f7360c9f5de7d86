"""Classifies an outcome, without effects: a success, retryable, throttled, an outage, or too large."""

import re
from dataclasses import dataclass

from hosted_rerank.errors import RateLimitError, RequestTooLargeError, RerankError, ServerError
from hosted_rerank.limits.retry import THROTTLING_STATUSES, Quota, is_retryable, quota, retry_after
from hosted_rerank.providers.provider import Provider
from hosted_rerank.wire import Outcome, Response, TransportFailure

_BYTES_SEARCHED = 1 << 14
"""Bytes of an error's body that are searched for a phrase."""


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
    too_large: bool = False
    """Whether a request with fewer documents may succeed."""
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
        reason = "a timeout" if outcome.timed_out else "no response"
        sign = reason if outcome.retryable and not outcome.unsent else None
        return Verdict(False, reason, retryable=outcome.retryable, outage=sign, timed_out=outcome.timed_out)
    status, reason = outcome.status, f"status {outcome.status}"
    if 200 <= status < 300:
        return Verdict(True, reason, answered=True, quota=quota(outcome.headers))
    error = provider_error(outcome, provider)
    permanent = error is not None and not issubclass(error, (RateLimitError, ServerError))
    throttled = status in THROTTLING_STATUSES and not permanent
    outage = (status >= 500 or status == 408) and not (permanent or throttled)
    return Verdict(
        False,
        reason,
        retryable=not permanent and is_retryable(outcome),
        throttled=throttled,
        overloaded=status != 429,
        answered=not (throttled or outage),
        outage=reason if outage else None,
        too_large=error is RequestTooLargeError
        or (error is None and (status == 413 or is_too_many_documents(outcome))),
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


_TOO_MANY = re.compile(
    r"too many (documents|texts|inputs|passages|records|items)"
    r"|batch size|at most \d+ (documents|texts|inputs|passages|records|items)"
    r"|(documents|texts|inputs|passages|records|items)\b.{0,40}(\bat most|exceed|maximum|limit|more than|larger than)"
    r"|(maximum|max|limit|more than).{0,40}\b(documents|texts|inputs|passages|records|items)\b",
    re.IGNORECASE | re.DOTALL,
)
_OVERLONG = re.compile(
    r"context.{0,10}(length|window)|too long|too large to process|max.{0,5}model.{0,5}len"
    r"|(maximum|max|exceed).{0,40}tokens|tokens.{0,40}(maximum|limit|exceed)",
    re.IGNORECASE | re.DOTALL,
)


def is_too_many_documents(response: Response) -> bool:
    """Returns whether an error says that the request has too many documents."""
    return response.status in (400, 422) and bool(_TOO_MANY.search(_beginning(response)))


def is_overlong(response: Response) -> bool:
    """Returns whether an error says that a text is longer than the model reads."""
    if response.status not in (400, 413, 422, 500) or is_too_many_documents(response):
        return False
    return bool(_OVERLONG.search(_beginning(response)))


def _beginning(response: Response) -> str:
    """Returns the part of the body that is searched."""
    return response.content[:_BYTES_SEARCHED].decode("utf-8", "replace")
