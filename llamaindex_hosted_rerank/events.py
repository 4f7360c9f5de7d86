"""The end of a rerank, as LlamaIndex's instrumentation sees it."""

from typing import Any

from llama_index.core.instrumentation.events.rerank import ReRankEndEvent
from pydantic import Field

from hosted_rerank.settings import Ranked


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
    passthrough: str | None = None
    """The name of the error that `on_error="passthrough"` passed over."""
    error: str | None = None
    """The name of the error that was raised; the event's `nodes` are then empty."""

    @classmethod
    def class_name(cls) -> str:
        """Return the name that handlers know."""
        return str(ReRankEndEvent.class_name())


def describe(ranked: Ranked) -> dict[str, Any]:
    """Return what the event says of a rerank that did not raise."""
    passed = type(ranked.error).__name__ if ranked.error is not None else None
    if (response := ranked.response) is None:
        return {"passthrough": passed}
    tokens = {"prompt_tokens": response.usage.prompt_tokens, "total_tokens": response.usage.total_tokens}
    counts = {name: count for name, count in tokens.items() if count is not None}
    return {
        "model_name": response.model,
        "usage": {**counts, **response.usage.units},
        "request_ids": list(response.request_ids),
        "attempts": response.attempts,
        "elapsed": response.elapsed,
        "score_transform": response.score_transform,
    }
