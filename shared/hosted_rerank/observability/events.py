"""What happens during a call, told to whoever watches: always to the log, and to OpenTelemetry where it is in use.

The flow says what happens, once and in one place; neither a text nor a key is ever told here. The logger is
`hosted_rerank`: retries at INFO; at WARNING what changes an answer: a fallback, an open circuit, documents that are
passed through.
"""

import logging
from typing import Any, Self

from hosted_rerank.errors import RerankError
from hosted_rerank.response import RerankResponse

logger = logging.getLogger("hosted_rerank")
logger.addHandler(logging.NullHandler())  # quiet, unless the program wants to hear


class CallObserver:
    """Watches one call for the log. A subclass watches for others too."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Take note that the call is over, and what ended it."""

    def answered(self, response: RerankResponse) -> None:
        """Take note of the answer."""

    def begins(self, documents: int) -> Any:
        """Take note that one of several requests of the call begins; what this returns is handed to `ends`."""

    def ends(self, request: Any, attempts: int, error: RerankError | None) -> None:
        """Take note of its end."""

    def sends(self, number: int) -> None:
        """Take note that so many requests more are under way; a negative number came back."""

    def retries(self, provider: str, attempts: int, seconds: float, why: str) -> None:
        """Take note that an attempt failed, and that another one follows."""
        logger.info("%s: attempt %d failed (%s), the next in %.2g s", provider, attempts, why, seconds)

    def opens(self, provider: str, story: str) -> None:
        """Take note that the circuit opened."""
        logger.warning("%s is not asked for a while: %s", provider, story)

    def passes(self, error: RerankError) -> None:
        """Take note that documents go unscored."""
        logger.warning("Not reranked, passed through in input order: %s: %s", type(error).__name__, error)

    def falls_back(self, provider: str, error: RerankError) -> None:
        """Take note that another provider is asked."""
        logger.warning("Falling back to %s: %s: %s", provider, type(error).__name__, error)


NULL_OBSERVER = CallObserver()
"""The log's alone: it holds nothing, so one is enough."""
