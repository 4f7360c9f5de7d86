"""`Report`: the results of evaluations, as tables for a terminal, as JSON and CSV, and as an HTML page."""

import csv
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict

from rich.console import Console, ConsoleOptions, RenderableType

from hosted_rerank.evaluation.measures import measure_names
from hosted_rerank.evaluation.page import write_page, write_summary
from hosted_rerank.evaluation.results import Results
from hosted_rerank.evaluation.tables import show_report


class Report(Results):
    """A comparison of evaluations on the same dataset with its first stage; it shows itself as tables.

    `Results` describes the arguments.
    """

    def json(self) -> str:
        """Return all results, and the measures and failures of each query, as JSON."""
        content = {
            **self.about,
            "rows": [asdict(row) for row in self.rows],
            "comparisons": [asdict(each) | {"significant": each.is_significant} for each in self.comparisons],
            "curves": [asdict(curve) for curve in self.curves],
            "thresholds": {name: asdict(each) for name, each in self.thresholds.items()},
            "failed": {
                each.name: {query: {"error": o.error, "reason": o.reason} for query, o in each.failed.items()}
                for each in self.evaluations
            },
            "by_query": {query: dict(self.measures_of(query)) for query in self.dataset.queries},
        }
        return json.dumps(content, indent=1)

    def csv(self) -> str:
        """Return a table by query and ranking as CSV: the measures, or the error that failed the query."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = measure_names(self.k)
        writer.writerow(("query", "ranking", *names, "error"))
        for query in self.dataset.queries:
            for ranking, values in self.measures_of(query):
                writer.writerow((query, ranking, *(values[name] for name in names), ""))
            for each in self.evaluations:
                if query in each.failed:
                    writer.writerow((query, each.name, *("" for _ in names), each.failed[query].error))
        return text.getvalue()

    def html(self) -> str:
        """Return a self-contained HTML page: tables, plots, the queries with the largest changes; texts are escaped."""
        return write_page(self)

    def _repr_html_(self) -> str:
        return write_summary(self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield from show_report(self, console, options.max_width)

    def __repr__(self) -> str:
        text = io.StringIO()
        Console(file=text, width=shutil.get_terminal_size().columns).print(self)
        return text.getvalue().rstrip()
