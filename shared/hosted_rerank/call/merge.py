"""Merges the results of a call's requests into one response, on one scale."""

import math
import operator
from collections.abc import Mapping, Sequence
from typing import cast

from hosted_rerank.call.call_state import CallState
from hosted_rerank.call.passages import Span
from hosted_rerank.errors import RerankError
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.response import RerankResponse, RerankResult, ScoreKind, ScoreTransform, Usage
from hosted_rerank.wire import DocumentIndex, TextIndex


def merge(state: CallState, elapsed: float, fallback_errors: Sequence[RerankError] = ()) -> RerankResponse:
    """Returns the response of a call: highest score first, unscored documents last, cut to `top_n`.

    Equal scores stay in the order of the API's reply if that is the only reply and came sorted by score; else they are
    in input order.

    Args:
        state: The call, after all its requests.
        elapsed: Seconds since the call began.
        fallback_errors: The errors of the rerankers that were tried before this one.
    """
    plan, results = state.plan, state.results
    scores, passages = _by_document(state)
    order = sorted(scores, key=scores.__getitem__, reverse=True)  # stable, also reversed
    kind, transform = _scale(plan.endpoint, scores, order)
    best = order if plan.top_n is None else order[: plan.top_n]
    # The sigmoid comes after the sorting, because logits far from zero have the same sigmoid.
    shown = {document: _sigmoid(scores[document]) for document in best} if transform == "sigmoid" else scores
    ranked = [_result(document, shown[document], passages.get(document)) for document in best]
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
    )


def _by_document(state: CallState) -> tuple[Mapping[DocumentIndex, float], Mapping[DocumentIndex, Span]]:
    """Returns the scores by document, in the order of a single sorted reply, else in input order; and best passages."""
    plan, results = state.plan, state.results
    single = len(results) == 1 and not state.cached_scores
    scores = results[0].scores if single else _all_scores(state)
    passages: Mapping[DocumentIndex, Span] = {}
    if isinstance(plan.document_indices, range):  # every document was sent, so the indices are the same
        by_document = cast("Mapping[DocumentIndex, float]", scores)
    elif plan.spans:
        by_document, passages = _best_passages(state, scores)
    else:
        by_document = {document: score for text, score in scores.items() for document in plan.documents_with(text)}
    return by_document if single and _is_sorted(scores) else dict(sorted(by_document.items())), passages


def _best_passages(
    state: CallState, scores: Mapping[TextIndex, float]
) -> tuple[Mapping[DocumentIndex, float], Mapping[DocumentIndex, Span]]:
    """Returns the score of the best passage of each document without a failed one, and the place of that passage."""
    plan = state.plan
    failed = {document for text in state.failed for document in plan.documents_with(text)}
    best: dict[DocumentIndex, TextIndex] = {}
    for text, score in scores.items():
        for document in plan.documents_with(text):
            if document not in best or score > scores[best[document]]:
                best[document] = text
    best = {document: text for document, text in best.items() if document not in failed}
    places = {document: plan.spans.get((document, plan.texts[text])) for document, text in best.items()}
    return {document: scores[text] for document, text in best.items()}, {d: s for d, s in places.items() if s}


def _result(document: DocumentIndex, score: float, passage: Span | None) -> RerankResult:
    """Returns the result of a document that has a score, with the place of its best passage."""
    if passage is None:
        return RerankResult(document, score)
    return RerankResult(document, score, extra={"passage": {"start": passage.start, "end": passage.end}})


def _is_sorted(scores: Mapping[TextIndex, float]) -> bool:
    """Returns whether the scores are in descending order."""
    values = list(scores.values())
    return all(map(operator.ge, values, values[1:]))


def _all_scores(state: CallState) -> Mapping[TextIndex, float]:
    """Returns the scores of all requests and of the cache."""
    scores = dict(state.cached_scores)
    for result in state.results:
        scores.update(result.scores)
    return scores


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
