"""The last part of a rerank without the I/O: the answers of its requests become one, on one scale."""

import math
from collections.abc import Sequence
from operator import itemgetter

from hosted_rerank.endpoint import Endpoint
from hosted_rerank.flow import Answer, Plan
from hosted_rerank.wire import RerankResponse, RerankResult, ScoreKind, ScoreTransform, Usage


def merge(plan: Plan, answers: Sequence[Answer], elapsed: float) -> RerankResponse:
    """Return the answers as one: best first, ties in input order, blank documents last, cut to `top_n`."""
    scored = [pair for answer in answers for pair in answer.scores]
    scored.sort(key=itemgetter(0))
    scored.sort(key=itemgetter(1), reverse=True)  # stable, also reversed: ties stay in input order
    kind, transform = _scale(plan.endpoint, scored)
    if transform == "sigmoid":  # after sorting: far out, different logits have the same sigmoid
        scored = [(place, _sigmoid(score)) for place, score in scored]
    results = [RerankResult(place, score) for place, score in scored[: plan.top_n]]
    blanks = plan.blanks if plan.top_n is None else plan.blanks[: plan.top_n - len(results)]
    results.extend(RerankResult(place, None) for place in blanks)
    return RerankResponse(
        results=tuple(results),
        usage=sum((answer.usage for answer in answers), Usage()),
        model=next((answer.model for answer in answers if answer.model), plan.endpoint.model or ""),
        provider=plan.endpoint.provider.name,
        request_ids=tuple(answer.request_id for answer in answers if answer.request_id),
        attempts=sum(answer.attempts for answer in answers),
        elapsed=elapsed,
        score_kind=kind,
        score_transform=transform,
    )


def _scale(endpoint: Endpoint, scored: Sequence[tuple[int, float]]) -> tuple[ScoreKind, ScoreTransform]:
    """Where the scores will lie, and what has to be done for it; `scored` is sorted, best first."""
    kind, chosen = endpoint.provider.score_kind, endpoint.score_transform
    if chosen == "sigmoid" or (chosen == "auto" and kind == "logit"):
        return "unit", "sigmoid"
    if kind == "unit" and scored and not 0 <= scored[-1][1] <= scored[0][1] <= 1:
        kind = "unknown"  # an option, such as TEI's `raw_scores`, or another model
    return kind, "none"


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else (e := math.exp(logit)) / (1 + e)
