"""The plots of a report, as SVG elements for an HTML page."""

import io
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from matplotlib.figure import Figure  # without pyplot: no window, no state

from hosted_rerank.evaluation.curves import Curve, CurvePoint

COLOURS = ("#4269d0", "#d9731a", "#3ca951", "#a463f2", "#e3479a", "#8a6d00", "#2a9fb0")
BLUE, GREY = COLOURS[0], "#9aa0a6"


def plot_gains(differences: Sequence[float], title: str) -> str:
    """Return a bar chart of the change of each query, from the largest gain to the largest loss.

    Args:
        differences: The change of each query.
        title: The title.
    """
    figure, axes = _make_figure(title)
    ordered = sorted(differences, reverse=True)
    axes.bar(range(len(ordered)), ordered, width=1.0, color=BLUE)
    axes.axhline(0, color="#333", linewidth=0.8)
    axes.set_xlabel("queries, by change")
    axes.set_ylabel("change")
    return _render_svg(figure)


def plot_latencies(seconds: Sequence[float]) -> str:
    """Return a histogram of the seconds of reranks.

    Args:
        seconds: The seconds of each rerank.
    """
    figure, axes = _make_figure("time of a rerank")
    axes.hist(seconds, bins=30, color=BLUE)
    axes.set_xlabel("seconds")
    axes.set_ylabel("queries")
    return _render_svg(figure)


def plot_scores(relevant: Sequence[float], others: Sequence[float], threshold: float | None) -> str:
    """Return the distributions of the scores of relevant and of other candidates, with the threshold.

    Args:
        relevant: The scores of the relevant candidates.
        others: The scores of the other ones.
        threshold: The threshold; `None` for no line.
    """
    figure, axes = _make_figure("scores of relevant and other candidates")
    bins = np.histogram_bin_edges([*relevant, *others] or [0.0], bins=40)
    for scores, colour, label in ((others, GREY, "others"), (relevant, BLUE, "relevant")):
        if scores:
            weights = np.full(len(scores), 100 / len(scores))
            axes.hist(scores, bins=bins, weights=weights, color=colour, alpha=0.65, label=label)
    if threshold is not None:
        axes.axvline(threshold, color="#333", linestyle="--", linewidth=1.2, label=f"threshold {threshold:g}")
    axes.set_xlabel("score")
    axes.set_ylabel("% of the documents of each kind")
    if relevant or others:
        axes.legend(frameon=False, fontsize=8)
    return _render_svg(figure)


def plot_curves(curves: Sequence[Curve], title: str, first_stage: float, measure: str) -> str:
    """Return the quality of rerankers against candidates or characters; a ring is the smallest point that is enough.

    Args:
        curves: Curves of one kind.
        title: The title.
        first_stage: The quality of the first stage.
        measure: The name of the measure.
    """
    largest = max((point.x for curve in curves for point in curve.points if point.x is not None), default=1)
    figure, axes = _make_figure(title)
    _draw_curves(axes, curves, lambda point: float(point.x or 2 * largest))  # all: beyond the longest cut
    axes.axhline(first_stage, color="#333", linestyle=":", linewidth=1, label="first stage")
    axes.set_xscale("log")
    shown = {point.x for curve in curves for point in curve.points}
    ticks = sorted(shown, key=lambda x: x or 2 * largest)
    axes.set_xticks([x or 2 * largest for x in ticks], ["all" if x is None else f"{x:,}" for x in ticks])
    axes.minorticks_off()
    axes.set_xlabel("candidates" if curves[0].kind == "candidates" else "characters of a document")
    axes.set_ylabel(measure)
    axes.legend(frameon=False, fontsize=8)
    return _render_svg(figure)


def plot_costs(curves: Sequence[Curve], first_stage: float, measure: str) -> str:
    """Return the quality of rerankers against the money for 1,000 queries.

    Args:
        curves: Curves with costs.
        first_stage: The quality of the first stage.
        measure: The name of the measure.
    """
    figure, axes = _make_figure(f"{measure} against money")
    _draw_curves(axes, curves, lambda point: point.cost or 0.0)
    axes.axhline(first_stage, color="#333", linestyle=":", linewidth=1, label="first stage")
    axes.set_xlim(left=0)
    axes.set_xlabel("money for 1,000 queries")
    axes.set_ylabel(measure)
    axes.legend(frameon=False, fontsize=8)
    return _render_svg(figure)


def _draw_curves(axes: Any, curves: Sequence[Curve], place: Callable[[CurvePoint], float]) -> None:
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        xs, points = [place(point) for point in curve.points], curve.points
        axes.plot(xs, [p.value for p in points], marker="o", markersize=4, color=colour, label=curve.name)
        axes.fill_between(xs, [p.low for p in points], [p.high for p in points], color=colour, alpha=0.12, linewidth=0)
        enough = [(x, point.value) for x, point in zip(xs, points, strict=True) if point.x == curve.enough]
        axes.scatter(*zip(*enough, strict=True), s=110, facecolors="none", edgecolors=colour, linewidths=1.6)


def _make_figure(title: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(5.6, 3.2), layout="constrained")
    axes: Any = figure.subplots()
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _render_svg(figure: Figure) -> str:
    text = io.StringIO()
    cast(Any, figure).savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return text.getvalue().partition("<svg")[1] + text.getvalue().partition("<svg")[2]
