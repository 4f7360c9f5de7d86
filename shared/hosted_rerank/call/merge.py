"""The last part of a rerank without the I/O: the answers of its requests become one, on one scale."""

import math
from collections.abc import Mapping, Sequence
from typing import cast

from hosted_rerank.call.call_state import CallState
from hosted_rerank.errors import RerankError
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.response import RerankResponse, RerankResult, ScoreKind, ScoreTransform, Usage
from hosted_rerank.wire import DocumentIndex, TextIndex


def merge(state: CallState, elapsed: float, fallback_errors: Sequence[RerankError] = ()) -> RerankResponse:
    """Return the answers as one: best first, ties in input order, what has no score last, cut to `top_n`.

    Args:
        state: What was done.
        elapsed: Seconds since the call began.
        fallback_errors: What kept the rerankers before this one from answering.
    """
    plan, answers = state.plan, state.results
    scores = _by_document(state)
    order = sorted(sorted(scores), key=scores.__getitem__, reverse=True)  # stable, also reversed
    kind, transform = _scale(plan.endpoint, scores, order)
    best = order if plan.top_n is None else order[: plan.top_n]
    # The sigmoid comes after the sorting: logits far from zero have the same one.
    shown = {place: _sigmoid(scores[place]) for place in best} if transform == "sigmoid" else scores
    results = [RerankResult(place, shown[place]) for place in best]
    if plan.blanks or state.failed:
        results += _unscored(state, any_scored=bool(scores))
    return RerankResponse(
        results=tuple(results if plan.top_n is None else results[: plan.top_n]),
        usage=answers[0].usage if len(answers) == 1 else sum((answer.usage for answer in answers), Usage()),
        model=next((answer.model for answer in answers if answer.model), plan.endpoint.model or ""),
        provider=plan.endpoint.provider.name,
        request_ids=tuple(answer.request_id for answer in answers if answer.request_id),
        attempts=state.attempts,
        elapsed=elapsed,
        score_kind=kind,
        score_transform=transform,
        sent=len(plan.texts) - len(state.cached_scores),
        deduplicated=sum(map(len, plan.copies.values())),
        cached=len(state.cached_scores),
        error=next(iter(state.failed.values()), None),
        fallback_errors=tuple(fallback_errors),
    )


def _by_document(state: CallState) -> Mapping[DocumentIndex, float]:
    """Returns the scores by document of the caller's list."""
    plan, results = state.plan, state.results
    scores = results[0].scores if len(results) == 1 and not state.cached_scores else _all_scores(state)
    if isinstance(plan.document_indices, range):  # every document was sent, so the numbers are the same
        return cast("Mapping[DocumentIndex, float]", scores)
    found = {plan.document_indices[text]: score for text, score in scores.items()}
    return found | {copy: scores[text] for text, copies in plan.copies.items() if text in scores for copy in copies}


def _all_scores(state: CallState) -> Mapping[TextIndex, float]:
    scores = dict(state.cached_scores)
    for result in state.results:
        scores.update(result.scores)
    return scores


def _unscored(state: CallState, *, any_scored: bool) -> list[RerankResult]:
    """Returns documents without a score: those that an outage hit, then blank ones; in input order if none is scored."""
    plan = state.plan
    hit = {place: type(error).__name__ for text, error in state.failed.items() for place in _documents(state, text)}
    if any_scored:
        return [RerankResult(place, None, hit.get(place)) for place in (*sorted(hit), *plan.blanks)]
    name = next(iter(hit.values()), None)
    return [RerankResult(place, None, name) for place in sorted((*hit, *plan.blanks))]


def _documents(state: CallState, text: TextIndex) -> Sequence[DocumentIndex]:
    """Returns the documents that have a text."""
    return (state.plan.document_indices[text], *state.plan.copies.get(text, ()))


def _scale(
    endpoint: Endpoint, scores: Mapping[DocumentIndex, float], order: Sequence[DocumentIndex]
) -> tuple[ScoreKind, ScoreTransform]:
    """Returns the scale of the scores and the transform for it; `order` holds the documents, best first."""
    kind, chosen = endpoint.provider.score_kind, endpoint.score_transform
    if chosen == "sigmoid" or (chosen == "auto" and kind == "logit"):
        return "unit", "sigmoid"
    if kind == "unit" and order and not 0 <= scores[order[-1]] <= scores[order[0]] <= 1:
        kind = "unknown"  # an option, such as TEI's `raw_scores`, or another model
    return kind, "none"


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else (e := math.exp(logit)) / (1 + e)
