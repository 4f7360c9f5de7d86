"""Reports what happens during a call to the log; a subclass reports it elsewhere too.

Neither a text nor a key is ever reported. The logger is `hosted_rerank`: each request at DEBUG, retries at INFO; at
WARNING what changes an answer: a fallback, an open circuit, documents that are passed through.
"""

import logging
from collections.abc import Mapping
from typing import Any, Self

from hosted_rerank.errors import RerankError
from hosted_rerank.response import RerankResponse
from hosted_rerank.wire import Outcome, Response

logger = logging.getLogger("hosted_rerank")


class CallObserver:
    """Reports one call to the log. It holds no state."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Reports the end of the call, and the error that ended it."""

    def on_response(self, response: RerankResponse) -> None:
        """Reports the answer of the call."""

    def on_batch_start(self, documents: int) -> Any:
        """Reports the start of one of several requests; `on_batch_end` gets what this returns."""

    def on_batch_end(self, span: Any, attempts: int, error: RerankError | None) -> None:
        """Reports the end of one of several requests."""

    def trace_headers(self) -> Mapping[str, str]:
        """Returns HTTP headers that carry the trace to the server."""
        return {}

    def on_request_start(self) -> None:
        """Reports that an HTTP request is sent."""

    def on_request_end(self, provider: str, documents: int, outcome: Outcome | None, seconds: float) -> None:
        """Reports the end of an HTTP request; `outcome` is `None` where the call was cancelled."""
        if logger.isEnabledFor(logging.DEBUG):
            status = outcome.status if isinstance(outcome, Response) else "no response" if outcome else "cancelled"
            logger.debug("%s: %d documents, status %s, %.3f s", provider, documents, status, seconds)

    def on_retry(self, provider: str, attempts: int, seconds: float, reason: str) -> None:
        """Reports that an attempt failed, and that another one follows."""
        logger.info("%s: attempt %d failed (%s), the next in %.2g s", provider, attempts, reason, seconds)

    def on_circuit_open(self, provider: str, reason: str) -> None:
        """Reports that the circuit breaker opened."""
        logger.warning("Circuit breaker open for %s: %s", provider, reason)

    def on_passthrough(self, error: RerankError) -> None:
        """Reports that documents stay unscored."""
        logger.warning("Not reranked, passed through in input order: %s: %s", type(error).__name__, error)

    def on_fallback(self, provider: str, error: RerankError) -> None:
        """Reports that another provider is asked."""
        logger.warning("Falling back to %s: %s: %s", provider, type(error).__name__, error)


NULL_OBSERVER = CallObserver()
"""The observer that reports to the log only."""
