"""`Report`: the results of evaluations as a table for a terminal, as JSON, and as an HTML page."""

import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.table import Table

from hosted_rerank.evaluation.dataset import Dataset
from hosted_rerank.evaluation.measures import Gain, measure, measure_gain, measure_names
from hosted_rerank.evaluation.plots import plot_gains, plot_latencies
from hosted_rerank.evaluation.run import Evaluation

PERCENTILES = (50, 95, 99)
MOST_CHANGED = 5
"""The number of queries that a page lists with the largest gains, and with the largest losses."""


@dataclass(frozen=True, slots=True)
class ReportRow:
    """The results of one ranking: the first stage or one reranker.

    Args:
        name: The name of the evaluation.
        measures: The mean of each measure over all queries. A failed query counts as 0.
        gains: The gain of each measure over the first stage; empty for the first stage.
        latency: The percentiles `p50`, `p95` and `p99` of the answered queries, in seconds.
        tokens: The number of billed tokens; `None` if the API does not count them.
        requests: The number of HTTP requests, retries included.
        failures: The number of failed queries.
    """

    name: str
    measures: Mapping[str, float]
    gains: Mapping[str, Gain]
    latency: Mapping[str, float]
    tokens: int | None
    requests: int
    failures: int


class Report:
    """A comparison of evaluations on the same dataset with its first stage.

    Args:
        dataset: The dataset.
        evaluations: The evaluations on this dataset, one for each reranker.
        k: The cutoff rank of nDCG, MRR and recall.
    """

    def __init__(self, dataset: Dataset, evaluations: Sequence[Evaluation], k: int = 10) -> None:
        self.dataset = dataset
        self.evaluations = evaluations
        self.k = k
        first = {query: list(dataset.candidates[query]) for query in dataset.queries}
        self.before = measure(dataset.judgements, first, k)
        """The measures of the first stage, by name and query id."""
        self.after = [measure(dataset.judgements, evaluation.rankings, k) for evaluation in evaluations]
        """The measures of each evaluation, by name and query id."""
        first_stage = ReportRow("first stage", _average(self.before), {}, {}, None, 0, 0)
        self.rows = [first_stage, *map(self._make_row, evaluations, self.after)]

    def _make_row(self, evaluation: Evaluation, after: Mapping[str, Mapping[str, float]]) -> ReportRow:
        outcomes = evaluation.outcomes.values()
        counts = [outcome.tokens for outcome in outcomes if outcome.tokens is not None]
        return ReportRow(
            evaluation.name,
            _average(after),
            {name: measure_gain(self.before[name], after[name]) for name in measure_names(self.k)},
            compute_percentiles([outcome.elapsed for outcome in outcomes if outcome.error is None]),
            sum(counts) if counts else None,
            sum(outcome.requests for outcome in outcomes),
            sum(outcome.error is not None for outcome in outcomes),
        )

    def table(self) -> Table:
        """Return the comparison as a table for a terminal."""
        table = Table(title=self._title, title_justify="left", caption=self._caption, caption_justify="left")
        table.add_column("")
        for name in _list_headings(self.k):
            table.add_column(name, justify="right")
        for row in self.rows:
            table.add_row(row.name, *_format_cells(row, self.k))
        return table

    def json(self) -> str:
        """Return the rows and the measures of each query as JSON."""
        queries = {
            query: {
                row.name: {name: values[name][query] for name in measure_names(self.k)}
                for row, values in zip(self.rows, (self.before, *self.after), strict=True)
            }
            for query in self.dataset.queries
        }
        about = {"dataset": self.dataset.name, "queries": len(queries), "documents": len(self.dataset.documents)}
        return json.dumps({**about, "rows": [asdict(row) for row in self.rows], "by_query": queries}, indent=1)

    def html(self) -> str:
        """Return a self-contained HTML page: table, plots, the queries with the largest changes; texts are escaped."""
        parts = [self._repr_html_()]
        main = measure_names(self.k)[0]
        for evaluation, after in zip(self.evaluations, self.after, strict=True):
            differences = {query: after[main][query] - self.before[main][query] for query in self.dataset.queries}
            parts.append(f"<h2>{html.escape(evaluation.name)}</h2><div class=plots>")
            parts.append(plot_gains(list(differences.values()), f"{main} against the first stage"))
            parts.append(plot_latencies([o.elapsed for o in evaluation.outcomes.values() if o.error is None]))
            parts.append("</div>" + self._list_most_changed(differences))
        return _PAGE.format(title=html.escape(self._title), body="\n".join(parts))

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in ("", *_list_headings(self.k)))
        body = "".join(
            f"<tr><th>{html.escape(row.name)}</th>"
            + "".join(f"<td>{cell}</td>" for cell in _format_cells(row, self.k))
            + "</tr>"
            for row in self.rows
        )
        return f"<table><tr>{head}</tr>{body}</table><p>{html.escape(self._caption)}</p>"

    def _list_most_changed(self, differences: Mapping[str, float]) -> str:
        ordered = sorted(differences, key=differences.__getitem__)
        lost = [query for query in ordered[:MOST_CHANGED] if differences[query] < 0]
        gained = [query for query in ordered[: -MOST_CHANGED - 1 : -1] if differences[query] > 0]
        rows = [
            f"<tr><td>{differences[q]:+.3f}</td><td>{html.escape(self.dataset.queries[q])}</td></tr>"
            for q in (*gained, *lost)
        ]
        head = "<tr><th>change</th><th>those that gained, and lost, most</th></tr>"
        return f"<table class=moved>{head}{''.join(rows)}</table>"

    @property
    def _title(self) -> str:
        data = self.dataset
        return f"{data.name}: {len(data.queries)} queries, {len(data.documents)} documents"

    @property
    def _caption(self) -> str:
        main = measure_names(self.k)[0]
        return f"gain: in {main}; ±: half of its 95 % interval (paired bootstrap); won and lost: queries"


