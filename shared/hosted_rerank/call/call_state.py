"""The state of a call at one endpoint: its batches, their results, and the batches that are still to be sent.

A driver sends the batches, several at once, and passes each result to `record_result`. That returns the batches to send
next, such as the halves of a batch that was too large, or raises the error that ends the call.
"""

import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future

from hosted_rerank.call.batching import Batch, Plan
from hosted_rerank.call.request_encoding import BatchResult
from hosted_rerank.call.request_flow import Exchange, no_fallback
from hosted_rerank.call.score_cache import Cache, ScoreCache, cache_keys
from hosted_rerank.errors import AVAILABILITY_ERRORS, DeadlineExceededError, RequestTooLargeError, RerankError
from hosted_rerank.limits.endpoint_state import ENDPOINTS, EndpointRegistry, EndpointState
from hosted_rerank.observability.events import NULL_OBSERVER, CallObserver
from hosted_rerank.wire import TextIndex


class CallState:
    """The batches and results of one call.

    Args:
        plan: The checked call.
        started: `time.monotonic()` when the call began.
        cache: The caller's cache of scores, if there is one.
        observer: Gets the events of the call.
        endpoints: The states of all endpoints.
        passthrough: Whether documents stay unscored in an outage; else the call fails.
        fallback_wait: Returns the seconds until a fallback could be asked, at a time.

    Raises:
        AuthenticationError: There is something to send, but no API key.
        InvalidRequestError: The documents need several requests, and the model is listwise.
    """

    def __init__(
        self,
        plan: Plan,
        started: float,
        cache: Cache | None = None,
        observer: CallObserver = NULL_OBSERVER,
        endpoints: EndpointRegistry = ENDPOINTS,
        *,
        passthrough: bool = False,
        fallback_wait: Callable[[float], float] = no_fallback,
    ) -> None:
        self.plan = plan
        self.started = started
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
        self._score_cache = (
            ScoreCache(cache, cache_keys(plan)) if cache is not None and plan.texts and not plan.listwise else None
        )
        texts = plan.all_texts if self._score_cache is None else self._score_cache.claim_leadership(plan.all_texts)
        self.batches = self._cut(texts)
        """The batches to send first."""

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
        return min(self._time_left(now), max(0.0, self._follow_until - now))

    def _time_left(self, now: float) -> float:
        """Returns the seconds until the deadline; infinite without one."""
        return self.plan.call_options.time_left(now - self.started)

    def _cut(self, text_indices: Sequence[TextIndex]) -> list[Batch]:
        """Returns texts as batches. Finds the key and the endpoint's state, which only requests need."""
        if not text_indices:
            return []
        try:
            self._key = self.plan.endpoint.key()
            self._state = self._endpoints.find(self.plan.endpoint, self._key)
            return self.plan.cut(text_indices, self._state.max_batch)
        except BaseException:
            self.close()
            raise

    def start_exchange(self, batch: Batch) -> Exchange:
        """Returns the exchange that carries a batch."""
        top_n, dialect = self.plan.top_n, self.plan.endpoint.provider.dialect
        sent_top_n = (
            min(top_n, len(batch.text_indices)) if top_n and dialect.top_n and self._score_cache is None else None
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
            self.results.append(result)
            if self._score_cache is not None:
                self._score_cache.publish(result.scores.items())
            return []
        if isinstance(result, RequestTooLargeError) and result.status is not None and len(batch.text_indices) > 1:
            return self._halves(batch, result)
        self._fail(batch.text_indices, result)
        return []

    def _fail(self, text_indices: Sequence[TextIndex], error: RerankError) -> None:
        """Leaves texts unscored if `on_error` says so; else raises the error."""
        if not (self._passthrough and isinstance(error, AVAILABILITY_ERRORS)):
            raise error
        self._observer.on_passthrough(error)
        self.failed |= dict.fromkeys(text_indices, error)
        if self._score_cache is not None:
            self._score_cache.give_up_leadership(text_indices)  # equal texts of this call may wait for them

    def _halves(self, batch: Batch, error: RequestTooLargeError) -> list[Batch]:
        """Returns the halves of a batch that was too large."""
        if not self.plan.may_split:
            error.add_hint(
                f"{self.plan.endpoint.model} is listwise, so its documents are sent in several requests only if"
                " batch_size= is set: pass fewer documents, or set it"
            )
            raise error
        self._state.record_batch_too_large(len(batch.text_indices))
        middle = len(batch.text_indices) // 2
        return [Batch(batch.text_indices[:middle]), Batch(batch.text_indices[middle:])]

    def collect_shared(self) -> list[Batch]:
        """Collects the scores that other calls requested, and returns the batches for those that did not come."""
        if self._score_cache is None:
            return []
        pending = self._score_cache.take_pending()
        if pending and not self._time_left(time.monotonic()):
            name, deadline = self.plan.endpoint.provider.name, self.plan.call_options.deadline
            message = (
                f"no response from {name} in time to another call that requests the same scores; the deadline is"
                f" {deadline:g} s: raise deadline= or lower timeout="
            )
            self._fail(pending, DeadlineExceededError(message, provider=name))
            pending = []
        return self._cut(sorted((*pending, *self._score_cache.collect_followed())))

    def close(self) -> None:
        """Lets other calls request the scores that this call did not get."""
        if self._score_cache is not None:
            self._score_cache.give_up_leadership()
