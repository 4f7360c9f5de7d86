"""The results of a rerank as LangChain documents, and the outputs of its traced run."""

import contextlib
from collections.abc import Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.runnables import RunnableConfig

from hosted_rerank import Reranker, RerankResponse
from hosted_rerank.frameworks.overrides import Overrides
from hosted_rerank.frameworks.settings import PASSTHROUGH_KEY


def ranked_documents(documents: Sequence[Document], response: RerankResponse, score_key: str) -> list[Document]:
    """Return copies of the documents in their new order.

    The metadata of a copy holds its score, or the name of the error if an outage left it unscored. The score and the
    error of an earlier reranker under the same keys are removed, so that the scores of two rerankers never mix.

    Args:
        documents: The candidates, which stay unchanged.
        response: The response for these documents.
        score_key: The metadata key of the score.

    Returns:
        One shallow copy for each result; only the metadata mapping is new.
    """
    copies: list[Document] = []
    for index, score, error in response.results:
        document = documents[index]
        metadata = {key: value for key, value in document.metadata.items() if key not in (PASSTHROUGH_KEY, score_key)}
        if error is not None:
            metadata[PASSTHROUGH_KEY] = error
        elif score is not None:
            metadata[score_key] = score
        copies.append(document.model_copy(update={"metadata": metadata}))
    return copies


def ranked_pairs(response: RerankResponse) -> list[dict[str, Any]]:
    """Return one `{"index": int, "relevance_score": float | None}` for each result, in the format of Cohere."""
    return [{"index": index, "relevance_score": score} for index, score, _ in response.results]


def run_config(config: RunnableConfig, reranker: Reranker, name: str) -> RunnableConfig:
    """Return a config with the metadata that LangSmith reads from the run of a model.

    Args:
        config: The config of the call.
        reranker: Names the provider and the model.
        name: The name of the run.
    """
    added = {"ls_provider": reranker.provider.name, "ls_model_type": "rerank"}
    added["ls_retriever_name"] = name  # a calling retriever passes down its own name
    if reranker.model:
        added["ls_model_name"] = reranker.model
    return {**config, "metadata": {**config.get("metadata", {}), **added}}


def run_inputs(documents: Sequence[Any], query: str, overrides: Overrides, *, show_documents: bool) -> Any:
    """Return the inputs of a traced run: the query, `top_n`, and the documents or their number."""
    shown = list(documents) if show_documents else len(documents)
    return {"query": query, "documents": shown, "top_n": overrides.get("top_n")}


def run_outputs(response: RerankResponse, documents: Sequence[Any] | None) -> dict[str, Any]:
    """Return the outputs of a traced run, and add the usage to the metadata of the run.

    Args:
        response: The response of the rerank.
        documents: The candidates, to show the best of them; `None` shows only numbers and ids.
    """
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
    if response.fallback_errors:
        shown["fallback_errors"] = [type(error).__name__ for error in response.fallback_errors]
    if usage := usage_metadata(response):
        shown["usage_metadata"] = usage
        if "total_tokens" in usage:  # OpenInference reads it as the usage of a language model
            tokens = usage["total_tokens"]
            counts = {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}
            shown["llm_output"] = {"token_usage": counts}
    if documents is not None:
        shown["documents"] = [documents[result.index] for result in response.results]
    record_usage(shown)
    return shown


def usage_metadata(response: RerankResponse) -> dict[str, Any]:
    """Return the usage in the format of LangSmith: all tokens are input tokens."""
    tokens = response.usage.tokens
    counts = {} if tokens is None else {"input_tokens": tokens, "output_tokens": 0, "total_tokens": tokens}
    return {**counts, **response.usage.units}


def record_usage(outputs: dict[str, Any]) -> None:
    """Add the usage to the metadata of the current run, where LangSmith reads it."""
    if "usage_metadata" not in outputs:
        return
    with contextlib.suppress(Exception):  # an error of the tracing must not fail the rerank
        from langsmith.run_helpers import get_current_run_tree  # noqa: PLC0415 - only a traced run needs it

        tree: Any = get_current_run_tree()
        if tree is not None:
            tree.extra.setdefault("metadata", {})["usage_metadata"] = outputs["usage_metadata"]
