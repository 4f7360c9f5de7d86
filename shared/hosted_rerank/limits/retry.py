"""Decides whether a request is retried, and after how long. The decision is pure.

It follows, in this order: `x-should-retry` and `retry-after-ms`, which the Stainless-built SDKs of many APIs obey;
`Retry-After` in seconds or as a date (RFC 9110, section 10.2.3); and exponential backoff with jitter.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from itertools import product

from hosted_rerank.wire import Outcome, TransportFailure

RETRYABLE_STATUSES = frozenset({408, 409, 425, 429, 500, 502, 503, 504, *range(520, 525), 529})
"""Statuses of temporary failures; 520 to 524 are Cloudflare's, 529 means overloaded."""

THROTTLING_STATUSES = frozenset({429, 503, 529})
"""Statuses that mean too many requests, from this account or from all."""

HINT_JITTER = 0.1
"""Maximum share of a wait that the API states by which the wait is lengthened."""
MAX_TRUSTED_HINTS = 3
"""Refusals after which a request waits at least for its backoff, because the API states too short waits."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The retry policy of one request; times in seconds."""

    max_retries: int = 2
    """Maximum number of retries after the first attempt. A throttled attempt that teaches the queue costs none."""
    backoff_initial: float = 0.5
    """Seconds before the first retry if the API states no wait; doubled before each further one."""
    backoff_max: float = 60.0
    """Maximum seconds of one wait. If the API asks for more, there is no retry: the error has `retry_after`."""
    max_total_backoff: float = 60.0
    """Seconds since the first throttled attempt of a request in which such attempts cost none of its retries."""

    def delay(self, outcome: Outcome, retries: int, jitter: float, *, refusals: int = 0) -> float | None:
        """Returns the seconds until the next attempt; `None` to give up.

        Args:
            outcome: The outcome of the last attempt, which did not succeed.
            retries: Retries made so far.
            jitter: A random number from 0 to 1, for the jitter.
            refusals: Throttled attempts so far that cost no retry.
        """
        if retries >= self.max_retries or not is_retryable(outcome):
            return None
        hint = None if isinstance(outcome, TransportFailure) else retry_after(outcome.headers)
        backoff = self.backoff(retries + min(refusals, 2), jitter)
        if hint is None:
            return backoff
        if hint > self.backoff_max:
            return None
        wait = min(hint * (1 + HINT_JITTER * jitter), self.backoff_max)  # never earlier than asked, and not all at once
        return wait if refusals < MAX_TRUSTED_HINTS else max(wait, backoff)

    def backoff(self, retries: int, jitter: float) -> float:
        """Returns the seconds to wait if the API states no wait: exponential backoff with jitter.

        Args:
            retries: Retries made so far.
            jitter: A random number from 0 to 1; 0 gives half of the backoff, 1 all of it.
        """
        return min(self.backoff_initial * 2.0 ** min(retries, 30), self.backoff_max) * (0.5 + jitter / 2)


def is_retryable(outcome: Outcome) -> bool:
    """Returns whether the same request may succeed later."""
    if isinstance(outcome, TransportFailure):
        return outcome.retryable
    verdict = outcome.headers.get("x-should-retry", "").strip().lower()
    if verdict in ("true", "false"):
        return verdict == "true"
    return outcome.status in RETRYABLE_STATUSES


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds that a server asks to wait; `None` if it states none, or an invalid value.

    A date counts from the response's own `date`, so that a wrong clock on either side does not matter.

    Args:
        headers: The headers of the response, names in lower case.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    then, now = _date(value), _date(headers.get("date", ""))
    return None if then is None or now is None else max(0.0, then - now)


def _number(value: str | None) -> float | None:
    """Returns a number that is finite and not negative; `None` for any other value."""
    if not value:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _date(value: str) -> float | None:
    """Returns a date as a Unix time in seconds; `None` if it is not valid."""
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


@dataclass(frozen=True, slots=True)
class Quota:
    """The rest of a limit, as the API states it."""

    left: int
    """Requests that may still be sent."""
    reset: float
    """Seconds until more requests may be sent."""


def quota(headers: Mapping[str, str]) -> Quota | None:
    """Returns the rest of a limit, as `x-ratelimit-*`, `ratelimit-*` or `ratelimit` state it; `None` without them.

    OpenAI introduced the first ones, drafts of the IETF the others: Cloudflare and Hugging Face send
    `ratelimit: "default";r=50;t=30`. A limit on tokens counts only when no token is left. A reset may have a unit
    ("900s", "6m0s", "20ms": Nebius and OpenAI), or be a Unix time in seconds or milliseconds.

    Args:
        headers: The headers of the response, names in lower case.
    """
    for prefix, kind in product(("x-ratelimit", "ratelimit"), ("-requests", "-tokens", "")):
        left = _number(headers.get(f"{prefix}-remaining{kind}"))
        if left is None or (kind == "-tokens" and left > 0):
            continue
        reset = _seconds(headers.get(f"{prefix}-reset{kind}", ""), headers.get("date", ""))
        if reset is not None:
            return Quota(int(left), reset)
    limits = [dict(_PARAMETER.findall(limit)) for limit in headers.get("ratelimit", "").split(",")]
    quotas = [Quota(int(limit["r"]), float(limit["t"])) for limit in limits if limit.keys() >= {"r", "t"}]
    return min(quotas, key=lambda each: each.left, default=None)


_PARAMETER = re.compile(r";\s*([rt])=(\d{1,9})(?![^;\s])")
"""What remains of a limit, or the seconds until its reset, in a `ratelimit` header."""
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _seconds(value: str, date: str) -> float | None:
    """Returns the seconds until a reset, which may be a number, a duration with units or a Unix time."""
    number = _number(value)
    if number is None:
        parts = re.findall(r"([0-9.]{1,16})(ms|s|m|h|d)", value)
        if not parts or "".join(amount + unit for amount, unit in parts) != value.replace(" ", ""):
            return None
        numbers = [(_number(amount), _UNITS[unit]) for amount, unit in parts]
        return sum((amount or 0.0) * unit for amount, unit in numbers)
    if number < 1e9:
        return number
    now = _date(date)
    return None if now is None else max(0.0, (number / 1000 if number > 1e11 else number) - now)
