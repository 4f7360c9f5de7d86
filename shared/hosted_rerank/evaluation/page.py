"""The HTML page of a report: one file without scripts, and with its plots in it. All texts are escaped."""

import html
from collections.abc import Iterator, Mapping

from hosted_rerank.evaluation.measures import measure_names
from hosted_rerank.evaluation.outcome import Evaluation
from hosted_rerank.evaluation.plots import plot_costs, plot_curves, plot_gains, plot_latencies, plot_scores
from hosted_rerank.evaluation.results import Results
from hosted_rerank.evaluation.rows import list_cells
from hosted_rerank.evaluation.sentences import (
    conclude_curve,
    describe_comparison,
    describe_failures,
    describe_threshold,
    describe_what,
    explain_columns,
    write_code,
)
from hosted_rerank.evaluation.threshold import split_scores

MOST_CHANGED = 5
"""The number of queries that a page lists with the largest gains, and with the largest losses."""


def write_page(results: Results) -> str:
    """Return the page.

    Args:
        results: The results.
    """
    about = results.about
    title = f"{about['dataset']}: {about['queries']:,} queries, {about['documents']:,} documents"
    parts = [write_summary(results), *_write_curves(results)]
    for evaluation, after in zip(results.evaluations, results.after, strict=True):
        parts.extend(_write_reranker(results, evaluation, after))
    return _PAGE.format(title=html.escape(title), body="\n".join(parts))


def write_summary(results: Results) -> str:
    """Return the table of all rankings, with what was measured, what failed, and how they compare.

    Args:
        results: The results.
    """
    cells = [list_cells(row, results.k) for row in results.rows]
    head = "".join(f"<th>{html.escape(row.name)}</th>" for row in results.rows)
    body = "".join(
        f"<tr><th>{html.escape(heading)}</th>{''.join(f'<td>{each[heading]}</td>' for each in cells)}</tr>"
        for heading in cells[0]
        if any(each[heading] for each in cells)
    )
    failures = "".join(
        f"<p class=failed>{html.escape(says)}</p>" for says in map(describe_failures, results.evaluations) if says
    )
    comparisons = "".join(f"<li>{html.escape(describe_comparison(c, results.k))}" for c in results.comparisons)
    return (
        f"<div class=wide><table><tr><th></th>{head}</tr>{body}</table></div>{failures}"
        f"<p>{html.escape(explain_columns(results.k))}</p>"
        f"<p>{'<br>'.join(map(html.escape, describe_what(results.about)))}</p>"
        f"<p>Paired randomisation tests, corrected by Holm's method:</p><ul>{comparisons}</ul>"
    )


def _write_curves(results: Results) -> Iterator[str]:
    main = measure_names(results.k)[0]
    first = results.rows[0].measures[main]
    curves = [curve for curve in results.curves if curve.points]
    yield "<h2>How much is enough</h2><div class=plots>"
    for kind, of in (("candidates", "candidates that are reranked"), ("characters", "characters that are sent")):
        if those := [curve for curve in curves if curve.kind == kind]:
            yield plot_curves(those, f"{main} against {of}", first, main)
    if priced := [c for c in curves if c.kind == "candidates" and all(p.cost is not None for p in c.points)]:
        yield plot_costs(priced, first, main)
    yield "</div><p>Bands: 95 % intervals. Rings: the smallest points that are no worse than the best.</p><ul>"
    for curve in results.curves:
        yield f"<li>{html.escape(curve.name)}: {html.escape(conclude_curve(curve))}"
    yield "</ul>"


def _write_reranker(
    results: Results, evaluation: Evaluation, after: Mapping[str, Mapping[str, float]]
) -> Iterator[str]:
    main = measure_names(results.k)[0]
    threshold = results.thresholds[evaluation.name]
    differences = {query: value - results.before[main][query] for query, value in after[main].items()}
    scores = split_scores(evaluation).values()
    relevant, others = ([score for sides in scores for score in sides[side].tolist()] for side in (0, 1))
    yield f"<h2>{html.escape(evaluation.name)}</h2><div class=plots>"
    yield plot_gains(list(differences.values()), f"{main} against the first stage")
    yield plot_latencies(evaluation.times)
    yield plot_scores(relevant, others, threshold.score_threshold)
    yield f"</div><p>{html.escape(describe_threshold(evaluation.name, threshold))}</p>"
    if code := write_code(evaluation, threshold):
        yield f"<pre>{html.escape(code)}</pre>"
    yield _list_most_changed(results, differences)


def _list_most_changed(results: Results, differences: Mapping[str, float]) -> str:
    ordered = sorted(differences, key=differences.__getitem__)
    lost = [query for query in ordered[:MOST_CHANGED] if differences[query] < 0]
    gained = [query for query in ordered[: -MOST_CHANGED - 1 : -1] if differences[query] > 0]
    rows = [
        f"<tr><td>{differences[q]:+.3f}</td><td>{html.escape(results.dataset.queries[q])}</td></tr>"
        for q in (*gained, *lost)
    ]
    head = "<tr><th>change</th><th>those that gained, and lost, most</th></tr>"
    return f"<table class=moved>{head}{''.join(rows)}</table>"


_PAGE = """<!doctype html>
<html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width"><title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
td, th {{ padding: .25rem .6rem; border-bottom: 1px solid #8886; text-align: right }}
th:first-child, .moved td:last-child, .moved th {{ text-align: left }}
.wide, pre {{ overflow-x: auto }}
pre {{ border: 1px solid #8886; border-radius: 6px; padding: .5rem .8rem }}
.failed {{ border-left: 4px solid #d9731a; padding-left: .6rem }}
.plots {{ display: flex; flex-wrap: wrap; gap: 1rem; margin: 1rem 0 }}
.plots svg {{ background: #fff; border-radius: 6px; max-width: 100%; height: auto }}
</style>
<h1>{title}</h1>
{body}
</html>
"""
