"""A call that is sent to one reranker after the other until one succeeds."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from hosted_rerank.call.arguments import check_arguments
from hosted_rerank.call.batching import plan
from hosted_rerank.call.call_options import CallOptions
from hosted_rerank.call.call_state import CallState
from hosted_rerank.call.merge import merge
from hosted_rerank.call.score_cache import Cache
from hosted_rerank.errors import AVAILABILITY_ERRORS, DeadlineExceededError, RerankError
from hosted_rerank.limits.endpoint_state import EndpointRegistry
from hosted_rerank.observability.events import CallObserver
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.response import RerankResponse
from hosted_rerank.wire import Call, Transport


@dataclass(frozen=True, slots=True)
class Stage:
    """One reranker of the chain."""

    endpoint: Endpoint
    call_options: CallOptions
    connect: Callable[[], Transport]
    """Returns the transport of the reranker."""
    registry: EndpointRegistry


class FallbackChain:
    """Sends one call to a reranker and, if that is unavailable, to its fallbacks in turn.

    Args:
        call: The call.
        stages: The reranker and its fallbacks. The first one's deadline and `on_error` hold for all.
        cache: The caller's cache of scores, if there is one.
        observer: Gets the fallbacks and the response.

    Raises:
        InvalidRequestError: An argument of the call has an impossible value.
        TypeError: An argument of the call has the wrong type.
    """

    def __init__(self, call: Call, stages: Sequence[Stage], cache: Cache | None, observer: CallObserver) -> None:
        self.failures: list[RerankError] = []
        """The errors of the stages that failed."""
        self._call = check_arguments(call)
        self._stages, self._cache, self._observer = stages, cache, observer
        self._started = time.monotonic()

    def __iter__(self) -> Iterator[tuple[CallState, Transport]]:
        """Yields the call at each reranker, and the transport that carries its requests."""
        options = self._stages[0].call_options
        for number, stage in enumerate(self._stages):
            transport = stage.connect()
            own = stage.call_options
            stage_options = replace(own, deadline=options.deadline, on_error=options.on_error) if number else options
            planned = plan(stage.endpoint, stage_options, self._call)
            passthrough = options.on_error == "passthrough" and number == len(self._stages) - 1
            yield (
                CallState(planned, self._started, self._cache, self._observer, stage.registry, passthrough=passthrough),
                transport,
            )

    @contextmanager
    def falling_back(self) -> Generator[None]:
        """Suppresses an availability error of the body if another stage and time are left; else raises it."""
        try:
            yield
        except AVAILABILITY_ERRORS as error:
            error.__cause__ = self.failures[-1] if self.failures else None
            self.failures.append(error)
            if len(self.failures) == len(self._stages) or isinstance(error, DeadlineExceededError):
                raise
            self._observer.on_fallback(self._stages[len(self.failures)].endpoint.provider.name, error)

    def answer(self, state: CallState) -> RerankResponse:
        """Returns the response of a stage whose requests have succeeded."""
        response = merge(state, time.monotonic() - self._started, self.failures)
        self._observer.on_response(response)
        return response
