"""The caches that callers have, each read and written for many keys at once, blocking or awaiting.

| a cache has | examples | it is called | a score in it is |
|---|---|---|---|
| `mget`, `mset`, `amget`, `amset` | LangChain's `BaseStore` | once, with all keys | bytes: the number as text |
| `get_many`, `set_many` | Django's caches, pymemcache | once, with all keys | a float |
| `get`, `[key] = score` | a dict, cachetools, diskcache | for each key, in the caller's own thread | a float |

`get_many` takes keys and returns a mapping of those that it has; `set_many` takes a mapping. An awaiting call awaits
`aget_many` and `aset_many` where a cache has both; else it calls the blocking methods in a thread. A score is read from
a number, and from its text as str or bytes. A cache that fails is logged, and the call goes on without it.
"""

import asyncio
import logging
from collections.abc import Generator, Iterable, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from math import isfinite
from typing import Any, ClassVar, Protocol, TypeAlias

from hosted_rerank.call.single_flight import SINGLE_FLIGHT

logger = logging.getLogger("hosted_rerank")


TIMEOUT, MIN_TIMEOUT = 2.0, 0.1
"""The most seconds that an awaiting call waits for a cache, and those that it waits however near its deadline is. A
cache in the same data center answers in a millisecond. A blocking call waits as long as the cache's client does."""


class ByteStore(Protocol):
    """LangChain's `BaseStore`, of bytes or of anything."""

    def mget(self, keys: Sequence[str], /) -> Sequence[Any]:
        """Returns the value of each key, or `None`."""
        ...

    def mset(self, key_value_pairs: Sequence[tuple[str, Any]], /) -> None:
        """Writes pairs of key and value."""
        ...

    async def amget(self, keys: Sequence[str], /) -> Sequence[Any]:
        """Returns the value of each key, or `None`."""
        ...

    async def amset(self, key_value_pairs: Sequence[tuple[str, Any]], /) -> None:
        """Writes pairs of key and value."""
        ...


class ManyStore(Protocol):
    """A cache that reads and writes many keys at once, such as Django's."""

    def get_many(self, keys: Any, /) -> Mapping[str, Any]:
        """Returns the values of those keys that the cache has."""
        ...

    def set_many(self, scores: Any, /) -> object:
        """Writes a mapping of keys to values."""
        ...


Cache: TypeAlias = MutableMapping[str, float] | ByteStore | ManyStore
"""The types of caches that the `cache` parameter accepts."""


class ScoreStore:
    """A mapping as a cache, and what all caches share. A mapping is used in place, in awaiting calls too.

    Args:
        cache: The caller's cache.
    """

    methods: ClassVar[Sequence[str]] = ("get", "__getitem__", "__setitem__")
    """The methods that a cache of this kind has."""

    def __init__(self, cache: Any) -> None:
        self.cache = cache
        self._fails = False
        """Whether the last access failed, so that an outage is logged once."""

    def read(self, keys: Sequence[str]) -> dict[str, float]:
        """Returns the scores of those keys that the cache has; none if it fails."""
        with self._tolerating("read, so scores are requested again"):
            return _as_scores(self._get(keys))
        return {}

    def write(self, scores: Mapping[str, float]) -> None:
        """Writes scores, by their keys."""
        with self._tolerating("written, so scores are not kept"):
            self._set(scores)

    async def aread(self, keys: Sequence[str], time_left: float) -> dict[str, float]:
        """Returns what `read` does; none if the cache takes much of the seconds that the call has left."""
        with self._tolerating("read, so scores are requested again"):
            async with asyncio.timeout(min(TIMEOUT, max(MIN_TIMEOUT, time_left / 4))):
                return _as_scores(await self._aget(keys))
        return {}

    async def awrite(self, scores: Mapping[str, float], time_left: float) -> None:
        """Writes scores, by their keys; gives up if the cache takes much of the seconds that the call has left."""
        with self._tolerating("written, so scores are not kept"):
            async with asyncio.timeout(min(TIMEOUT, max(MIN_TIMEOUT, time_left / 4))):
                await self._aset(scores)

    @contextmanager
    def _tolerating(self, consequence: str) -> Generator[None]:
        """Logs an exception of the cache, because it must not fail the rerank."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a cache may raise anything
            if not self._fails:
                logger.warning("The cache cannot be %s: %s", consequence, type(error).__name__)
            self._fails = True
        else:
            self._fails = False

    def _get(self, keys: Sequence[str]) -> Iterable[tuple[str, object]]:
        """Returns the values of keys."""
        with SINGLE_FLIGHT.lock:
            return [(key, self.cache.get(key)) for key in keys]

    def _set(self, scores: Mapping[str, float]) -> None:
        """Writes scores."""
        with SINGLE_FLIGHT.lock:
            for key, score in scores.items():
                self.cache[key] = score

    async def _aget(self, keys: Sequence[str]) -> Iterable[tuple[str, object]]:
        return self._get(keys)

    async def _aset(self, scores: Mapping[str, float]) -> None:
        self._set(scores)


class _LangChainStore(ScoreStore):
    """LangChain's `BaseStore`."""

    methods: ClassVar[Sequence[str]] = ("mget", "mset", "amget", "amset")

    def _get(self, keys: Sequence[str]) -> Iterable[tuple[str, object]]:
        return zip(keys, self.cache.mget(keys), strict=True)

    def _set(self, scores: Mapping[str, float]) -> None:
        self.cache.mset(_as_bytes(scores))

    async def _aget(self, keys: Sequence[str]) -> Iterable[tuple[str, object]]:
        return zip(keys, await self.cache.amget(keys), strict=True)

    async def _aset(self, scores: Mapping[str, float]) -> None:
        await self.cache.amset(_as_bytes(scores))


