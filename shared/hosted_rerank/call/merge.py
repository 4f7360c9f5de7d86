"""Merges the results of a call's requests into one response, on one scale."""

import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeVar, cast

from hosted_rerank.call.batching import Plan
from hosted_rerank.call.call_state import CallState
from hosted_rerank.errors import RerankError
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.response import PASSAGE, RerankResponse, RerankResult, ScoreKind, ScoreTransform, Usage
from hosted_rerank.wire import DocumentIndex, TextIndex

_Value = TypeVar("_Value")


def merge(state: CallState, elapsed: float, fallback_errors: Sequence[RerankError] = ()) -> RerankResponse:
    """Returns the response of a call: highest score first, unscored documents last, cut to `top_n`.

    Equal scores of a reply that came sorted stay in the order of the reply; others are in input order.

    Args:
        state: The call, after all its requests.
        elapsed: Seconds since the call began.
        fallback_errors: The errors of the rerankers that were tried before this one.
    """
    plan, results = state.plan, state.results
    best_passages: Mapping[DocumentIndex, TextIndex] = _best_passages(state) if plan.spans else {}
    scores = _by_document(state, best_passages)
    order = sorted(scores, key=scores.__getitem__, reverse=True)  # stable, also reversed
    kind, transform = _scale(plan.endpoint, scores, order)
    best = order if plan.top_n is None else order[: plan.top_n]
    # The sigmoid comes after the sorting, because logits far from zero have the same sigmoid.
    shown = {document: _sigmoid(scores[document]) for document in best} if transform == "sigmoid" else scores
    extras = _extras(state, best_passages)
    ranked = [
        RerankResult(document, shown[document], None, extras[document])
        if document in extras
        else RerankResult(document, shown[document])
        for document in best
    ]
    if plan.blanks or state.failed:
        ranked += _unscored(state, any_scored=bool(scores))
    return RerankResponse(
        results=tuple(ranked if plan.top_n is None else ranked[: plan.top_n]),
        usage=results[0].usage if len(results) == 1 else sum((result.usage for result in results), Usage()),
        model=next((result.model for result in results if result.model), plan.endpoint.model or ""),
        provider=plan.endpoint.provider.name,
        request_ids=tuple(result.request_id for result in results if result.request_id),
        attempts=state.attempts,
        elapsed=elapsed,
        score_kind=kind,
        score_transform=transform,
        sent=len(plan.texts) - len(state.cached_scores),
        deduplicated=sum(map(len, plan.copies.values())),
        cached=len(state.cached_scores),
        error=next(iter(state.failed.values()), None),
        fallback_errors=tuple(fallback_errors),
        extra={name: value for result in results for name, value in result.extra.items()},
    )


def _all_scores(state: CallState) -> Mapping[TextIndex, float]:
    """Returns the scores of all requests and of the cache."""
    scores = dict(state.cached_scores)
    for result in state.results:
        scores.update(result.scores)
    return scores


def _best_passages(state: CallState) -> Mapping[DocumentIndex, TextIndex]:
    """Returns the best passage of each document, or its only text; none of a document of which a passage failed."""
    plan, scores = state.plan, _all_scores(state)
    failed = {document for text in state.failed for document in plan.documents_with(text)}
    best: dict[DocumentIndex, TextIndex] = {}
    for text, score in scores.items():
        for document in plan.documents_with(text):
            if document not in best or score > scores[best[document]]:
                best[document] = text
    return {document: best[document] for document in sorted(best) if document not in failed}


def _by_document(state: CallState, best_passages: Mapping[DocumentIndex, TextIndex]) -> Mapping[DocumentIndex, float]:
    """Returns the scores by document, in input order but for equal scores of a sorted reply, which keep its order."""
    if state.plan.spans:
        by_text = _all_scores(state)
        return {document: by_text[text] for document, text in best_passages.items()}
    replies = [_of_documents(state.plan, result.scores) for result in state.results]
    scores = dict(_of_documents(state.plan, state.cached_scores))
    places: dict[DocumentIndex, DocumentIndex] = {}
    for reply in replies:
        if len(replies) == 1 and not scores and _is_sorted(reply):
            return reply
        scores.update(reply)
        places.update(_places(reply))
    return {document: scores[document] for document in sorted(scores, key=lambda each: places.get(each, each))}


def _of_documents(plan: Plan, values: Mapping[TextIndex, _Value]) -> Mapping[DocumentIndex, _Value]:
    """Returns values by document, copies of a text after its first document."""
    if isinstance(plan.document_indices, range):  # every document was sent, so the indices are the same
        return cast("Mapping[DocumentIndex, _Value]", values)
    return {document: value for text, value in values.items() for document in plan.documents_with(text)}


def _is_sorted(scores: Mapping[DocumentIndex, float]) -> bool:
    """Returns whether the scores are in descending order."""
    values = list(scores.values())
    return all(map(operator.ge, values, values[1:]))


def _places(reply: Mapping[DocumentIndex, float]) -> Iterator[tuple[DocumentIndex, DocumentIndex]]:
    """Yields the place of each document of a sorted reply: equal scores share their places in the reply's order."""
    if _is_sorted(reply) and len(set(reply.values())) < len(reply):
        for _, group in groupby(reply, key=reply.__getitem__):
            equal = list(group)
            yield from zip(equal, sorted(equal), strict=True)


def _extras(
    state: CallState, best_passages: Mapping[DocumentIndex, TextIndex]
) -> Mapping[DocumentIndex, Mapping[str, Any]]:
    """Returns the other fields of the results, and the places of best passages, by document."""
    plan = state.plan
    by_text = {text: extra for result in state.results for text, extra in result.result_extras.items()}
    if not plan.spans:
        return _of_documents(plan, by_text)
    spans = {document: plan.spans.get((document, plan.texts[text])) for document, text in best_passages.items()}
    return {
        document: {**by_text.get(text, {}), **({PASSAGE: span._asdict()} if (span := spans[document]) else {})}
        for document, text in best_passages.items()
    }


def _unscored(state: CallState, *, any_scored: bool) -> list[RerankResult]:
    """Returns the documents without a score: failed ones, then blank ones; in input order if no document is scored."""
    plan = state.plan
    failed = {
        document: type(error).__name__ for text, error in state.failed.items() for document in plan.documents_with(text)
    }
    if any_scored:
        return [RerankResult(document, None, failed.get(document)) for document in (*sorted(failed), *plan.blanks)]
    name = next(iter(failed.values()), None)
    return [RerankResult(document, None, name) for document in sorted((*failed, *plan.blanks))]


def _scale(
    endpoint: Endpoint, scores: Mapping[DocumentIndex, float], order: Sequence[DocumentIndex]
) -> tuple[ScoreKind, ScoreTransform]:
    """Returns the scale of the scores and the transform for it.

    Args:
        endpoint: The endpoint, whose model or provider states the scale.
        scores: The scores by document.
        order: The documents, highest score first.
    """
    kind, chosen = endpoint.facts.score_kind or "unknown", endpoint.score_transform
    if chosen == "sigmoid" or (chosen == "auto" and kind == "logit"):
        return "unit", "sigmoid"
    if kind == "unit" and order and not 0 <= scores[order[-1]] <= scores[order[0]] <= 1:
        kind = "unknown"  # an option, such as TEI's `raw_scores`, or another model
    return kind, "none"


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else (e := math.exp(logit)) / (1 + e)
