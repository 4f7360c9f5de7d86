"""The end of a rerank, as LlamaIndex's instrumentation sees it."""

from typing import Any

from llama_index.core.instrumentation.events.rerank import ReRankEndEvent
from pydantic import Field

from hosted_rerank import RerankResponse


class HostedReRankEndEvent(ReRankEndEvent):
    """`ReRankEndEvent` with what the API said. Its `class_name()` is the base's, so existing handlers take it."""

    provider: str
    model_name: str
    """The model that answered; the one asked for where there was no answer."""
    usage: dict[str, int | float] | None = None
    """Tokens and other units, by the API's names; `None` where there was no answer."""
    request_ids: list[str] = Field(default_factory=list[str])
    attempts: int = 0
    elapsed: float = 0.0
    """Seconds of the rerank, waits included."""
    score_transform: str = "none"
    """What was done to the API's own scores."""
    sent: int = 0
    """Documents that requests were made for."""
    deduplicated: int = 0
    """Documents that were not sent because they equal another one."""
    cached: int = 0
    """Documents whose score was known."""
    passed_over: list[str] = Field(default_factory=list[str])
    """The names of the errors that kept the reranker, and fallbacks before the one that answered, from answering."""
    passthrough: str | None = None
    """The name of the error that `on_error="passthrough"` passed over."""
    error: str | None = None
    """The name of the error that was raised; the event's `nodes` are then empty."""

    @classmethod
    def class_name(cls) -> str:
        """Return the name that handlers know."""
        return str(ReRankEndEvent.class_name())


def end_event_fields(response: RerankResponse) -> dict[str, Any]:
    """Return what the event says of a rerank that did not raise."""
    tokens = {"prompt_tokens": response.usage.prompt_tokens, "total_tokens": response.usage.total_tokens}
    counts = {name: count for name, count in tokens.items() if count is not None}
    return {
        "provider": response.provider,
        "model_name": response.model,
        "usage": {**counts, **response.usage.units} or None,
        "request_ids": list(response.request_ids),
        "attempts": response.attempts,
        "elapsed": response.elapsed,
        "score_transform": response.score_transform,
        "sent": response.sent,
        "deduplicated": response.deduplicated,
        "cached": response.cached,
        "passthrough": type(response.error).__name__ if response.error is not None else None,
        "passed_over": [type(error).__name__ for error in response.passed_over],
    }
