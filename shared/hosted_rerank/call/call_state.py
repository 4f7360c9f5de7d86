"""The state of a call at one endpoint: its batches, their results, and the batches that are still to be sent.

A driver sends the batches, several at once, and passes each result to `record_result`. That returns the batches to send
next, such as a part of a batch that was too large, or raises the error that ends the call.
"""

import copy
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future

from hosted_rerank.call.batch_sizes import RequestSizes, cut, split, too_long_hint
from hosted_rerank.call.batching import Batch, Plan
from hosted_rerank.call.request_encoding import BatchResult
from hosted_rerank.call.request_flow import Exchange, no_fallback
from hosted_rerank.call.score_cache import ScoreCache, cache_keys
from hosted_rerank.call.score_store import ScoreStore
from hosted_rerank.errors import (
    AVAILABILITY_ERRORS,
    DeadlineExceededError,
    RequestTooLargeError,
    RerankError,
    SizeRefusal,
    SizeUnit,
)
from hosted_rerank.limits.endpoint_state import ENDPOINTS, EndpointRegistry, EndpointState
from hosted_rerank.limits.learned_sizes import SizeChange
from hosted_rerank.observability.events import NULL_OBSERVER, CallObserver
from hosted_rerank.wire import TextIndex


class CallState:
    """The batches and results of one call.

    Args:
        plan: The checked call.
        started: `time.monotonic()` when the call began.
        store: The caller's cache of scores, if there is one.
        observer: Gets the events of the call.
        endpoints: The states of all endpoints.
        passthrough: Whether documents stay unscored in an outage; else the call fails.
        fallback_wait: Returns the seconds until a fallback could be asked, at a time.

    Raises:
        InvalidRequestError: An option cannot be written as JSON, which the keys of the cache need.
    """

    def __init__(
        self,
        plan: Plan,
        started: float,
        store: ScoreStore | None = None,
        observer: CallObserver = NULL_OBSERVER,
        endpoints: EndpointRegistry = ENDPOINTS,
        *,
        passthrough: bool = False,
        fallback_wait: Callable[[float], float] = no_fallback,
    ) -> None:
        self.plan = plan
        self.store = store or ScoreStore({})
        self.started = started
        self.unwritten: dict[str, float] = {}
        """The scores to write to the cache at the end, by their keys."""
        self.results: list[BatchResult] = []
        self.failed: dict[TextIndex, RerankError] = {}
        """The error of each text that stays unscored."""
        self.attempts = 0
        """HTTP requests made, retries included."""
        self._observer = observer
        self._endpoints = endpoints
        self._passthrough = passthrough
        self._fallback_wait = fallback_wait
        self._follow_until: float | None = None
        """The time until which the call waits for the scores of other calls; `None` before the first wait."""
        self._key: str | None = None
        self._state: EndpointState  # set by _cut
        self._sizes = RequestSizes(plan)
        self._uses_learned_sizes = plan.call_options.batch_size is None and not plan.listwise
        """Whether learned limits hold for this call: without `batch_size`, or after a refusal."""
        self._score_cache = (
            ScoreCache(store, cache_keys(plan)) if store is not None and plan.texts and not plan.listwise else None
        )
        self._unclaimed: Sequence[TextIndex] = plan.all_texts
        """The texts that are not looked up yet."""

    def start_lookup(self) -> list[str]:
        """Returns the keys to read from the cache."""
        if self._score_cache is None:
            return []
        texts, self._unclaimed = self._unclaimed, ()
        return self._score_cache.claim(texts)

    def start_batches(self, found: Mapping[str, float]) -> list[Batch]:
        """Returns the batches to send.

        Args:
            found: The scores that the cache has, by their keys.

        Raises:
            AuthenticationError: There is something to send, but no API key.
            InvalidRequestError: The documents need several requests, and the model is listwise.
        """
        return self._cut(self._unclaimed if self._score_cache is None else self._score_cache.record_lookup(found))

    @property
    def cached_scores(self) -> dict[TextIndex, float]:
        """Returns the scores that came from the cache or from another call."""
        return self._score_cache.cached_scores if self._score_cache is not None else {}

    @property
    def shared_futures(self) -> Collection[Future[float | None]]:
        """Returns the scores that other calls are requesting, and that this call needs too."""
        return self._score_cache.following.values() if self._score_cache is not None else ()

    def start_following(self) -> float:
        """Returns the seconds for which to wait for the scores of other calls.

        All waits together last as long as one attempt of this call may, so that another caller's longer timeout does
        not hold it.
        """
        now = time.monotonic()
        self._follow_until = self._follow_until or now + self.plan.call_options.timeout
        return min(self.time_left(now), max(0.0, self._follow_until - now))

    def time_left(self, now: float) -> float:
        """Returns the seconds until the deadline; infinite without one."""
        return self.plan.call_options.time_left(now - self.started)

    def _cut(self, text_indices: Sequence[TextIndex]) -> list[Batch]:
        """Returns texts as batches. Finds the key and the endpoint's state, which only requests need."""
        if not text_indices:
            return []
        self._key = self.plan.endpoint.key()
        self._state = self._endpoints.find(self.plan.endpoint, self._key)
        return cut(self._sizes, text_indices, self._learned_sizes())

    def _learned_sizes(self) -> Mapping[SizeUnit, int]:
        """Returns the learned limits that hold for this call."""
        self._log(self._state.sizes.expire(time.monotonic()))
        return self._state.sizes.current() if self._uses_learned_sizes else {}

    def _log(self, changes: Iterable[SizeChange]) -> None:
        """Reports changes of learned limits."""
        for change in changes:
            self._observer.on_size_limit(self.plan.endpoint.provider.name, change.unit, change.old, change.new)

    def start_exchange(self, batch: Batch) -> Exchange:
        """Returns the exchange that carries a batch."""
        top_n, dialect = self.plan.top_n, self.plan.endpoint.provider.dialect
        sent_top_n = (
            min(top_n, len(batch.text_indices))
            if top_n and dialect.top_n and self._score_cache is None and not self.plan.spans  # the best passages may
            else None  # all be of one document
        )
        return Exchange(
            *(self.plan, batch, sent_top_n, self._state, self._key, self.started),
            observer=self._observer,
            fallback_wait=self._fallback_wait,
        )

    def record_result(self, batch: Batch, result: BatchResult | RerankError) -> list[Batch]:
        """Records the result of a batch.

        Args:
            batch: The batch.
            result: Its scores, or the error of its last attempt.

        Returns:
            The batches to send in its place; none if it succeeded.

        Raises:
            RerankError: The call has failed.
        """
        self.attempts += result.attempts
        if isinstance(result, BatchResult):
            self._record_scores(batch, result)
        elif isinstance(result, RequestTooLargeError) and result.refusal is not None:
            return self._split(batch, result, result.refusal)
        else:
            self._fail(batch.text_indices, result)
        return self._cut(batch.deferred)

    def _record_scores(self, batch: Batch, result: BatchResult) -> None:
        """Records the scores of a batch, and what its success shows about the size of requests."""
        if result.error is not None:
            self._fail([text for text in batch.text_indices if text not in result.scores], result.error)
        self.results.append(result)
        if self._score_cache is not None:
            self.unwritten |= self._score_cache.publish(result.scores)
        if batch.limit is not None:
            self._log(self._state.sizes.learn(batch.limit, time.monotonic()))
        for unit in self._state.sizes.current() if batch.text_indices else ():
            size = math.ceil(self._sizes.measure(unit, batch.text_indices))
            self._log(self._state.sizes.record_accepted(unit, size))

    def _fail(self, text_indices: Sequence[TextIndex], error: RerankError) -> None:
        """Leaves texts unscored if `on_error` says so; else raises the error."""
        if not (self._passthrough and isinstance(error, AVAILABILITY_ERRORS)):
            raise error
        self._leave_unscored(text_indices, error)

    def _leave_unscored(self, text_indices: Sequence[TextIndex], error: RerankError) -> None:
        """Records that texts stay unscored."""
        self._observer.on_passthrough(error)
        self.failed |= dict.fromkeys(text_indices, error)
        if self._score_cache is not None:
            self._score_cache.give_up_leadership(text_indices)  # equal texts of this call may wait for them

    def _split(self, batch: Batch, error: RequestTooLargeError, refusal: SizeRefusal) -> list[Batch]:
        """Returns the batches to send in place of one that was too large."""
        if len(batch.text_indices) == 1 and refusal.unit != "documents":
            return self._single_out(batch, error, refusal)
        if not self.plan.may_split:
            error.add_hint(
                f"{self.plan.endpoint.model} is listwise, so its documents are sent in several requests only if"
                " batch_size= is set: pass fewer documents, or set it"
            )
            raise error
        self._uses_learned_sizes = True
        part = split(self._sizes, batch, refusal, self._learned_sizes())
        if part is None:
            raise error
        return [part]

    def _single_out(self, batch: Batch, error: RequestTooLargeError, refusal: SizeRefusal) -> list[Batch]:
        """Fails a document that is too long by itself, and longer ones; returns the batches of the others."""
        unit, (text,) = refusal.unit, batch.text_indices
        longer = [each for each in batch.deferred if self._sizes.of_text(unit, each) >= self._sizes.of_text(unit, text)]
        others_too_large = sum(isinstance(failure, RequestTooLargeError) for failure in self.failed.values())
        learned = self._state.sizes.current().get(unit)
        nothing_left = 1 + len(longer) + others_too_large == len(self.plan.texts)
        for each in (text, *longer):
            named = copy.copy(error)
            named.add_hint(too_long_hint(self.plan, self._sizes, each, refusal, learned))
            if self.plan.call_options.on_error == "raise" or nothing_left:
                raise named
            self._leave_unscored([each], named)
        return self._cut([each for each in batch.deferred if each not in self.failed])

    def collect_shared(self) -> None:
        """Collects the scores that other calls requested; those that did not come are looked up and requested next."""
        if self._score_cache is None:
            return
        pending = self._score_cache.take_pending()
        if pending and not self.time_left(time.monotonic()):
            name, deadline = self.plan.endpoint.provider.name, self.plan.call_options.deadline
            message = (
                f"no response from {name} in time to another call that requests the same scores; the deadline is"
                f" {deadline:g} s: raise deadline= or lower timeout="
            )
            self._fail(pending, DeadlineExceededError(message, provider=name))
            pending = []
        self._score_cache.unread += pending
        self._score_cache.collect_followed()

    def close(self) -> None:
        """Lets other calls request the scores that this call did not get."""
        if self._score_cache is not None:
            self._score_cache.close()