def _list_headings(k: int) -> tuple[str, ...]:
    return (
        *measure_names(k),
        "gain",
        "±",
        "won",
        "lost",
        "p50 s",
        "p95 s",
        "p99 s",
        "tokens",
        "requests",
        "failed",
    )


def _format_cells(row: ReportRow, k: int) -> list[str]:
    main = row.gains.get(measure_names(k)[0])
    gained = ("", "", "", "")
    if main is not None:
        gained = (f"{main.mean:+.3f}", f"{(main.high - main.low) / 2:.3f}", str(main.wins), str(main.losses))
    asked = [f"{row.latency[f'p{p}']:.3f}" if row.latency else "" for p in PERCENTILES]
    counts = ["" if row.tokens is None else f"{row.tokens:,}", f"{row.requests:,}" if row.gains else ""]
    return [
        *(f"{row.measures[n]:.3f}" for n in measure_names(k)),
        *gained,
        *asked,
        *counts,
        str(row.failures) if row.gains else "",
    ]


def compute_percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return the p50, p95 and p99 by the nearest rank; no percentiles for no times."""
    ordered = sorted(seconds)
    return {f"p{p}": ordered[math.ceil(len(ordered) * p / 100) - 1] for p in PERCENTILES if ordered}


def _average(values: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(each.values()) / len(each) for name, each in values.items()}


_PAGE = """<!doctype html>
<html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width"><title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
td, th {{ padding: .25rem .6rem; border-bottom: 1px solid #8886; text-align: right }}
th:first-child, .moved td:last-child, .moved th {{ text-align: left }}
.plots {{ display: flex; flex-wrap: wrap; gap: 1rem; margin: 1rem 0 }}
.plots svg {{ background: #fff; border-radius: 6px; max-width: 100%; height: auto }}
</style>
<h1>{title}</h1>
{body}
</html>
"""
