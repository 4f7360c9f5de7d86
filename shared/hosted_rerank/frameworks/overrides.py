"""The parameters of one call: `top_n`, `score_threshold` and `instruction`, which take precedence over the fields."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

from hosted_rerank._validation import check_count
from hosted_rerank.reranker import Reranker
from hosted_rerank.response import RerankResponse


class Overrides(TypedDict, total=False):
    """The parameters that a single call can set; a parameter that is left out keeps the value of the field."""

    top_n: int | None
    """The largest number of documents to return, at least 1; `None` returns all."""
    score_threshold: float | None
    """The lowest relevance score to return; `None` returns every score."""
    instruction: str | None
    """What "relevant" means in this call; `None` sends no instruction."""


def check_overrides(overrides: Overrides) -> None:
    """Refuse parameters of a call that are unknown or have a wrong value.

    Args:
        overrides: The parameters of the call.

    Raises:
        TypeError: A parameter is unknown, or its value has the wrong type.
        ValueError: A value is out of range.
    """
    known = Overrides.__annotations__
    if unknown := overrides.keys() - known.keys():
        raise TypeError(f"unknown arguments: {', '.join(unknown)}; a call takes only {', '.join(known)}")
    if (top_n := overrides.get("top_n")) is not None:
        check_count("top_n", top_n, least=1)
    threshold = overrides.get("score_threshold")
    if threshold is not None and (isinstance(threshold, bool) or not isinstance(threshold, (int, float))):
        raise TypeError(f"score_threshold must be a number or None, not {type(threshold).__name__}")
    if threshold is not None and not math.isfinite(threshold):
        raise ValueError(f"score_threshold must be finite, not {threshold}; None returns every score")


def rerank_texts(reranker: Reranker, query: str, texts: Sequence[str], overrides: Overrides) -> RerankResponse:
    """Rerank texts with the parameters of one call.

    Args:
        reranker: Sends the requests.
        query: The question.
        texts: One text for each document.
        overrides: The complete parameters of the call, as `RerankSettings` resolves them.

    Returns:
        The response, without the results below `score_threshold`.

    Raises:
        RerankError: The rerank failed, and `on_error` does not cover the error.
    """
    response = reranker.rerank(query, texts, top_n=overrides.get("top_n"), instruction=overrides.get("instruction"))
    return _apply_score_threshold(response, overrides)


async def arerank_texts(reranker: Reranker, query: str, texts: Sequence[str], overrides: Overrides) -> RerankResponse:
    """Rerank texts with the parameters of one call, as `rerank_texts` does, without blocking the event loop."""
    top_n, instruction = overrides.get("top_n"), overrides.get("instruction")
    return _apply_score_threshold(await reranker.arerank(query, texts, top_n=top_n, instruction=instruction), overrides)


def _apply_score_threshold(response: RerankResponse, overrides: Overrides) -> RerankResponse:
    """Return the response without low and missing scores; documents that an error left unscored stay."""
    threshold = overrides.get("score_threshold")
    if threshold is None:
        return response
    kept = (
        r for r in response.results if r.error or (r.relevance_score is not None and r.relevance_score >= threshold)
    )
    return replace(response, results=tuple(kept))
