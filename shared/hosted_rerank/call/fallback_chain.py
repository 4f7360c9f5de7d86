"""A call that is sent to one reranker after the other until one succeeds."""

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from hosted_rerank.call.arguments import check_arguments
from hosted_rerank.call.batching import plan
from hosted_rerank.call.call_options import CallOptions
from hosted_rerank.call.call_state import CallState
from hosted_rerank.call.documents import prepare_documents
from hosted_rerank.call.merge import merge
from hosted_rerank.call.request_flow import no_fallback
from hosted_rerank.call.score_store import ScoreStore
from hosted_rerank.errors import (
    AVAILABILITY_ERRORS,
    AuthenticationError,
    CircuitOpenError,
    DeadlineExceededError,
    RateLimitError,
    RerankError,
)
from hosted_rerank.limits.endpoint_state import EndpointRegistry
from hosted_rerank.limits.retry import THROTTLING_STATUSES
from hosted_rerank.observability.events import CallObserver
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.response import RerankResponse
from hosted_rerank.wire import Call, Transport

MIN_SHARE = 0.5
"""The smallest share of the deadline in seconds: most rerank APIs answer in less, so a smaller share is of no use."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One reranker of the chain."""

    endpoint: Endpoint
    call_options: CallOptions
    connect: Callable[[], Transport]
    """Returns the transport of the reranker."""
    registry: EndpointRegistry

    def estimated_wait(self, now: float) -> float:
        """Returns the minimum seconds until the reranker could be asked; infinite if it has no key."""
        try:
            key = self.endpoint.key()
        except AuthenticationError:
            return math.inf
        return self.registry.find(self.endpoint, key).estimated_wait(now)

    def is_held(self, error: RerankError) -> bool:
        """Returns whether an error says only that the reranker is to be asked later, with retries left for that."""
        retry = self.call_options.retry
        throttled = isinstance(error, (CircuitOpenError, RateLimitError)) or (
            error.status in THROTTLING_STATUSES and error.retry_after is not None
        )
        return throttled and error.attempts <= retry.max_retries and (error.retry_after or 0.0) <= retry.backoff_max


class FallbackChain:
    """Sends one call to a reranker and, if that is unavailable, to its fallbacks in turn.

    A reranker that has the call wait while another one does not is held: the others are asked first. If none of them
    answers, the call waits for the held ones, which then make all their attempts.

    Args:
        call: The call.
        stages: The reranker and its fallbacks. The first one's deadline and `on_error` hold for all.
        store: The caller's cache of scores, if there is one.
        observer: Gets the fallbacks and the response.

    Raises:
        InvalidRequestError: An argument of the call has an impossible value, or a reranker does not take a document.
        TypeError: An argument of the call has the wrong type.
    """

    def __init__(self, call: Call, stages: Sequence[Stage], store: ScoreStore | None, observer: CallObserver) -> None:
        self.failures: list[RerankError] = []
        """The errors of the stages that failed, in order."""
        self._call, self._store, self._observer = check_arguments(call), store, observer
        if self._call.has_parts:  # what a fallback does not take is refused before any request
            for fallback in stages[1:]:
                prepare_documents(fallback.endpoint, self._call, None)
        self._options = stages[0].call_options
        self._started = time.monotonic()
        self._waiting = list(stages)
        """The stages that were not asked yet."""
        self._held: list[Stage] = []
        """The stages to ask again, when no other one has answered."""
        self._current: Stage
        self._may_be_held = False
        """Whether another stage is asked instead of waiting for the current one."""

    def __iter__(self) -> Iterator[tuple[CallState, Transport]]:
        """Yields the call at each reranker, and the transport that carries its requests."""
        while self._waiting or self._held:
            first_turn = bool(self._waiting)
            self._current = self._next()
            (self._waiting or self._held).remove(self._current)
            self._may_be_held = first_turn and bool(self._remaining)
            yield self._state(self._current), self._current.connect()

    @property
    def _remaining(self) -> Sequence[Stage]:
        """Returns the stages that may be asked after the current one."""
        return (*self._waiting, *self._held)

    def _next(self) -> Stage:
        """Returns the next stage: in the order of the caller, then the held one that is free first."""
        now = time.monotonic()
        return self._waiting[0] if self._waiting else min(self._held, key=lambda stage: stage.estimated_wait(now))

    def _time_left(self) -> float:
        """Returns the seconds until the deadline."""
        return self._options.time_left(time.monotonic() - self._started)

    def _state(self, stage: Stage) -> CallState:
        """Returns the call at a stage, with its share of the deadline."""
        remaining, deadline = self._remaining, self._options.deadline
        if deadline is not None and remaining:
            left = self._time_left()
            share = max(left / (1 + len(remaining)), min(left, MIN_SHARE))
            deadline = round(time.monotonic() - self._started + share, 3)
        options, on_error = stage.call_options, self._options.on_error
        if (options.deadline, options.on_error) != (deadline, on_error):
            options = replace(options, deadline=deadline, on_error=on_error)

        def fallback_wait(now: float) -> float:
            return min(other.estimated_wait(now) for other in remaining)

        return CallState(
            *(plan(stage.endpoint, options, self._call), self._started, self._store, self._observer, stage.registry),
            passthrough=on_error == "passthrough" and not remaining,
            fallback_wait=fallback_wait if self._may_be_held else no_fallback,
        )

    @contextmanager
    def falling_back(self) -> Generator[None]:
        """Suppresses an availability error of the body if another stage and time are left; else raises it."""
        try:
            yield
        except AVAILABILITY_ERRORS as error:
            error.__cause__ = self.failures[-1] if self.failures else None
            self.failures.append(error)
            if self._may_be_held and self._current.is_held(error):
                self._held.append(self._current)
            if not self._remaining or not (self._time_left() or self._options.on_error == "passthrough"):
                raise
            if isinstance(error, DeadlineExceededError):
                error.add_hint("that was this reranker's share of the deadline, because another one follows")
            self._observer.on_fallback(self._next().endpoint.provider.name, error)

    def answer(self, state: CallState) -> RerankResponse:
        """Returns the response of a stage whose requests have succeeded."""
        response = merge(state, time.monotonic() - self._started, self.failures)
        self._observer.on_response(response)
        return response
