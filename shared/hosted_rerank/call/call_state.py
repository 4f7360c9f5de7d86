"""A call at one service: its batches, what came of each, and what is still to be sent.

A driver sends the batches, several at once, and hands what came to `settle`, which says what to send next: nothing, the
halves of a batch that was too large, or it raises, and the call has failed.
"""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future

from hosted_rerank.call.batching import Batch, Plan
from hosted_rerank.call.request_flow import Answer, Exchange
from hosted_rerank.call.score_cache import Cache, ScoreCache, cache_keys
from hosted_rerank.errors import AVAILABILITY_ERRORS, DeadlineExceededError, RequestTooLargeError, RerankError
from hosted_rerank.limits.endpoint_state import ENDPOINTS, EndpointRegistry, EndpointState
from hosted_rerank.observability.events import NULL_OBSERVER, CallObserver


class CallState:
    """What a call has to do.

    Args:
        plan: The checked call.
        started: `time.monotonic()` when the call began.
        cache: Scores of earlier calls, and of this one for later ones.
        watch: Who is told what happens.
        services: What is known of who is asked.
        passes: Whether an outage leaves documents unscored, rather than fails the call.

    Raises:
        AuthenticationError: There is something to send, and no key to send it with.
        InvalidRequestError: The documents need several requests, and the model is listwise.
    """

    def __init__(
        self,
        plan: Plan,
        started: float,
        cache: Cache | None = None,
        watch: CallObserver = NULL_OBSERVER,
        services: EndpointRegistry = ENDPOINTS,
        *,
        passes: bool = False,
    ) -> None:
        self.plan = plan
        self.started = started
        self.answers: list[Answer] = []
        self.failed: dict[int, RerankError] = {}
        """What kept a text from being scored, by row."""
        self.attempts = 0
        """HTTP requests made, retries included."""
        self._watch = watch
        self._services = services
        self._passes = passes
        self._key: str | None = None
        self._service: EndpointState  # set by _cut
        self._pairs = (
            ScoreCache(cache, cache_keys(plan)) if cache is not None and plan.texts and not plan.listwise else None
        )
        rows: Sequence[int] = range(len(plan.texts))
        self.batches = self._cut(rows if self._pairs is None else self._pairs.claim(rows))
        """What to send first."""

    @property
    def known(self) -> dict[int, float]:
        """Scores that this call did not ask for, by row."""
        return self._pairs.known if self._pairs is not None else {}

    @property
    def others(self) -> Iterable[Future[float | None]]:
        """What other calls are asking for, and this one needs too."""
        return self._pairs.others.values() if self._pairs is not None else ()

    @property
    def left(self) -> float:
        """The seconds until the deadline."""
        return self.plan.limits.left(time.monotonic() - self.started)

    def _cut(self, rows: Sequence[int]) -> list[Batch]:
        """Rows as batches, and who is asked; that is not known before, for nothing is read of a key for nothing."""
        if not rows:
            return []
        try:
            self._key = self.plan.endpoint.key()
            self._service = self._services.find(self.plan.endpoint, self._key)
            return self.plan.cut(rows, self._service.largest)
        except BaseException:
            self.close()
            raise

    def begin(self, batch: Batch) -> Exchange:
        """Return the exchange of a batch."""
        asked, dialect = self.plan.top_n, self.plan.endpoint.provider.dialect
        top_n = min(asked, len(batch.rows)) if asked and dialect.top_n and self._pairs is None else None
        return Exchange(self.plan, batch, top_n, self._service, self._key, self.started, watch=self._watch)

    def settle(self, batch: Batch, came: Answer | RerankError) -> list[Batch]:
        """Take what came of a batch, and return what to send in its place.

        Raises:
            RerankError: The call has failed.
        """
        self.attempts += came.attempts
        if isinstance(came, Answer):
            self.answers.append(came)
            if self._pairs is not None:
                self._pairs.store(came.scores.items())
            return []
        if isinstance(came, RequestTooLargeError) and came.status is not None and len(batch.rows) > 1:
            return self._halves(batch, came)
        self._fail(batch.rows, came)
        return []

    def _fail(self, rows: Sequence[int], error: RerankError) -> None:
        """Let documents go unscored, if that is asked for; else raise."""
        if not (self._passes and isinstance(error, AVAILABILITY_ERRORS)):
            raise error
        self._watch.passes(error)
        self.failed |= dict.fromkeys(rows, error)
        if self._pairs is not None:
            self._pairs.release(rows)  # which equal texts of this call may wait for

    def _halves(self, batch: Batch, refusal: RequestTooLargeError) -> list[Batch]:
        if not self.plan.may_split:
            model = self.plan.endpoint.model
            refusal.say_more(
                f"{model} is listwise, so its documents go in several requests only if batch_size= is given"
            )
            raise refusal
        self._service.refused_batch(len(batch.rows))
        middle = len(batch.rows) // 2
        return [Batch(batch.rows[:middle]), Batch(batch.rows[middle:])]

    def collect(self) -> list[Batch]:
        """Take what other calls got, and return what is left to send, for they failed."""
        if self._pairs is None:
            return []
        if not self.left and (late := self._pairs.pending()):
            name, deadline = self.plan.endpoint.provider.name, self.plan.limits.deadline
            why = f"no reply from {name} in time to another call that asks the same; the deadline is {deadline:g} s"
            self._fail(late, DeadlineExceededError(why, provider=name))
        return self._cut(self._pairs.collect())

    def close(self) -> None:
        """Let other calls ask for what this one got no answer to."""
        if self._pairs is not None:
            self._pairs.release()
