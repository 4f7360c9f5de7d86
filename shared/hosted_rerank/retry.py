"""When to ask again, and after how long: a pure decision from what came back.

The evidence, strongest first: `x-should-retry` and `retry-after-ms` (what the Stainless-built SDKs of many vendors
obey), `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3), then exponential backoff with jitter.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from hosted_rerank.wire import Lost, Outcome

TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, *range(520, 525), 529})
"""Statuses of what may pass: 520 to 524 are Cloudflare's, 529 says overloaded."""


@dataclass(frozen=True, slots=True)
class Retry:
    """A policy for one request."""

    max_retries: int = 2
    """Requests after the first."""
    first_wait: float = 0.5
    """Seconds before the first retry where the server gives no hint; doubled each time."""
    longest_wait: float = 60.0
    """Seconds of one wait. A server that asks for more is not asked again: the caller learns `retry_after`."""
    longest_sum: float = 120.0
    """Seconds of all waits of a request together."""

    def wait(self, outcome: Outcome, retries: int, waited: float, chance: float) -> float | None:
        """Return the seconds to wait before asking again, or `None` to give up.

        Args:
            outcome: What came of the last request; not a success.
            retries: Retries made so far.
            waited: Seconds waited so far.
            chance: A random number from 0 to 1, for the jitter.
        """
        if retries >= self.max_retries or not passes(outcome):
            return None
        hint = None if isinstance(outcome, Lost) else retry_after(outcome.headers)
        if hint is None:
            wait = min(self.first_wait * 2.0 ** min(retries, 30), self.longest_wait) * (0.5 + chance / 2)
        elif hint <= self.longest_wait:  # never earlier than asked, and not everybody at the same moment
            wait = min(hint * (1 + chance / 10), self.longest_wait)
        else:
            return None
        return wait if waited + wait <= self.longest_sum else None


def passes(outcome: Outcome) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(outcome, Lost):
        return not outcome.final
    verdict = outcome.headers.get("x-should-retry", "").strip().lower()
    if verdict in ("true", "false"):
        return verdict == "true"
    return outcome.status in TRANSIENT


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait, `None` if it does not say or what it says makes no sense.

    A date counts from the reply's own `date`, so that a wrong clock on either side does not matter.
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
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _date(value: str) -> float | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
