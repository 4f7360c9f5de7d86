"""`Results`: everything that is computed from evaluations on the same dataset."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from hosted_rerank.evaluation.comparison import Comparison, compare_all
from hosted_rerank.evaluation.curves import Curve, Sweep, make_depth_curve, make_sweep_curve
from hosted_rerank.evaluation.dataset import Dataset
from hosted_rerank.evaluation.measures import average, measure, measure_gain, measure_names
from hosted_rerank.evaluation.outcome import Evaluation
from hosted_rerank.evaluation.price import Price
from hosted_rerank.evaluation.rows import PERCENTILES, ReportRow
from hosted_rerank.evaluation.threshold import Threshold, find_threshold


class Results:
    """The results of evaluations on the same dataset with its first stage.

    Args:
        dataset: The dataset.
        evaluations: The evaluations on this dataset, one for each reranker.
        k: The cutoff rank of nDCG, MRR, recall and the judged share.
        sweeps: Further evaluations, for curves against characters, and against candidates of listwise models. The
            curves against candidates of other models come from their evaluations.
        prices: The prices of the APIs, by the name of the evaluation.
        depths: The numbers of candidates of the curves; empty for 10, 20, 50, 100, 200, 500 and 1000.
    """

    def __init__(
        self,
        dataset: Dataset,
        evaluations: Sequence[Evaluation],
        k: int = 10,
        *,
        sweeps: Sequence[Sweep] = (),
        prices: Mapping[str, Price] | None = None,
        depths: Sequence[int] = (),
    ) -> None:
        self.dataset, self.evaluations, self.k = dataset, evaluations, k
        self._prices = prices or {}
        first = {query: list(dataset.candidates[query]) for query in dataset.queries}
        self.before = measure(dataset.judgements, first, k)
        """The measures of the first stage, by name and query id."""
        self.after = [measure(dataset.judgements, evaluation.rankings, k) for evaluation in evaluations]
        """The measures of each evaluation, by name and query id; failed queries are left out."""
        first_stage = ReportRow(dataset.first_stage, _average(self.before), len(dataset.queries))
        self.rows = [first_stage, *map(self._make_row, evaluations, self.after)]
        self.curves: list[Curve] = [
            make_depth_curve(evaluation, k, self._prices.get(evaluation.name), depths)
            for evaluation in evaluations
            if not evaluation.listwise and "top_n" not in evaluation.settings
        ]
        """The quality against candidates and characters."""
        self.curves += [make_sweep_curve(sweep, k, self._prices.get(sweep.name)) for sweep in sweeps]
        self.thresholds: dict[str, Threshold] = {each.name: find_threshold(each) for each in evaluations}
        """The threshold of each evaluation, by its name."""
        main = measure_names(k)[0]
        values = [(row.name, each[main]) for row, each in zip(self.rows, (self.before, *self.after), strict=True)]
        self.comparisons: list[Comparison] = compare_all(values)
        """The tests of all pairs of rankings."""
        self.about: dict[str, Any] = self._describe()
        """What was measured."""

    def _make_row(self, evaluation: Evaluation, after: Mapping[str, Mapping[str, float]]) -> ReportRow:
        outcomes, answered = evaluation.outcomes.values(), evaluation.answered.values()
        price = self._prices.get(evaluation.name)
        return ReportRow(
            evaluation.name,
            _average(after),
            len(evaluation.answered),
            {name: measure_gain(self.before[name], after[name]) for name in measure_names(self.k) if after[name]},
            compute_percentiles(evaluation.times),
            evaluation.tokens,
            sum(outcome.requests for outcome in outcomes),
            evaluation.failures,
            sum(outcome.has_ties for outcome in answered),
            None if price is None else price.cost(evaluation),
        )

    def _describe(self) -> dict[str, Any]:
        data = self.dataset
        return {
            "dataset": data.name,
            "queries": len(data.queries),
            "documents": len(data.documents),
            "first_stage": data.first_stage,
            "candidates": data.depth,
            "k": self.k,
            "date": datetime.now(UTC).date().isoformat(),
            "version": f"hosted-rerank {version('hosted-rerank')}",
            "dropped": dict(data.dropped),
            "rerankers": {
                each.name: {**each.settings, "answered by": each.models, "listwise": each.listwise}
                for each in self.evaluations
            },
        }

    def measures_of(self, query: str) -> Iterator[tuple[str, dict[str, float]]]:
        """Yield the name and the measures of each ranking that has an answer to a query.

        Args:
            query: The id of the query.
        """
        for row, values in zip(self.rows, (self.before, *self.after), strict=True):
            if query in values[measure_names(self.k)[0]]:
                yield row.name, {name: values[name][query] for name in measure_names(self.k)}


def compute_percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return the p50, p95 and p99 by the nearest rank; no percentiles for no times.

    Args:
        seconds: The times.
    """
    ordered = sorted(seconds)
    return {f"p{p}": ordered[math.ceil(len(ordered) * p / 100) - 1] for p in PERCENTILES if ordered}


def _average(values: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {name: average(each.values()) for name, each in values.items() if each}
