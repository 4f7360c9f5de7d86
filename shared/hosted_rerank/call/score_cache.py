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
from hosted_rerank.wire import TextIndex

logger = logging.getLogger("hosted_rerank")

Cache: TypeAlias = MutableMapping[str, float]
"""A dict, `cachetools.TTLCache`, `diskcache.Cache`, ..."""


class _PairsInFlight:
    """What the process is asking for."""

    def __init__(self) -> None:
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Begin with nothing: new, or in a forked child, where nobody waits for the answers to the parent."""
        self.lock = threading.RLock()  # the collector may end a call, which releases its pairs, within another one
        """Held while a cache is used, for few caches are made for several threads, and while `pairs` changes."""
        self.pairs: dict[tuple[int, str], Future[float | None]] = {}
        """The pairs that are being asked for, by cache; `None` comes out where there was no answer."""


_IN_FLIGHT = _PairsInFlight()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_IN_FLIGHT.reset_after_fork)


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
        raise plan.unsendable(plan.all_texts) from None
    return keys


@dataclass(slots=True)
class ScoreCache:
    """The pairs of one call: which are cached_scores, which it asks for, and which another call is asking for."""

    cache: Cache
    keys: Sequence[str]
    cached_scores: dict[TextIndex, float] = field(default_factory=dict[TextIndex, float])
    """Scores that came from the cache or from another call, by index."""
    leading: set[TextIndex] = field(default_factory=set[TextIndex])
    """Rows that this call asks for."""
    following: dict[TextIndex, "Future[float | None]"] = field(default_factory=dict[TextIndex, "Future[float | None]"])
    """Rows that other calls are asking for."""

    def claim_leadership(self, text_indices: Iterable[TextIndex]) -> list[TextIndex]:
        """Look text_indices up, and return those that this call has to ask for."""
        with _IN_FLIGHT.lock:
            for index in text_indices:
                key = self.keys[index]
                score = self._read(key)
                if score is not None:
                    self.cached_scores[index] = score
                elif (asked := _IN_FLIGHT.pairs.get((id(self.cache), key))) is not None:
                    self.following[index] = asked
                else:
                    self.leading.add(index)
                    _IN_FLIGHT.pairs[id(self.cache), key] = future = Future[float | None]()
                    future.set_running_or_notify_cancel()  # so that nobody who waits can cancel it
        return sorted(self.leading)

    def store(self, scores: Iterable[tuple[TextIndex, float]]) -> None:
        """Put scores into the cache, and give them to who waits for them."""
        with _IN_FLIGHT.lock:
            for index, score in scores:
                self._write(self.keys[index], score)
                self._done(index, score)

    def release(self, text_indices: Iterable[TextIndex] | None = None) -> None:
        """Let others ask for what this call gets no answer to: so many text_indices, or all that are left."""
        with _IN_FLIGHT.lock:
            for index in list(self.leading) if text_indices is None else text_indices:
                self._done(index, None)

    def pending(self) -> list[TextIndex]:
        """Take out the text_indices that other calls have no answer to yet."""
        late = [index for index, future in self.following.items() if not future.done()]
        for index in late:
            del self.following[index]
        return late

    def collect_followed(self) -> list[TextIndex]:
        """Take what others got, and return what this call has to ask for now, for they got nothing."""
        missing: list[TextIndex] = []
        for index, future in self.following.items():
            score = future.result()
            if score is None:
                missing.append(index)
            else:
                self.cached_scores[index] = score
        self.following = {}
        return self.claim_leadership(missing)

    def _done(self, index: int, score: float | None) -> None:
        if index in self.leading:
            self.leading.discard(index)
            if future := _IN_FLIGHT.pairs.pop((id(self.cache), self.keys[index]), None):  # none in a forked child
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
