"""`Curve`: quality against how many candidates are reranked, or against how much of each document is sent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hosted_rerank.evaluation.measures import average, bound_mean, measure, measure_gain, measure_names
from hosted_rerank.evaluation.outcome import Evaluation, rerank_to_depth
from hosted_rerank.evaluation.price import Price

DEPTHS = (10, 20, 50, 100, 200, 500, 1000)
"""The numbers of candidates of a curve, up to the number that there are."""

CurveKind: TypeAlias = Literal["candidates", "characters"]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Evaluations of one reranker that differ in one number.

    Args:
        name: The name of the reranker.
        kind: What the number counts.
        evaluations: The evaluations by that number, the smallest first; `None`, for all characters, last. With fewer
            candidates, the others follow in each ranking (`append_rest`).
    """

    name: str
    kind: CurveKind
    evaluations: Mapping[int | None, Evaluation]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The quality at one point.

    Args:
        x: The number of candidates that are reranked, or of characters of a document that are sent; `None` for all.
        value: The mean of nDCG@k.
        low: The lower end of the mean's 95 % confidence interval.
        high: The upper end of the interval.
        cost: The money for 1,000 queries; `None` without a price.
    """

    x: int | None
    value: float
    low: float
    high: float
    cost: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """The quality of one reranker at several points.

    Args:
        name: The name of the reranker.
        kind: What changes from point to point.
        points: The points, from the smallest to the largest.
        enough: The `x` of the smallest point that is not worse than the best one: the interval of their paired
            difference holds 0.
        passes: How often the queries were sent: once, or once for each point.
        queries: The number of queries, those that were answered at every point.
    """

    name: str
    kind: CurveKind
    points: Sequence[CurvePoint]
    enough: int | None
    passes: int
    queries: int


def list_depths(deepest: int, wanted: Sequence[int] = ()) -> list[int]:
    """Return the numbers of candidates of a curve, the largest number last.

    Args:
        deepest: The largest number of candidates.
        wanted: The numbers to use; empty for 10, 20, 50, 100, 200, 500 and 1000.
    """
    return sorted({depth for depth in wanted or DEPTHS if depth < deepest} | ({deepest} if deepest else set()))


def make_depth_curve(evaluation: Evaluation, k: int, price: Price | None = None, depths: Sequence[int] = ()) -> Curve:
    """Return the quality against the number of candidates, from one pass over the deepest ones.

    Args:
        evaluation: An evaluation of a reranker that scores each document by itself, without `top_n`.
        k: The cutoff rank of nDCG.
        price: The price of the API; `None` for no costs.
        depths: The numbers of candidates; empty for the usual ones.
    """
    cuts: dict[int | None, Evaluation] = {
        depth: rerank_to_depth(evaluation, depth) for depth in list_depths(evaluation.dataset.depth, depths)
    }
    return _make_curve(Sweep(evaluation.name, "candidates", cuts), k, price, passes=1)


def make_sweep_curve(sweep: Sweep, k: int, price: Price | None = None) -> Curve:
    """Return the curve of several evaluations of one reranker.

    Args:
        sweep: The evaluations.
        k: The cutoff rank of nDCG.
        price: The price of the API; `None` for no costs.
    """
    return _make_curve(sweep, k, price, passes=len(sweep.evaluations))


def _make_curve(sweep: Sweep, k: int, price: Price | None, passes: int) -> Curve:
    evaluations = sweep.evaluations
    answered = _intersect(each.answered for each in evaluations.values())
    points: list[CurvePoint] = []
    values: list[dict[str, float]] = []
    for x, evaluation in evaluations.items() if answered else ():
        rankings = {query: evaluation.rankings[query] for query in answered}
        values.append(measure(evaluation.dataset.judgements, rankings, k)[measure_names(k)[0]])
        low, high = bound_mean(list(values[-1].values()))
        cost = None if price is None else price.cost(evaluation)
        points.append(CurvePoint(x, average(values[-1].values()), low, high, cost))
    enough = points[_find_enough(points, values)].x if points else None
    return Curve(sweep.name, sweep.kind, points, enough, passes, len(answered))


def _find_enough(points: Sequence[CurvePoint], values: Sequence[Mapping[str, float]]) -> int:
    """Return the number of the first point that is not worse than the best one."""
    best = max(range(len(points)), key=lambda number: points[number].value)
    return next(number for number in range(best + 1) if measure_gain(values[number], values[best]).low <= 0)


def _intersect(each: Iterable[Mapping[str, object]]) -> list[str]:
    first, *others = each
    return [query for query in first if all(query in other for other in others)]
