"""Reports the events of a call to the log; a subclass reports them elsewhere too.

No text and no key is ever reported. The logger is `hosted_rerank`. It logs each request at DEBUG and retries at INFO.
At WARNING it logs what changes a response or its requests: a fallback, an open circuit breaker, documents that stay
unscored, a learned limit on the size of requests.
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
        """Reports the response of the call."""

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
        """Reports the end of an HTTP request; `outcome` is `None` if the call was cancelled."""
        if logger.isEnabledFor(logging.DEBUG):
            status = outcome.status if isinstance(outcome, Response) else "no response" if outcome else "cancelled"
            logger.debug("%s: %d documents, status %s, %.3f s", provider, documents, status, seconds)

    def on_retry(self, provider: str, attempts: int, seconds: float, reason: str) -> None:
        """Reports that an attempt failed, and that a retry follows."""
        logger.info("%s: attempt %d failed (%s), the next in %.2g s or later", provider, attempts, reason, seconds)

    def on_circuit_open(self, provider: str, reason: str) -> None:
        """Reports that the circuit breaker opened."""
        logger.warning("Circuit breaker open for %s: %s", provider, reason)

    def on_size_limit(self, provider: str, unit: str, old: int | None, new: int | None) -> None:
        """Reports a change of the largest request that is sent; `None` is no limit."""
        was, is_now = (f"{limit:,} {unit}" if limit is not None else "no limit" for limit in (old, new))
        level = logging.INFO if new is None else logging.WARNING
        logger.log(level, "%s: the largest request is now %s, it was %s", provider, is_now, was)

    def on_passthrough(self, error: RerankError) -> None:
        """Reports that documents stay unscored."""
        logger.warning("Not reranked, passed through in input order: %s: %s", type(error).__name__, error)

    def on_fallback(self, provider: str, error: RerankError) -> None:
        """Reports that the call is sent to the next provider."""
        logger.warning("Falling back to %s: %s: %s", provider, type(error).__name__, error)


NULL_OBSERVER = CallObserver()
"""The observer that reports to the log only."""
