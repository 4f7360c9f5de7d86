"""The cache of scores, and single flight: calls that need the same score at once request it once.

A cache maps a key to a score. The key of a query and a text is the hexadecimal BLAKE2b (20 bytes) of a JSON array, in
UTF-8 and without spaces: the provider's name, the API's URL, the model, the instruction, the other fields of the
request as an object with sorted names, the query and the text, in this order. The score is the API's own, before any
`score_transform`. A document of parts is an object in place of the text. Of two calls that miss the same key at once,
the first one is the leader and requests the score; the other one is a follower and waits for it.
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
from hosted_rerank.call.request_encoding import not_json_error
from hosted_rerank.providers.document_parts import Parts
from hosted_rerank.wire import TextIndex

logger = logging.getLogger("hosted_rerank")

Cache: TypeAlias = MutableMapping[str, float]
"""A dict, `cachetools.TTLCache`, `diskcache.Cache`, ..."""


class _SingleFlight:
    """The scores that calls of this process are requesting."""

    def __init__(self) -> None:
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Starts empty: in a forked child, no call waits for the requests of the parent."""
        self.lock = threading.RLock()  # the garbage collector may close a call while this thread holds the lock
        """Guards `futures`, and the caches themselves, because few of them are thread-safe."""
        self.futures: dict[tuple[int, str], Future[float | None]] = {}
        """The requested scores, by the id of the cache and the key; the result is `None` if the leader got no score."""


_SINGLE_FLIGHT = _SingleFlight()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_SINGLE_FLIGHT.reset_after_fork)


def cache_keys(plan: Plan) -> list[str]:
    """Returns the cache key of each text of a plan.

    Raises:
        InvalidRequestError: An option is not JSON.
    """
    endpoint, call = plan.endpoint, plan.call
    fields = {**endpoint.options, **endpoint.extra_body}
    common = [endpoint.provider.name, endpoint.url, endpoint.model, call.instruction, fields, call.query]
    keys: list[str] = []
    try:
        start = hashlib.blake2b(orjson.dumps(common, option=orjson.OPT_SORT_KEYS)[:-1] + b",", digest_size=20)
        for text in plan.texts:
            key = start.copy()
            key.update(orjson.dumps(text.parts if isinstance(text, Parts) else text) + b"]")
            keys.append(key.hexdigest())
    except TypeError:  # orjson's own error is one
        raise not_json_error(endpoint.provider.name) from None
    return keys


@dataclass(slots=True)
class ScoreCache:
    """The scores that one call needs: cached ones, and those that it or another call requests.

    Args:
        cache: The caller's cache.
        keys: The cache key of each text.
    """

    cache: Cache
    keys: Sequence[str]
    cached_scores: dict[TextIndex, float] = field(default_factory=dict[TextIndex, float])
    """The scores that came from the cache or from another call."""
    leading: set[TextIndex] = field(default_factory=set[TextIndex])
    """The texts whose scores this call requests."""
    following: dict[TextIndex, "Future[float | None]"] = field(default_factory=dict[TextIndex, "Future[float | None]"])
    """The texts whose scores another call requests, and the future score of each."""

    def claim_leadership(self, text_indices: Iterable[TextIndex]) -> list[TextIndex]:
        """Looks texts up, and returns those whose scores this call has to request."""
        with _SINGLE_FLIGHT.lock:
            for index in text_indices:
                key = self.keys[index]
                score = self._read(key)
                if score is not None:
                    self.cached_scores[index] = score
                elif (requested := _SINGLE_FLIGHT.futures.get((id(self.cache), key))) is not None:
                    self.following[index] = requested
                else:
                    self.leading.add(index)
                    _SINGLE_FLIGHT.futures[id(self.cache), key] = future = Future[float | None]()
                    future.set_running_or_notify_cancel()  # so that no follower can cancel it
        return sorted(self.leading)

    def publish(self, scores: Iterable[tuple[TextIndex, float]]) -> None:
        """Writes scores to the cache, and passes them to the calls that wait for them."""
        with _SINGLE_FLIGHT.lock:
            for index, score in scores:
                self._write(self.keys[index], score)
                self._resolve(index, score)

    def give_up_leadership(self, text_indices: Iterable[TextIndex] | None = None) -> None:
        """Lets other calls request the scores that this call did not get: those of some texts, or all."""
        with _SINGLE_FLIGHT.lock:
            for index in list(self.leading) if text_indices is None else text_indices:
                self._resolve(index, None)

    def take_pending(self) -> list[TextIndex]:
        """Stops following the calls that have no score yet, and returns the texts of those scores."""
        pending = [index for index, future in self.following.items() if not future.done()]
        for index in pending:
            del self.following[index]
        return pending

    def collect_followed(self) -> list[TextIndex]:
        """Collects the scores of other calls, and returns the texts for which those calls failed."""
        missing: list[TextIndex] = []
        for index, future in self.following.items():
            score = future.result()
            if score is None:
                missing.append(index)
            else:
                self.cached_scores[index] = score
        self.following = {}
        return self.claim_leadership(missing)

    def _resolve(self, index: TextIndex, score: float | None) -> None:
        """Ends the leadership for a text; a score of `None` lets a follower become the leader."""
        if index in self.leading:
            self.leading.discard(index)
            if future := _SINGLE_FLIGHT.futures.pop((id(self.cache), self.keys[index]), None):  # none after a fork
                future.set_result(score)

    def _read(self, key: str) -> float | None:
        try:
            score: Any = self.cache.get(key)
        except Exception as error:  # noqa: BLE001 - a cache that fails must not fail the rerank
            logger.warning("The cache cannot be read, so scores are requested again: %s", type(error).__name__)
            return None
        return score if type(score) in (float, int) and isfinite(score) else None

    def _write(self, key: str, score: float) -> None:
        try:
            self.cache[key] = score
        except Exception as error:  # noqa: BLE001 - likewise
            logger.warning("The cache cannot be written, so scores are not kept: %s", type(error).__name__)


def check_cache(cache: object) -> None:
    """Checks that an object can be used as a cache.

    Raises:
        TypeError: It is not a mapping that can be changed.
    """
    lacking = [name for name in ("get", "__getitem__", "__setitem__") if not hasattr(cache, name)]
    if cache is not None and lacking:
        raise TypeError(f"cache must be a MutableMapping[str, float], such as a dict, not {type(cache).__name__}")
