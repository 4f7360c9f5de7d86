"""The cache of scores, as one call uses it: what is in the cache or requested by another call is not requested again.

A cache maps a key to a score. The key of a query and a text is the hexadecimal BLAKE2b (20 bytes) of a JSON array, in
UTF-8 and without spaces: the provider's name, the API's URL, the model, the instruction, the other fields of the
request as an object with sorted names, the query and the text, in this order. The score is the API's own, before any
`score_transform`. A document of parts is an object in place of the text. `score_store` says how a score is kept.

A call claims its texts, reads the keys of those that it leads, requests what was not found, and writes at its end. The
drivers read and write; nothing here does I/O.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import orjson

from hosted_rerank.call.batching import Plan
from hosted_rerank.call.request_encoding import not_json_error
from hosted_rerank.call.score_store import ScoreStore
from hosted_rerank.call.single_flight import SINGLE_FLIGHT
from hosted_rerank.providers.document_parts import Parts
from hosted_rerank.wire import TextIndex


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
        store: The caller's cache.
        keys: The cache key of each text.
    """

    store: ScoreStore
    keys: Sequence[str]
    cached_scores: dict[TextIndex, float] = field(default_factory=dict[TextIndex, float])
    """The scores that came from the cache or from another call."""
    unread: list[TextIndex] = field(default_factory=list[TextIndex])
    """The texts to look up in the cache, and to request if it has no score of them."""
    leading: dict[TextIndex, "Future[float | None]"] = field(default_factory=dict[TextIndex, "Future[float | None]"])
    """The texts whose scores this call requests, until it ends, and the future score of each."""
    following: dict[TextIndex, "Future[float | None]"] = field(default_factory=dict[TextIndex, "Future[float | None]"])
    """The texts whose scores another call requests, and the future score of each."""

    def claim(self, text_indices: Iterable[TextIndex]) -> list[str]:
        """Leads those texts that no other call leads, and follows the others; returns the keys to look up."""
        with SINGLE_FLIGHT.lock:
            for index in text_indices:
                is_new, future = SINGLE_FLIGHT.lead_or_follow(id(self.store.cache), self.keys[index])
                (self.leading if is_new else self.following)[index] = future
                if is_new:
                    self.unread.append(index)
        return [self.keys[index] for index in self.unread]

    def record_lookup(self, found: Mapping[str, float]) -> list[TextIndex]:
        """Takes the scores that the cache has, and returns the texts that it lacks, which this call has to request."""
        looked_up, self.unread = self.unread, []
        hits = [index for index in looked_up if self.keys[index] in found]
        with SINGLE_FLIGHT.lock:
            for index in hits:
                self.cached_scores[index] = found[self.keys[index]]
                self._resolve(index, found[self.keys[index]])
        return sorted(set(looked_up).difference(hits))

    def publish(self, scores: Mapping[TextIndex, float]) -> dict[str, float]:
        """Passes scores to the calls that wait for them, and returns them by their keys, to be written."""
        with SINGLE_FLIGHT.lock:
            for index, score in scores.items():
                self._resolve(index, score)
        return {self.keys[index]: score for index, score in scores.items()}

    def give_up_leadership(self, text_indices: Iterable[TextIndex]) -> None:
        """Lets other calls request the scores that this call did not get."""
        with SINGLE_FLIGHT.lock:
            for index in text_indices:
                self._resolve(index, None)
                if self._is_registered(index):
                    del SINGLE_FLIGHT.futures[id(self.store.cache), self.keys[index]]
                self.leading.pop(index, None)

    def take_pending(self) -> list[TextIndex]:
        """Stops following the calls that have no score yet, and returns the texts of those scores."""
        pending = [index for index, future in self.following.items() if not future.done()]
        for index in pending:
            del self.following[index]
        return pending

    def collect_followed(self) -> None:
        """Collects the scores of other calls, and claims the texts for which those calls failed."""
        missing: list[TextIndex] = []
        for index, future in self.following.items():
            score = future.result()
            if score is None:
                missing.append(index)
            else:
                self.cached_scores[index] = score
        self.following = {}
        self.claim(missing)

    def close(self) -> None:
        """Ends all leadership: the scores that came are in the cache, and others may request the rest."""
        self.give_up_leadership(list(self.leading))

    def _resolve(self, index: TextIndex, score: float | None) -> None:
        """Passes a score to the followers, if this call leads; a score of `None` lets one of them become the leader."""
        if self._is_registered(index) and not self.leading[index].done():
            self.leading[index].set_result(score)

    def _is_registered(self, index: TextIndex) -> bool:
        """Returns whether other calls can find this call's future score of a text; they cannot after a fork."""
        future = SINGLE_FLIGHT.futures.get((id(self.store.cache), self.keys[index]))
        return future is not None and self.leading.get(index) is future
