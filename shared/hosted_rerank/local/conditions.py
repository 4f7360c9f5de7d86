"""A bad day for the local server: how slow it is, how often it may be asked, and what goes wrong.

It shows how a pipeline behaves on such a day before a vendor has one.
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

from hosted_rerank.local.apis import Call
from hosted_rerank.local.model import Scores, ScoringCancelled

Fault: TypeAlias = int | str
"""An HTTP status, "reset" (the connection breaks without a reply) or "truncated" (in the midst of the reply)."""

PERIOD, GROWTH, USED = 3.0, 1.2, 0.8
"""A growing limit: after each period of so many seconds it is multiplied so, if so much of it was used, and else
divided; some vendors do this every quarter of an hour."""
MOST_GROWTH = 20.0
"""How many times its first value a growing limit reaches."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, None: 1.0, "min": 60.0, "h": 3600.0}


def duration(text: str) -> float:
    """Return the seconds that a text such as "100ms", "2s" or "0.5" says.

    Raises:
        ValueError: It says none.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no duration: write 100ms, 2s or 1min")
    return float(found[1]) * _SECONDS[found[2]]


def rate(text: str) -> float:
    """Return the requests a second that a text such as "60/min" or "50/s" says.

    Raises:
        ValueError: It says none.
    """
    count, _, period = text.strip().partition("/")
    if period not in _SECONDS or not period or not re.fullmatch(r"\d+(\.\d+)?", count) or not float(count):
        raise ValueError(f"{text!r} is no rate: write 60/min or 50/s")
    return float(count) / _SECONDS[period]


def faults(text: str) -> dict[Fault, float]:
    """Return the chances of faults that a text such as "429=0.05,reset=0.01" says.

    Raises:
        ValueError: It says none.
    """
    chances: dict[Fault, float] = {}
    for part in filter(None, text.split(",")):
        name, _, chance = part.strip().partition("=")
        known = name in ("reset", "truncated") or (name.isdecimal() and 400 <= int(name) < 600)
        if not known or not re.fullmatch(r"[01]?\.?\d+", chance) or not 0 <= float(chance) <= 1:
            raise ValueError(f"{part!r} is no fault: write 429=0.05, reset=0.01 or truncated=0.01")
        chances[int(name) if name.isdecimal() else name] = float(chance)
    if sum(chances.values()) > 1:
        raise ValueError("the chances of faults are more than 1 together")
    return chances


class Limit:
    """A limit on requests: a bucket that fills at a rate, up to a burst."""

    def __init__(self, rate: float, burst: float | None = None, *, growing: bool = False) -> None:
        self.rate = rate
        """Requests a second."""
        self._burst = max(1.0, rate if burst is None else burst)
        self._first, self._growing = rate, growing
        self._left, self._at = self._burst, -math.inf
        self._period, self._used = -math.inf, 0

    def take(self, now: float) -> float:
        """Take one request from the bucket: return 0, or the seconds until there is one."""
        if self._at == -math.inf:
            self._at = self._period = now
        self._left = min(self._burst, self._left + (now - self._at) * self.rate)
        self._at = now
        while self._growing and now >= self._period + PERIOD:
            self._grow()
        if self._left < 1:
            return (1 - self._left) / self.rate
        self._left -= 1
        self._used += 1
        return 0.0

    def _grow(self) -> None:
        much = self._used >= USED * self.rate * PERIOD
        self.rate = min(max(self.rate * (GROWTH if much else 1 / GROWTH), self._first), self._first * MOST_GROWTH)
        self._burst = max(self._burst, self.rate)
        self._period, self._used = self._period + PERIOD, 0


class TooManyDocuments(ScoringCancelled):
    """A request has more documents than it may have."""


def instant(query: str, texts: Sequence[str]) -> Scores:
    """Score by a hash, which costs nothing and tells nothing; the same pair always scores the same."""
    start = zlib.crc32(query.encode("utf-8", "replace"))
    scores = tuple(zlib.crc32(text.encode("utf-8", "replace"), start) / 2**32 for text in texts)
    return Scores(scores, sum(map(len, texts)) // 4 + len(query) // 4 * len(texts))


@dataclass
class Conditions:
    """What the server is like. The defaults are a good day."""

    latency: float = 0.0
    """Seconds that an answer takes at least."""
    jitter: float = 0.0
    """Seconds that it takes more, by chance, at most."""
    limit: Limit | None = None
    """What is more is refused with 429 and `Retry-After`."""
    max_documents: int | None = None
    """Documents of a request; more are refused with 413."""
    faults: Mapping[Fault, float] = field(default_factory=dict[Fault, float])
    """How often what goes wrong."""
    score: Callable[[str, Sequence[str]], Scores] | None = None
    """What scores a query and texts; `None` for the embedded model."""
    watch: Callable[[Call], None] | None = None
    """Is told of each request."""
    seed: int | None = None
    """Of the chances."""
    next: deque[tuple[Fault, float | None]] = field(default_factory=deque[tuple[Fault, float | None]])
    """What the next requests come to, each with the seconds of its `Retry-After`; before any chance."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - a game, no secret

    def wait(self) -> float:
        """Return the seconds that this answer takes."""
        return self.latency + (self._random.random() * self.jitter if self.jitter else 0.0)

    def fault(self) -> tuple[Fault, float | None] | None:
        """Return what goes wrong with this request, and the seconds of its `Retry-After`; `None` if nothing does."""
        if self.next:
            return self.next.popleft()
        if self.limit is not None and (wait := self.limit.take(time.monotonic())):
            return 429, math.ceil(wait)
        chance = self._random.random() if self.faults else 1.0
        for fault, share in self.faults.items():
            if chance < share:
                return fault, None
            chance -= share
        return None

    def check(self, documents: int) -> None:
        """Refuse what is too much for one request."""
        if self.max_documents is not None and documents > self.max_documents:
            raise TooManyDocuments
