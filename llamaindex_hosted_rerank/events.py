"""The event that ends a rerank in LlamaIndex's instrumentation."""

from typing import Any

from llama_index.core.instrumentation.events.rerank import ReRankEndEvent
from pydantic import Field

from hosted_rerank import RerankResponse


class HostedReRankEndEvent(ReRankEndEvent):
    """A `ReRankEndEvent` with facts about the call. It keeps the `class_name()`, so existing handlers recognise it."""

    provider: str = Field(description="The name of the provider that answered, or that failed.")
    model_name: str = Field(description="The model that answered; the requested model if the rerank failed.")
    usage: dict[str, int | float] | None = Field(
        default=None, description="Tokens and other units, under the names of the API; `None` if the API states none."
    )
    request_ids: list[str] = Field(
        default_factory=list[str],
        description="The request ids of the API, one for each answered request that has an id.",
    )
    attempts: int = Field(default=0, description="The number of HTTP requests, including retries.")
    elapsed: float = Field(default=0.0, description="Seconds from the call to the response, including waits.")
    score_transform: str = Field(default="none", description='The conversion of the scores: "none" or "sigmoid".')
    sent: int = Field(default=0, description="The number of documents in the requests, each counted once.")
    deduplicated: int = Field(
        default=0,
        description="The number of documents that were not sent because their text equals that of another one.",
    )
    cached: int = Field(
        default=0, description="The number of documents whose score came from the cache or from a concurrent call."
    )
    fallback_errors: list[str] = Field(
        default_factory=list[str],
        description="The names of the errors of the rerankers that failed before a fallback answered.",
    )
    passthrough: str | None = Field(
        default=None, description='The name of the error that `on_error="passthrough"` suppressed.'
    )
    error: str | None = Field(
        default=None, description="The name of the error that was raised; the event's `nodes` are then empty."
    )

    @classmethod
    def class_name(cls) -> str:
        """Return "ReRankEndEvent", the name of the base class."""
        return str(ReRankEndEvent.class_name())


def end_event_fields(response: RerankResponse) -> dict[str, Any]:
    """Return the fields of the event, except `nodes` and `error`, for a rerank that did not raise."""
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
        "fallback_errors": [type(error).__name__ for error in response.fallback_errors],
    }
