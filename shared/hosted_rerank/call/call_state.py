"""A call at one service: its batches, what came of each, and what is still to be sent.

A driver sends the batches, several at once, and hands what came to `record_result`, which says what to send next: nothing, the
halves of a batch that was too large, or it raises, and the call has failed.
"""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future

from hosted_rerank.call.batching import Batch, Plan
from hosted_rerank.call.request_encoding import BatchResult
from hosted_rerank.call.request_flow import Exchange
from hosted_rerank.call.score_cache import Cache, ScoreCache, cache_keys
from hosted_rerank.errors import AVAILABILITY_ERRORS, DeadlineExceededError, RequestTooLargeError, RerankError
from hosted_rerank.limits.endpoint_state import ENDPOINTS, EndpointRegistry, EndpointState
from hosted_rerank.observability.events import NULL_OBSERVER, CallObserver
from hosted_rerank.wire import TextIndex


class CallState:
    """What a call has to do.

    Args:
        plan: The checked call.
        started: `time.monotonic()` when the call began.
        cache: Scores of earlier calls, and of this one for later ones.
        observer: Who is told what happens.
        endpoints: What is cached_scores of who is asked.
        passthrough: Whether an outage leaves documents unscored, rather than fails the call.

    Raises:
        AuthenticationError: There is something to send, and no key to send it with.
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
    ) -> None:
        self.plan = plan
        self.started = started
        self.results: list[BatchResult] = []
        self.failed: dict[TextIndex, RerankError] = {}
        """What kept a text from being scored, by row."""
        self.attempts = 0
        """HTTP requests made, retries included."""
        self._observer = observer
        self._endpoints = endpoints
        self._passthrough = passthrough
        self._key: str | None = None
        self._state: EndpointState  # set by _cut
        self._pairs = (
            ScoreCache(cache, cache_keys(plan)) if cache is not None and plan.texts and not plan.listwise else None
        )
        text_indices: Sequence[TextIndex] = plan.all_texts
        self.batches = self._cut(text_indices if self._pairs is None else self._pairs.claim_leadership(text_indices))
        """What to send first."""

    @property
    def cached_scores(self) -> dict[TextIndex, float]:
        """Scores that this call did not ask for, by row."""
        return self._pairs.cached_scores if self._pairs is not None else {}

    @property
    def shared_futures(self) -> Iterable[Future[float | None]]:
        """What other calls are asking for, and this one needs too."""
        return self._pairs.following.values() if self._pairs is not None else ()

    @property
    def left(self) -> float:
        """The seconds until the deadline."""
        return self.plan.call_options.left(time.monotonic() - self.started)

    def _cut(self, text_indices: Sequence[TextIndex]) -> list[Batch]:
        """Returns texts as batches, and finds the key and the endpoint's state, which nothing needs before."""
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
        """Return the exchange of a batch."""
        asked, dialect = self.plan.top_n, self.plan.endpoint.provider.dialect
        top_n = min(asked, len(batch.text_indices)) if asked and dialect.top_n and self._pairs is None else None
        return Exchange(self.plan, batch, top_n, self._state, self._key, self.started, observer=self._observer)

    def record_result(self, batch: Batch, came: BatchResult | RerankError) -> list[Batch]:
        """Take what came of a batch, and return what to send in its place.

        Raises:
            RerankError: The call has failed.
        """
        self.attempts += came.attempts
        if isinstance(came, BatchResult):
            self.results.append(came)
            if self._pairs is not None:
                self._pairs.store(came.scores.items())
            return []
        if isinstance(came, RequestTooLargeError) and came.status is not None and len(batch.text_indices) > 1:
            return self._halves(batch, came)
        self._fail(batch.text_indices, came)
        return []

    def _fail(self, text_indices: Sequence[TextIndex], error: RerankError) -> None:
        """Let documents go unscored, if that is asked for; else raise."""
        if not (self._passthrough and isinstance(error, AVAILABILITY_ERRORS)):
            raise error
        self._observer.on_passthrough(error)
        self.failed |= dict.fromkeys(text_indices, error)
        if self._pairs is not None:
            self._pairs.release(text_indices)  # which equal texts of this call may wait for

    def _halves(self, batch: Batch, refusal: RequestTooLargeError) -> list[Batch]:
        if not self.plan.may_split:
            model = self.plan.endpoint.model
            refusal.add_hint(
                f"{model} is listwise, so its documents go in several requests only if batch_size= is given"
            )
            raise refusal
        self._state.record_batch_too_large(len(batch.text_indices))
        middle = len(batch.text_indices) // 2
        return [Batch(batch.text_indices[:middle]), Batch(batch.text_indices[middle:])]

    def collect_shared(self) -> list[Batch]:
        """Take what other calls got, and return what is left to send, for they failed."""
        if self._pairs is None:
            return []
        if not self.left and (late := self._pairs.pending()):
            name, deadline = self.plan.endpoint.provider.name, self.plan.call_options.deadline
            why = f"no reply from {name} in time to another call that asks the same; the deadline is {deadline:g} s"
            self._fail(late, DeadlineExceededError(why, provider=name))
        return self._cut(self._pairs.collect_followed())

    def close(self) -> None:
        """Let other calls ask for what this one got no answer to."""
        if self._pairs is not None:
            self._pairs.release()
