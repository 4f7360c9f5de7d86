"""The last part of a rerank without the I/O: the answers of its requests become one, on one scale."""

import math
from collections.abc import Mapping, Sequence

from hosted_rerank.call.call_state import Work
from hosted_rerank.errors import RerankError
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.response import RerankResponse, RerankResult, ScoreKind, ScoreTransform, Usage


def merge(work: Work, elapsed: float, passed_over: Sequence[RerankError] = ()) -> RerankResponse:
    """Return the answers as one: best first, ties in input order, what has no score last, cut to `top_n`.

    Args:
        work: What was done.
        elapsed: Seconds since the call began.
        passed_over: What kept the rerankers before this one from answering.
    """
    plan, answers = work.plan, work.answers
    scores = _by_place(work)
    order = sorted(sorted(scores), key=scores.__getitem__, reverse=True)  # stable, also reversed
    kind, transform = _scale(plan.endpoint, scores, order)
    best = order if plan.top_n is None else order[: plan.top_n]
    results = [RerankResult(place, scores[place]) for place in best]
    if transform == "sigmoid":  # after sorting: far out, different logits have the same sigmoid
        results = [RerankResult(result.index, _sigmoid(scores[result.index])) for result in results]
    if plan.blanks or work.failed:
        results += _unscored(work, any_scored=bool(scores))
    return RerankResponse(
        results=tuple(results if plan.top_n is None else results[: plan.top_n]),
        usage=answers[0].usage if len(answers) == 1 else sum((answer.usage for answer in answers), Usage()),
        model=next((answer.model for answer in answers if answer.model), plan.endpoint.model or ""),
        provider=plan.endpoint.provider.name,
        request_ids=tuple(answer.request_id for answer in answers if answer.request_id),
        attempts=work.attempts,
        elapsed=elapsed,
        score_kind=kind,
        score_transform=transform,
        sent=len(plan.texts) - len(work.known),
        deduplicated=sum(map(len, plan.copies.values())),
        cached=len(work.known),
        error=next(iter(work.failed.values()), None),
        passed_over=tuple(passed_over),
    )


def _by_place(work: Work) -> Mapping[int, float]:
    """The scores, by place in the caller's list."""
    plan, answers = work.plan, work.answers
    by_row = answers[0].scores if len(answers) == 1 and not work.known else _together(work)
    if isinstance(plan.places, range):
        return by_row
    scores = {plan.places[row]: score for row, score in by_row.items()}
    return scores | {place: by_row[row] for row, places in plan.copies.items() if row in by_row for place in places}


def _together(work: Work) -> Mapping[int, float]:
    by_row = dict(work.known)
    for answer in work.answers:
        by_row.update(answer.scores)
    return by_row


def _unscored(work: Work, *, any_scored: bool) -> list[RerankResult]:
    """Documents without a score: what an outage hit, then blank ones; with no score at all, all as they came."""
    plan = work.plan
    hit = {place: type(error).__name__ for row, error in work.failed.items() for place in _places(work, row)}
    if any_scored:
        return [RerankResult(place, None, hit.get(place)) for place in (*sorted(hit), *plan.blanks)]
    name = next(iter(hit.values()), None)
    return [RerankResult(place, None, name) for place in sorted((*hit, *plan.blanks))]


def _places(work: Work, row: int) -> Sequence[int]:
    return (work.plan.places[row], *work.plan.copies.get(row, ()))


def _scale(endpoint: Endpoint, scores: Mapping[int, float], order: Sequence[int]) -> tuple[ScoreKind, ScoreTransform]:
    """Where the scores will lie, and what has to be done for it; `order` is by score, best first."""
    kind, chosen = endpoint.provider.score_kind, endpoint.score_transform
    if chosen == "sigmoid" or (chosen == "auto" and kind == "logit"):
        return "unit", "sigmoid"
    if kind == "unit" and order and not 0 <= scores[order[-1]] <= scores[order[0]] <= 1:
        kind = "unknown"  # an option, such as TEI's `raw_scores`, or another model
    return kind, "none"


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else (e := math.exp(logit)) / (1 + e)
