"""`Comparison` of two rankings on the same queries: a paired randomisation test, with Holm's correction."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import scipy.stats  # pyright: ignore[reportMissingTypeStubs] - ships no types

from hosted_rerank.evaluation.measures import VALUES_AT_ONCE, average

RESAMPLES = 9_999
SIGNIFICANT = 0.05
"""The largest corrected p that is called a difference."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference between two rankings.

    Args:
        first: The name of one.
        second: The name of the other.
        difference: The mean of the first one's measure minus the second one's, on the queries that both answered.
        queries: The number of these queries.
        p: The p of a two-sided paired randomisation test, corrected by Holm's method for the number of comparisons.
    """

    first: str
    second: str
    difference: float
    queries: int
    p: float

    @property
    def is_significant(self) -> bool:
        """Whether the difference is more than chance, at the level of 5 % for all comparisons together."""
        return self.p <= SIGNIFICANT


def compare_all(values: Sequence[tuple[str, Mapping[str, float]]]) -> list[Comparison]:
    """Return the comparisons of all pairs.

    Args:
        values: The names of the rankings, each with the values of a measure by query id.
    """
    pairs = list(itertools.combinations(values, 2))
    shared = [[query for query in one if query in other] for (_, one), (_, other) in pairs]
    differences = [
        [one[query] - other[query] for query in queries]
        for queries, ((_, one), (_, other)) in zip(shared, pairs, strict=True)
    ]
    corrected = correct_by_holm([_randomise(each) for each in differences])
    return [
        Comparison(first, second, average(each) if each else 0.0, len(each), p)
        for ((first, _), (second, _)), each, p in zip(pairs, differences, corrected, strict=True)
    ]


def correct_by_holm(ps: Sequence[float]) -> list[float]:
    """Return the p values of several tests, corrected for their number (Holm 1979).

    Args:
        ps: The p values.
    """
    corrected, largest = [0.0] * len(ps), 0.0
    for rank, number in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[number]))
        corrected[number] = largest
    return corrected


def _randomise(differences: Sequence[float]) -> float:
    """Return the p of a two-sided paired randomisation test (Smucker, Allan and Carterette 2007)."""
    if len(differences) < 2 or not any(differences):  # one query says nothing
        return 1.0
    found = cast(Any, scipy.stats).permutation_test(
        (np.array(differences),),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, VALUES_AT_ONCE // len(differences)),
        random_state=np.random.default_rng(0),  # equal rankings give equal p
    )
    return float(found.pvalue)
