"""The parameters of one call, which take precedence over the fields."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict

from hosted_rerank._other_names import remedy_for
from hosted_rerank.frameworks.numbers import to_count, to_number
from hosted_rerank.reranker import Reranker
from hosted_rerank.response import RerankResponse
from hosted_rerank.wire import Document


class Overrides(TypedDict, total=False):
    """The parameters that a single call can set; a parameter that is left out keeps the value of the field."""

    top_n: int | None
    """The largest number of documents to return, at least 1; `None` returns all."""
    score_threshold: float | None
    """The lowest relevance score to return; `None` returns every score."""
    instruction: str | None
    """What "relevant" means in this call; `None` sends no instruction."""
    model: str | None
    """The model of this call; `None` uses the model of the reranker. Fallbacks keep theirs."""
    options: Mapping[str, Any]
    """Options of this call, such as Nebius' `user`, besides those of the reranker. Fallbacks keep theirs."""


OVERRIDES = tuple(Overrides.__annotations__)
"""The names of the parameters of a call."""


def check_overrides(overrides: Overrides, options: Collection[str] = ()) -> Overrides:
    """Return the parameters of a call, with numbers as int and float.

    Args:
        overrides: The parameters of the call.
        options: The options of the provider's API.

    Raises:
        TypeError: A parameter is unknown, or its value has the wrong type.
        ValueError: A value is out of range.
    """
    for name in overrides:
        if name not in OVERRIDES:
            remedy = remedy_for(name, OVERRIDES, options)
            hint = f" ({remedy})" if remedy else ""
            raise TypeError(f"unknown argument: {name}{hint}; a call takes only {', '.join(OVERRIDES)}")
    checked: Overrides = {**overrides}
    if (top_n := overrides.get("top_n")) is not None:
        checked["top_n"] = to_count("top_n", top_n)
    if (threshold := overrides.get("score_threshold")) is not None:
        checked["score_threshold"] = to_number("score_threshold", threshold)
    return checked


def rerank_texts(reranker: Reranker, query: str, texts: Sequence[Document], overrides: Overrides) -> RerankResponse:
    """Rerank texts with the parameters of one call.

    Args:
        reranker: Sends the requests.
        query: The question.
        texts: One text for each document, or its parts.
        overrides: The complete parameters of the call, as `RerankSettings` resolves them.

    Returns:
        The response, without the results below `score_threshold`.

    Raises:
        RerankError: The rerank failed, and `on_error` does not cover the error.
        TypeError: The query is `None`.
    """
    return _apply_score_threshold(reranker.rerank(_check_query(query), texts, **_core_arguments(overrides)), overrides)


async def arerank_texts(
    reranker: Reranker, query: str, texts: Sequence[Document], overrides: Overrides
) -> RerankResponse:
    """Rerank texts with the parameters of one call, as `rerank_texts` does, without blocking the event loop."""
    response = await reranker.arerank(_check_query(query), texts, **_core_arguments(overrides))
    return _apply_score_threshold(response, overrides)


class _CoreArguments(TypedDict, total=False):
    """The parameters of a call that the core takes."""

    top_n: int | None
    instruction: str | None
    model: str | None
    options: Mapping[str, Any] | None


def _core_arguments(overrides: Overrides) -> _CoreArguments:
    return {
        "top_n": overrides.get("top_n"),
        "instruction": overrides.get("instruction"),
        "model": overrides.get("model"),
        "options": overrides.get("options"),
    }


def _check_query(query: str | None) -> str:
    if query is None:
        raise TypeError("query is None: pass the question as a str")
    return query


def _apply_score_threshold(response: RerankResponse, overrides: Overrides) -> RerankResponse:
    """Return the response without low and missing scores; documents that an error left unscored stay."""
    threshold = overrides.get("score_threshold")
    if threshold is None:
        return response
    kept = (
        r for r in response.results if r.error or (r.relevance_score is not None and r.relevance_score >= threshold)
    )
    return replace(response, results=tuple(kept))