class _ManyStore(ScoreStore):
    """A cache with `get_many` and `set_many`, whose blocking methods an awaiting call runs in a thread."""

    methods: ClassVar[Sequence[str]] = ("get_many", "set_many")

    def _get(self, keys: Sequence[str]) -> Iterable[tuple[str, object]]:
        values: Mapping[str, object] = self.cache.get_many(keys)
        return values.items()

    def _set(self, scores: Mapping[str, float]) -> None:
        self.cache.set_many(scores)

    async def _aget(self, keys: Sequence[str]) -> Iterable[tuple[str, object]]:
        return await asyncio.to_thread(self._get, keys)

    async def _aset(self, scores: Mapping[str, float]) -> None:
        await asyncio.to_thread(self._set, scores)


class _AsyncManyStore(_ManyStore):
    """A cache that has awaitable methods beside `get_many` and `set_many`."""

    methods: ClassVar[Sequence[str]] = ("get_many", "set_many", "aget_many", "aset_many")

    async def _aget(self, keys: Sequence[str]) -> Iterable[tuple[str, object]]:
        values: Mapping[str, object] = await self.cache.aget_many(keys)
        return values.items()

    async def _aset(self, scores: Mapping[str, float]) -> None:
        await self.cache.aset_many(scores)


def open_store(cache: Cache | None) -> ScoreStore | None:
    """Returns a caller's cache as a store; `None` for none.

    Args:
        cache: The cache.

    Raises:
        TypeError: The object is not a cache of an accepted type.
    """
    if cache is None:
        return None
    for kind in (_LangChainStore, _AsyncManyStore, _ManyStore, ScoreStore):
        if all(hasattr(cache, method) for method in kind.methods):
            return kind(cache)
    raise TypeError(
        "cache must be a MutableMapping[str, float], such as a dict, a LangChain BaseStore, or have get_many and"
        f" set_many, not {type(cache).__name__}"
    )


def _as_bytes(scores: Mapping[str, float]) -> list[tuple[str, bytes]]:
    return [(key, repr(score).encode()) for key, score in scores.items()]


def _as_scores(values: Iterable[tuple[str, object]]) -> dict[str, float]:
    """Returns those values that are scores; what else is in a cache is requested again."""
    scores = ((key, _as_score(value)) for key, value in values)
    return {key: score for key, score in scores if score is not None}


def _as_score(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (float, int, str, bytes)):
        return None
    try:
        score = float(value)
    except (ValueError, OverflowError):
        return None
    return score if isfinite(score) else None
