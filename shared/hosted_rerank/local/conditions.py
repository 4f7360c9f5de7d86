"""Conditions that the local server simulates: latency, a rate limit and faults.

They show how a pipeline behaves during an outage before a provider has one.
"""

import math
import random
import re
import time
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from hosted_rerank.local.apis import ApiRequest
from hosted_rerank.local.model import Scores, ScoringCancelled

Fault: TypeAlias = int | str
"""An HTTP status, "reset" (the connection breaks without a response) or "truncated" (in the middle of the response)."""

GROWTH_PERIOD, GROWTH_FACTOR, GROWTH_USE = 3.0, 1.2, 0.8
"""A growing limit: after each period in seconds the rate is multiplied by the factor if this share of it was used, and
divided by it if not. Some providers do this every quarter of an hour."""
MAX_GROWTH = 20.0
"""The highest rate of a growing limit, as a multiple of its first rate."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, None: 1.0, "min": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Returns the seconds in a text such as "100ms", "2s" or "0.5".

    Raises:
        ValueError: The text is not a duration.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write 100ms, 2s or 1min")
    return float(match[1]) * _SECONDS[match[2]]


def parse_rate(text: str) -> float:
    """Returns the requests per second in a text such as "60/min" or "50/s".

    Raises:
        ValueError: The text is not a rate.
    """
    count, _, period = text.strip().partition("/")
    if period not in _SECONDS or not period or not re.fullmatch(r"\d+(\.\d+)?", count) or not float(count):
        raise ValueError(f"{text!r} is not a rate: write 60/min or 50/s")
    return float(count) / _SECONDS[period]


def parse_faults(text: str) -> dict[Fault, float]:
    """Returns the probability of each fault in a text such as "429=0.05,reset=0.01".

    Raises:
        ValueError: The text is not a list of faults, or the probabilities add up to more than 1.
    """
    chances: dict[Fault, float] = {}
    for part in filter(None, text.split(",")):
        name, _, chance = part.strip().partition("=")
        known = name in ("reset", "truncated") or (name.isdecimal() and 400 <= int(name) < 600)
        if not known or not re.fullmatch(r"[01]?\.?\d+", chance) or not 0 <= float(chance) <= 1:
            raise ValueError(f"{part!r} is not a fault: write 429=0.05, reset=0.01 or truncated=0.01")
        chances[int(name) if name.isdecimal() else name] = float(chance)
    if sum(chances.values()) > 1:
        raise ValueError("the probabilities of faults add up to more than 1")
    return chances


class RateLimit:
    """A rate limit: a token bucket that fills at a rate, up to a burst.

    Args:
        rate: Requests per second.
        burst: Requests at once; `None` for as many as `rate`, at least 1.
        growing: Whether the rate grows with its use.
    """

    def __init__(self, rate: float, burst: float | None = None, *, growing: bool = False) -> None:
        self.rate = rate
        """Requests per second."""
        self._burst = max(1.0, rate if burst is None else burst)
        self._first, self._growing = rate, growing
        self._left, self._at = self._burst, -math.inf
        self._period, self._used = -math.inf, 0

    def take(self, now: float) -> float:
        """Takes one request from the bucket, and returns 0, or the seconds until there is one.

        Args:
            now: The value of `time.monotonic()`.
        """
        if self._at == -math.inf:
            self._at = self._period = now
        self._left = min(self._burst, self._left + (now - self._at) * self.rate)
        self._at = now
        while self._growing and now >= self._period + GROWTH_PERIOD:
            self._grow()
        if self._left < 1:
            return (1 - self._left) / self.rate
        self._left -= 1
        self._used += 1
        return 0.0

    def _grow(self) -> None:
        grows = self._used >= GROWTH_USE * self.rate * GROWTH_PERIOD
        self.rate = min(
            max(self.rate * (GROWTH_FACTOR if grows else 1 / GROWTH_FACTOR), self._first), self._first * MAX_GROWTH
        )
        self._burst = max(self._burst, self.rate)
        self._period, self._used = self._period + GROWTH_PERIOD, 0


class TooManyDocuments(ScoringCancelled):
    """A request has more documents than the conditions allow."""


def score_by_hash(query: str, texts: Sequence[str]) -> Scores:
    """Returns scores by a hash of each pair, which are fast and have no meaning; a pair always has the same score."""
    start = zlib.crc32(query.encode("utf-8", "replace"))
    scores = tuple(zlib.crc32(text.encode("utf-8", "replace"), start) / 2**32 for text in texts)
    return Scores(scores, sum(map(len, texts)) // 4 + len(query) // 4 * len(texts))


@dataclass
class Conditions:
    """The conditions of the server. The defaults have no latency, no limit and no faults."""

    latency: float = 0.0
    """The shortest time of a response in seconds."""
    jitter: float = 0.0
    """The largest random addition to `latency`, in seconds."""
    limit: RateLimit | None = None
    """The rate limit; requests above it get a 429 with `Retry-After`."""
    read_timeout: float = 30.0
    """The seconds within which a request must be complete; later it gets a 408, or its connection is closed."""
    max_documents: int | None = None
    """The largest number of documents in a request; a request with more gets a 413."""
    faults: Mapping[Fault, float] = field(default_factory=dict[Fault, float])
    """The probability of each fault."""
    score: Callable[[str, Sequence[str]], Scores] | None = None
    """Returns the scores of texts for a query; `None` for the embedded model."""
    on_request: Callable[[ApiRequest], None] | None = None
    """Is called with each request."""
    seed: int | None = None
    """The seed of the random numbers; `None` for another one in each run."""
    next_faults: deque[tuple[Fault, float | None]] = field(default_factory=deque[tuple[Fault, float | None]])
    """The faults of the next requests, each with the seconds in its `Retry-After`; they precede random faults."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - a simulation, not a secret

    def draw_latency(self) -> float:
        """Returns the time of this response in seconds."""
        return self.latency + (self._random.random() * self.jitter if self.jitter else 0.0)

    def draw_fault(self) -> tuple[Fault, float | None] | None:
        """Returns the fault of this request and the seconds in its `Retry-After`, or `None` for no fault."""
        if self.next_faults:
            return self.next_faults.popleft()
        if self.limit is not None and (wait := self.limit.take(time.monotonic())):
            return 429, math.ceil(wait)
        drawn = self._random.random() if self.faults else 1.0
        for fault, probability in self.faults.items():
            if drawn < probability:
                return fault, None
            drawn -= probability
        return None

    def check_documents(self, documents: int) -> None:
        """Raises `TooManyDocuments` if a request has more documents than `max_documents`."""
        if self.max_documents is not None and documents > self.max_documents:
            raise TooManyDocuments
