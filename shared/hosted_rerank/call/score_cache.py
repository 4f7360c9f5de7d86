"""Scores that need not be asked for: a cache of pairs of a query and a text, and of those that are being asked for now.

A cache maps a key to a score. The key of a pair is the hexadecimal BLAKE2b (20 bytes) of a JSON array, in UTF-8 and
without spaces, of the provider's name, the API's address, the model, the instruction, the other fields of the request
as an object with sorted names, the query and the text, in this order. It holds for the API's own scores, before any
`score_transform`. Two calls that miss the same pair at once ask for it once: the later one waits for the earlier one.
"""

import hashlib
import logging
import os
import threading
from collections.abc import Iterable, MutableMapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeAlias

import orjson

from hosted_rerank.call.batching import Plan

logger = logging.getLogger("hosted_rerank")

Cache: TypeAlias = MutableMapping[str, float]
"""A dict, `cachetools.TTLCache`, `diskcache.Cache`, ..."""


class _Asking:
    """What the process is asking for."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin with nothing: new, or in a forked child, where nobody waits for the answers to the parent."""
        self.lock = threading.RLock()  # the collector may end a call, which releases its pairs, within another one
        """Held while a cache is used, for few caches are made for several threads, and while `pairs` changes."""
        self.pairs: dict[tuple[int, str], Future[float | None]] = {}
        """The pairs that are being asked for, by cache; `None` comes out where there was no answer."""


_ASKING = _Asking()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_ASKING.begin)


def cache_keys(plan: Plan) -> list[str]:
    """Return the cache's keys of the texts of a plan.

    Raises:
        InvalidRequestError: A text is no Unicode, or an option no JSON.
    """
    endpoint, call = plan.endpoint, plan.call
    fields = {**endpoint.options, **endpoint.extra_body}
    about = [endpoint.provider.name, endpoint.url, endpoint.model, call.instruction, fields, call.query]
    keys: list[str] = []
    try:
        start = hashlib.blake2b(orjson.dumps(about, option=orjson.OPT_SORT_KEYS)[:-1] + b",", digest_size=20)
        for text in plan.texts:
            pair = start.copy()
            pair.update(orjson.dumps(text) + b"]")
            keys.append(pair.hexdigest())
    except TypeError:  # what orjson's own error is
        raise plan.unsendable(range(len(plan.texts))) from None
    return keys


@dataclass(slots=True)
class ScoreCache:
    """The pairs of one call: which are known, which it asks for, and which another call is asking for."""

    cache: Cache
    keys: Sequence[str]
    known: dict[int, float] = field(default_factory=dict[int, float])
    """Scores that came from the cache or from another call, by row."""
    own: set[int] = field(default_factory=set[int])
    """Rows that this call asks for."""
    others: dict[int, "Future[float | None]"] = field(default_factory=dict[int, "Future[float | None]"])
    """Rows that other calls are asking for."""

    def claim(self, rows: Iterable[int]) -> list[int]:
        """Look rows up, and return those that this call has to ask for."""
        with _ASKING.lock:
            for row in rows:
                key = self.keys[row]
                score = self._read(key)
                if score is not None:
                    self.known[row] = score
                elif (asked := _ASKING.pairs.get((id(self.cache), key))) is not None:
                    self.others[row] = asked
                else:
                    self.own.add(row)
                    _ASKING.pairs[id(self.cache), key] = future = Future[float | None]()
                    future.set_running_or_notify_cancel()  # so that nobody who waits can cancel it
        return sorted(self.own)

    def store(self, scores: Iterable[tuple[int, float]]) -> None:
        """Put scores into the cache, and give them to who waits for them."""
        with _ASKING.lock:
            for row, score in scores:
                self._write(self.keys[row], score)
                self._done(row, score)

    def release(self, rows: Iterable[int] | None = None) -> None:
        """Let others ask for what this call gets no answer to: so many rows, or all that are left."""
        with _ASKING.lock:
            for row in list(self.own) if rows is None else rows:
                self._done(row, None)

    def pending(self) -> list[int]:
        """Take out the rows that other calls have no answer to yet."""
        late = [row for row, future in self.others.items() if not future.done()]
        for row in late:
            del self.others[row]
        return late

    def collect(self) -> list[int]:
        """Take what others got, and return what this call has to ask for now, for they got nothing."""
        missing: list[int] = []
        for row, future in self.others.items():
            score = future.result()
            if score is None:
                missing.append(row)
            else:
                self.known[row] = score
        self.others = {}
        return self.claim(missing)

    def _done(self, row: int, score: float | None) -> None:
        if row in self.own:
            self.own.discard(row)
            if future := _ASKING.pairs.pop((id(self.cache), self.keys[row]), None):  # none in a forked child
                future.set_result(score)

    def _read(self, key: str) -> float | None:
        try:
            score: Any = self.cache.get(key)
        except Exception as problem:  # noqa: BLE001 - a cache that fails must not fail the rerank
            logger.warning("The cache cannot be read: %s", type(problem).__name__)
            return None
        return score if type(score) in (float, int) and isfinite(score) else None

    def _write(self, key: str, score: float) -> None:
        try:
            self.cache[key] = score
        except Exception as problem:  # noqa: BLE001 - likewise
            logger.warning("The cache cannot be written: %s", type(problem).__name__)


def check_cache(cache: object) -> None:
    """Refuse what cannot be a cache."""
    lacking = [name for name in ("get", "__getitem__", "__setitem__") if not hasattr(cache, name)]
    if cache is not None and lacking:
        raise TypeError(f"cache must be a MutableMapping[str, float], such as a dict, not {type(cache).__name__}")
