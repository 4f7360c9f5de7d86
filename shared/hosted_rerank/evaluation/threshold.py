"""`Threshold`: the lowest score that keeps most relevant documents, and what else it lets through."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hosted_rerank.evaluation.outcome import Evaluation

KEPT = 0.95
"""The share of the relevant documents that a threshold keeps."""
MOST_LET_THROUGH = 0.5
"""The largest share of the other documents that a threshold which separates lets through."""
LEAST_RELEVANT = 20
"""The smallest number of relevant documents from which a threshold is computed: one of them is 5 %."""
SPLITS = 200
"""The number of splits of the queries for an interval."""

Scores: TypeAlias = "NDArray[np.float64]"
Sides: TypeAlias = tuple[Scores, Scores]
"""The scores of relevant and of other candidates."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval: the range of the middle values over random splits of the queries."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """The score that separates relevant documents from the others, for `score_threshold`.

    Args:
        score_threshold: The lowest score of a document to keep; `None` if there is none.
        kept: The share of the relevant candidates that it keeps.
        kept_interval: The share on the other half of the queries, where one half sets the threshold.
        let_through: The share of the other candidates that it keeps as well, those without a judgement included.
        let_through_interval: That share on the other half of the queries.
        relevant: The number of relevant candidates with a score.
        others: The number of the other ones.
        doubt: Why there is no clean separation; empty if there is one.
    """

    score_threshold: float | None
    kept: float | None
    kept_interval: Interval | None
    let_through: float | None
    let_through_interval: Interval | None
    relevant: int
    others: int
    doubt: str = ""


def split_scores(evaluation: Evaluation) -> dict[str, Sides]:
    """Return the scores of the relevant candidates and of the other ones, by query id.

    Args:
        evaluation: The evaluation.
    """
    scores: dict[str, Sides] = {}
    for query, outcome in evaluation.answered.items():
        grades = evaluation.dataset.judgements.get(query, {})
        sides: tuple[list[float], list[float]] = ([], [])
        for document, score in zip(outcome.ranking, outcome.scores, strict=True):
            if score is not None:
                sides[grades.get(document, 0) <= 0].append(score)
        scores[query] = np.array(sides[0], dtype=float), np.array(sides[1], dtype=float)
    return scores


def find_threshold(evaluation: Evaluation) -> Threshold:
    """Return the threshold that keeps 95 % of the relevant candidates of an evaluation.

    Args:
        evaluation: The evaluation.
    """
    scores = split_scores(evaluation)
    relevant, others = _gather(scores, list(scores))
    doubt = ""
    if evaluation.listwise:
        doubt = "the model's scores compare only within one request"
    elif len(relevant) < LEAST_RELEVANT or not len(others):
        doubt = f"{len(relevant)} relevant and {len(others)} other candidates are too few"
    if doubt:
        return Threshold(None, None, None, None, None, len(relevant), len(others), doubt)
    threshold = _choose(relevant)
    kept, let_through = _share(relevant, threshold), _share(others, threshold)
    kept_interval, through_interval = _try_on_splits(scores)
    if through_interval.high > MOST_LET_THROUGH:
        doubt = f"it lets through up to {through_interval.high:.0%} of the other candidates"
    return Threshold(threshold, kept, kept_interval, let_through, through_interval, len(relevant), len(others), doubt)


def _choose(relevant: Scores) -> float:
    """Return the largest score of four digits that keeps 95 % of the relevant documents."""
    ordered = np.sort(relevant)
    score = float(ordered[math.floor((1 - KEPT) * len(ordered) + 1e-9)])
    return float(Context(prec=4, rounding=ROUND_FLOOR).create_decimal_from_float(score))


def _try_on_splits(scores: Mapping[str, Sides]) -> tuple[Interval, Interval]:
    """Choose the threshold on one half of the queries and apply it to the other half, many times."""
    generator, names = np.random.default_rng(0), list(scores)
    kept: list[float] = []
    let_through: list[float] = []
    for _ in range(SPLITS):
        numbers: list[int] = generator.permutation(len(names)).tolist()
        order = [names[number] for number in numbers]
        chosen, _unused = _gather(scores, order[: len(order) // 2])
        relevant, others = _gather(scores, order[len(order) // 2 :])
        if len(chosen) and len(relevant) and len(others):
            threshold = _choose(chosen)
            kept.append(_share(relevant, threshold))
            let_through.append(_share(others, threshold))
    return _bound(kept), _bound(let_through)


def _bound(shares: Sequence[float]) -> Interval:
    low, high = np.percentile(shares or [0.0, 1.0], (2.5, 97.5))
    return Interval(float(low), float(high))


def _share(scores: Scores, threshold: float) -> float:
    return float(np.mean(scores >= threshold))


def _gather(scores: Mapping[str, Sides], queries: Sequence[str]) -> Sides:
    """Return the scores of the relevant and of the other candidates of some queries."""
    relevant, others = ([scores[query][side] for query in queries] for side in (0, 1))
    return np.concatenate([*relevant, np.empty(0)]), np.concatenate([*others, np.empty(0)])
