"""The error for what came back, in words that say what happened and what to do."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from hosted_rerank.call.redaction import error_code, error_id, redact_error_body
from hosted_rerank.errors import (
    DeadlineExceededError,
    MalformedResponseError,
    RateLimitError,
    RequestTooLargeError,
    RerankConnectionError,
    RerankError,
    RerankTimeoutError,
    ServerError,
    error_class,
)
from hosted_rerank.limits.retry import retry_after
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.wire import Outcome, Reply, TransportFailure

_READ = 1 << 14
"""Bytes of a failure's body that are searched for a phrase."""


@dataclass(frozen=True, slots=True)
class Sensitive:
    """What went along with a request and must not come back in an error."""

    secrets: Sequence[str] = field(repr=False)
    texts: Sequence[str] = field(repr=False)
    """Query, instruction and documents."""


def failure(
    outcome: Outcome, endpoint: Endpoint, *, hidden: Sensitive, attempts: int, late: float | None
) -> RerankError:
    """Return the error for an outcome that is no success.

    Args:
        outcome: What came of the last request.
        endpoint: Who was asked.
        hidden: What no message may show.
        attempts: The requests made.
        late: The call's deadline in seconds, if it is what ended the retries.
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
        if outcome.final:
            return MalformedResponseError(f"what {name} answered cannot be used{after}: {reason}", provider=name)
        return RerankConnectionError(f"no reply from {name}{after}: {reason}{over}", provider=name)
    kind = _own_kind(outcome, endpoint) or (
        RequestTooLargeError if is_too_many(outcome) else error_class(outcome.status)
    )
    said = redact_error_body(outcome.content, hidden.texts, hidden.secrets)
    wait = retry_after(outcome.headers)
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


def is_too_many(reply: Reply) -> bool:
    """Whether a failure says that the request has too many documents."""
    return reply.status in (400, 422) and bool(_TOO_MANY.search(_said(reply)))


def is_overlong(reply: Reply) -> bool:
    """Whether a failure says that a text is longer than the model reads."""
    return reply.status in (400, 413, 422, 500) and not is_too_many(reply) and bool(_OVERLONG.search(_said(reply)))


def _said(reply: Reply) -> str:
    """The beginning of a failure's body."""
    return reply.content[:_READ].decode("utf-8", "replace")


def is_lasting(reply: Reply, endpoint: Endpoint) -> bool:
    """Whether the provider's row says that a failure will not pass, whatever its status says."""
    kind = _own_kind(reply, endpoint)
    return kind is not None and not issubclass(kind, (RateLimitError, ServerError))


def _own_kind(reply: Reply, endpoint: Endpoint) -> type[RerankError] | None:
    """The error that the provider's row has for a failure."""
    kinds = endpoint.provider.errors
    phrases = [phrase for phrase in kinds if isinstance(phrase, str)]
    said = f"{_errortype(reply)} {_said(reply)}".lower() if phrases else ""
    phrase = next((phrase for phrase in phrases if phrase.lower() in said), None)
    return kinds.get(reply.status if phrase is None else phrase)


def _code(reply: Reply, hidden: Sensitive) -> str | None:
    """The vendor's own code of a failure."""
    return _shown(_errortype(reply) or error_code(reply.content, reply.status), hidden)


def _errortype(reply: Reply) -> str:
    """AWS' code of a failure, which stands in a header."""
    return reply.headers.get("x-amzn-errortype", "").partition(":")[0]


def malformed(
    problem: MalformedResponseError, reply: Reply, endpoint: Endpoint, hidden: Sensitive
) -> MalformedResponseError:
    """Return the error for a success that holds no usable ranking."""
    said = redact_error_body(reply.content, hidden.texts, hidden.secrets) if reply.content[:1] == b"{" else ""
    return MalformedResponseError(
        f"{endpoint.provider.name} answered {reply.status}, but {problem}" + (f"; it says: {said}" if said else ""),
        status=reply.status,
        provider=endpoint.provider.name,
        request_id=request_id(reply, endpoint, hidden),
    )


def request_id(reply: Reply, endpoint: Endpoint, hidden: Sensitive) -> str | None:
    """The API's id of a request, from the reply's headers, or from the body of a failure."""
    found = next(filter(None, map(reply.headers.get, endpoint.provider.request_id_headers)), None)
    if found is None and reply.status >= 300:
        found = error_id(reply.content)
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
