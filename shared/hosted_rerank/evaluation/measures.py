"""Measures of a ranking, computed by ir-measures, and the gain of one ranking over another with its interval."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import ir_measures
import numpy as np
from ir_measures import AP, RR, Judged, Qrel, R, ScoredDoc, nDCG

BOOTSTRAP_SAMPLES = 10_000
"""The number of bootstrap samples."""
VALUES_AT_ONCE = 500_000
"""How many values of samples are in memory at once."""


def measure_names(k: int) -> tuple[str, ...]:
    """Return the names of the measures in the order of a report."""
    return (f"nDCG@{k}", f"MRR@{k}", f"R@{k}", "MAP", f"Judged@{k}")


def measure(
    judgements: Mapping[str, Mapping[str, int]], rankings: Mapping[str, Sequence[str]], k: int = 10
) -> dict[str, dict[str, float]]:
    """Return nDCG@k (linear gain), MRR@k, recall@k, average precision and the judged share of the k best, by query.

    Args:
        judgements: The relevance grades by query id and document id.
        rankings: The ids of documents by query id, best first. A query with an empty ranking has 0 in all measures.
        k: The cutoff rank of nDCG, MRR, recall and the judged share.

    Returns:
        The values, from 0 to 1, by name of the measure and by query id.
    """
    kinds = dict(zip(measure_names(k), _find_measures(k), strict=True))
    judged = [Qrel(q, d, grade) for q in rankings for d, grade in judgements.get(q, {}).items()]
    ranked = [  # score by rank, because scores of different stages have different scales and ties
        ScoredDoc(query, document, -place) for query, found in rankings.items() for place, document in enumerate(found)
    ]
    values = {name: dict.fromkeys(rankings, 0.0) for name in kinds}
    of = {kind: name for name, kind in kinds.items()}
    for each in cast(Any, ir_measures).iter_calc(list(kinds.values()), judged, ranked):
        values[of[each.measure]][each.query_id] = float(each.value)
    return values


def _find_measures(k: int) -> tuple[Any, ...]:
    return (cast(Any, nDCG) @ k, cast(Any, RR) @ k, cast(Any, R) @ k, AP, cast(Any, Judged) @ k)


@dataclass(frozen=True, slots=True)
class Gain:
    """The gain of one ranking over another on the same queries.

    Args:
        mean: The mean difference of the measure.
        low: The lower end of the mean's 95 % confidence interval.
        high: The upper end of the interval.
        wins: The number of queries with a higher value.
        losses: The number of queries with a lower value.
    """

    mean: float
    low: float
    high: float
    wins: int
    losses: int


def measure_gain(before: Mapping[str, float], after: Mapping[str, float]) -> Gain:
    """Return the paired difference of a measure, with a percentile bootstrap over queries (Efron 1979).

    Args:
        before: The value of the measure by query id, for the first ranking; queries that `after` lacks do not count.
        after: The value of the measure by query id, for the second ranking of the same queries.

    Returns:
        The mean difference, its interval, and the numbers of wins and losses. Equal inputs give equal intervals.
    """
    differences = [value - before[query] for query, value in after.items()]
    low, high = bound_mean(differences)
    wins, losses = sum(each > 0 for each in differences), sum(each < 0 for each in differences)
    return Gain(average(differences), low, high, wins, losses)


def bound_mean(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % confidence interval of a mean, by a percentile bootstrap (Efron 1979).

    Args:
        values: A value for each query; not empty.

    Returns:
        The ends of the interval. Equal inputs give equal intervals.
    """
    numbers = np.array(values)
    generator = np.random.default_rng(0)  # equal rankings give equal intervals
    block = min(BOOTSTRAP_SAMPLES, max(1, VALUES_AT_ONCE // len(numbers)))
    means: list[float] = []
    while len(means) < BOOTSTRAP_SAMPLES:
        means.extend(generator.choice(numbers, (block, len(numbers))).mean(axis=1).tolist())
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def average(values: Collection[float]) -> float:
    """Return the mean of values; not empty.

    Args:
        values: The values.
    """
    return float(np.mean(list(values)))
