"""What came of a rerank, as LangChain's documents and as its tracing shows it."""

import contextlib
from collections.abc import Sequence
from typing import Any

from langchain_core.documents import Document

from hosted_rerank import RerankResponse
from hosted_rerank.frameworks.settings import PASSTHROUGH_KEY


def ranked_documents(documents: Sequence[Document], response: RerankResponse, score_key: str) -> list[Document]:
    """Return copies of the documents in their new order, with the score, or the mark of a failure, in their metadata.

    A score, or a mark, that an earlier stage left under the same key is not ours: it does not stay on what this one
    has looked at.
    """
    copies: list[Document] = []
    for index, score, error in response.results:
        document = documents[index]
        metadata = {**document.metadata}
        metadata.pop(PASSTHROUGH_KEY, None)
        if error is not None:
            metadata[PASSTHROUGH_KEY] = error
        elif score is not None:
            metadata[score_key] = score
        else:
            metadata.pop(score_key, None)
        copies.append(document.model_copy(update={"metadata": metadata}))
    return copies


def ranked_pairs(response: RerankResponse) -> list[dict[str, Any]]:
    """Return positions and scores as Cohere's and Fireworks' `rerank` methods give them."""
    return [{"index": index, "relevance_score": score} for index, score, _ in response.results]


def run_outputs(response: RerankResponse) -> dict[str, Any]:
    """Return what a trace shows of a rerank: numbers and ids, no text."""
    shown: dict[str, Any] = {
        "results": ranked_pairs(response),
        "provider": response.provider,
        "model": response.model,
        "score_transform": response.score_transform,
        "request_ids": list(response.request_ids),
        "attempts": response.attempts,
        "elapsed": response.elapsed,
        "sent": response.sent,
        "deduplicated": response.deduplicated,
        "cached": response.cached,
    }
    if response.error is not None:
        shown["passthrough"] = type(response.error).__name__
    if response.passed_over:
        shown["passed_over"] = [type(error).__name__ for error in response.passed_over]
    if usage := usage_metadata(response):
        shown["usage_metadata"] = usage
        if "total_tokens" in usage:  # what OpenInference reads, as of a language model's run
            tokens = usage["total_tokens"]
            counts = {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}
            shown["llm_output"] = {"token_usage": counts}
    return shown


def usage_metadata(response: RerankResponse) -> dict[str, Any]:
    """Return the usage in LangSmith's terms: a reranker reads tokens and writes none."""
    tokens = response.usage.tokens
    counts = {} if tokens is None else {"input_tokens": tokens, "output_tokens": 0, "total_tokens": tokens}
    return {**counts, **response.usage.units}


def record_usage(outputs: dict[str, Any]) -> None:
    """Put the usage where LangSmith reads it: in the metadata of the tracer's current run."""
    if "usage_metadata" not in outputs:
        return
    with contextlib.suppress(Exception):  # tracing must not break a rerank
        from langsmith.run_helpers import get_current_run_tree  # noqa: PLC0415 - only while something traces

        tree: Any = get_current_run_tree()
        if tree is not None:
            tree.extra.setdefault("metadata", {})["usage_metadata"] = outputs["usage_metadata"]
