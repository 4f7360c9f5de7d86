"""The tables of a report for a terminal: no number is cut off, whatever the width."""

from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from hosted_rerank.evaluation.curves import Curve
from hosted_rerank.evaluation.results import Results
from hosted_rerank.evaluation.rows import ReportRow, list_cells
from hosted_rerank.evaluation.sentences import (
    conclude_curve,
    describe_comparison,
    describe_failures,
    describe_threshold,
    describe_what,
    explain_columns,
    title_curve,
    write_code,
)

NAME_WIDTH = 12
"""The smallest width of a column with the name of a system."""
UNBOUNDED = 10_000
"""Columns of a terminal that any table fits."""


def show_report(report: Results, console: Console, width: int) -> Iterator[RenderableType]:
    """Yield the parts of a report.

    Args:
        report: The report.
        console: The console that will print them.
        width: The number of columns of the terminal.
    """
    about = report.about
    yield Text(f"{about['dataset']}: {about['queries']:,} queries, {about['documents']:,} documents", style="bold")
    yield from _lay_out(report.rows, report.k, console, width)
    yield from map(Text, (explain_columns(report.k), *describe_what(about), ""))
    yield from (Text(says) for evaluation in report.evaluations if (says := describe_failures(evaluation)))
    yield from (Text(describe_comparison(each, report.k)) for each in report.comparisons)
    for curve in report.curves:
        yield Text("")
        yield from _show_curve(curve, report.k)
    yield Text("")
    for evaluation in report.evaluations:
        threshold = report.thresholds[evaluation.name]
        yield Text(describe_threshold(evaluation.name, threshold))
        if code := write_code(evaluation, threshold):
            yield Text(code, overflow="fold")


def _lay_out(rows: Sequence[ReportRow], k: int, console: Console, width: int) -> Iterator[Table]:
    """Yield one table with a row for each system if it fits, else tables with a column for each."""
    cells = [list_cells(row, k) for row in rows]
    shown = [heading for heading in cells[0] if any(each[heading] for each in cells)]
    wide = Table("")
    for heading in shown:
        wide.add_column(heading, justify="right", no_wrap=True)
    for row, each in zip(rows, cells, strict=True):
        wide.add_row(Text(row.name), *(each[heading] for heading in shown))
    anything = console.options.update(max_width=UNBOUNDED)  # else the measure is at most the console's width
    if Measurement.get(console, anything, wide).maximum <= width:
        yield wide
        return
    most = max(1, (width - max(map(len, shown)) - 4) // (NAME_WIDTH + 3))
    for start in range(0, len(rows), most):
        narrow = Table("")
        for row in rows[start : start + most]:
            narrow.add_column(Text(row.name, overflow="fold"), justify="right", min_width=NAME_WIDTH, overflow="fold")
        for heading in shown:
            narrow.add_row(heading, *(each[heading] for each in cells[start : start + most]))
        narrow.columns[0].no_wrap = True
        yield narrow


def _show_curve(curve: Curve, k: int) -> Iterator[RenderableType]:
    yield Text(title_curve(curve, k), style="bold")
    table = Table()
    costs = any(point.cost is not None for point in curve.points)
    for heading in (curve.kind, "mean", "95 % interval", *(("per 1,000",) if costs else ()), ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for point in curve.points:
        cost = "-" if point.cost is None else f"{point.cost:.4g}"
        table.add_row(
            "all" if point.x is None else f"{point.x:,}",
            f"{point.value:.3f}",
            f"{point.low:.3f} to {point.high:.3f}",
            *((cost,) if costs else ()),
            "enough" if point.x == curve.enough else "",
        )
    if curve.points:
        yield table
    yield Text(conclude_curve(curve))
