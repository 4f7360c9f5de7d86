"""The events of a rerank, in both event systems of LlamaIndex: one start and one end, also if the rerank fails."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload

# The documentation of LlamaIndex imports it from here, but the module does not mark it as exported for type checkers.
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined] # pyright: ignore[reportPrivateImportUsage]
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.schema import NodeWithScore, QueryBundle
from pydantic import Field

from hosted_rerank import Reranker, RerankError, RerankResponse
from hosted_rerank.frameworks.overrides import Overrides
from llamaindex_hosted_rerank.openinference import set_span_attributes

dispatcher = get_dispatcher(__name__)


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
    elapsed: float = Field(
        default=0.0, description="Seconds from the call to the response or the error, including waits."
    )
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


@dataclass(slots=True)
class ReportedRerank:
    """A rerank between its events: what was asked, and later the response and the ranked nodes."""

    reranker: Reranker
    query: QueryBundle
    nodes: list[NodeWithScore]
    overrides: Overrides
    response: RerankResponse = field(init=False)
    ranked: list[NodeWithScore] = field(default_factory=list[NodeWithScore])

    @property
    def top_n(self) -> int:
        """The largest number of nodes to return."""
        return self.overrides.get("top_n") or len(self.nodes)

    @property
    def model(self) -> str:
        """The requested model; empty if the API chooses the model."""
        return self.overrides.get("model") or self.reranker.model or ""


@contextmanager
def reported(rerank: ReportedRerank, callback_manager: CallbackManager) -> Generator[None]:
    """Send the start events, and the end events when the body is over.

    Args:
        rerank: The rerank. The body sets its response and its ranked nodes.
        callback_manager: Gets the events of the older system.
    """
    payload: dict[str, Any] = {
        EventPayload.NODES: rerank.nodes,
        EventPayload.MODEL_NAME: rerank.model,
        EventPayload.QUERY_STR: rerank.query.query_str,
        EventPayload.TOP_K: rerank.top_n,
    }
    start = ReRankStartEvent(query=rerank.query, nodes=rerank.nodes, top_n=rerank.top_n, model_name=rerank.model)
    started = time.monotonic()
    dispatcher.event(start)
    facts: dict[str, Any] = {}
    try:
        with callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
            yield
            event.on_end(payload={EventPayload.NODES: rerank.ranked})
        facts = _facts_of_response(rerank.response)
    except BaseException as error:
        facts = _facts_of_failure(error, rerank, time.monotonic() - started)
        raise
    finally:
        end = HostedReRankEndEvent(nodes=rerank.ranked, **facts)
        dispatcher.event(end)
        set_span_attributes(end.model_dump(exclude={"nodes"}))


def _facts_of_failure(error: BaseException, rerank: ReportedRerank, elapsed: float) -> dict[str, Any]:
    failed = [error] if isinstance(error, RerankError) else []
    while failed and isinstance(cause := failed[-1].__cause__, RerankError):  # a fallback failed after its predecessor
        failed.append(cause)
    return {
        "provider": (failed and failed[0].provider) or rerank.reranker.provider.name,
        "model_name": rerank.model,
        "attempts": sum(each.attempts for each in failed),
        "elapsed": elapsed,
        "fallback_errors": [type(each).__name__ for each in reversed(failed[1:])],
        "error": type(error).__name__,
    }


def _facts_of_response(response: RerankResponse) -> dict[str, Any]:
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
