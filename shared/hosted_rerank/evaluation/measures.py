"""What a ranking is worth by the usual measures, through ir-measures, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import ir_measures
import numpy as np
from ir_measures import AP, RR, Qrel, R, ScoredDoc, nDCG

BOOTSTRAP_SAMPLES = 10_000
"""Draws of the bootstrap."""


def measure_names(k: int) -> tuple[str, ...]:
    """Return the names of the measures, in the order of their reporting."""
    return (f"nDCG@{k}", f"MRR@{k}", f"R@{k}", "MAP")


def measure(
    judgements: Mapping[str, Mapping[str, int]], rankings: Mapping[str, Sequence[str]], k: int = 10
) -> dict[str, dict[str, float]]:
    """Return each measure of each query: nDCG@k (linear gain), MRR@k, recall@k, average precision.

    Args:
        judgements: Relevance by query and document.
        rankings: Ids of documents by query, best first. A query without a ranking has 0 in all measures.
        k: How far down nDCG, MRR and recall look.
    """
    kinds = dict(zip(measure_names(k), _find_measures(k), strict=True))
    judged = [Qrel(q, d, grade) for q in rankings for d, grade in judgements.get(q, {}).items()]
    ranked = [  # by place: scores of different stages have different scales, and ties are settled already
        ScoredDoc(query, document, -place) for query, found in rankings.items() for place, document in enumerate(found)
    ]
    values = {name: dict.fromkeys(rankings, 0.0) for name in kinds}
    of = {kind: name for name, kind in kinds.items()}
    for each in cast(Any, ir_measures).iter_calc(list(kinds.values()), judged, ranked):
        values[of[each.measure]][each.query_id] = float(each.value)
    return values


def _find_measures(k: int) -> tuple[Any, ...]:
    return (cast(Any, nDCG) @ k, cast(Any, RR) @ k, cast(Any, R) @ k, AP)


@dataclass(frozen=True, slots=True)
class Gain:
    """How much better one ranking is than another, over the same queries."""

    mean: float
    low: float
    """With `high`, where the mean lies with 95 % confidence."""
    high: float
    wins: int
    """Queries that it is better on."""
    losses: int


def measure_gain(before: Mapping[str, float], after: Mapping[str, float]) -> Gain:
    """Return the paired difference of two measurements, by the percentile bootstrap over queries (Efron 1979)."""
    differences = np.array([after[query] - before[query] for query in before])
    chance = np.random.default_rng(0)  # the same interval for the same rankings
    means = [chance.choice(differences, len(differences)).mean() for _ in range(BOOTSTRAP_SAMPLES)]
    low, high = np.percentile(means, (2.5, 97.5))
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return Gain(float(differences.mean()), float(low), float(high), wins, losses)
