"""The plots of a report, as SVG elements for an HTML page."""

import io
from collections.abc import Sequence
from typing import Any, cast

from matplotlib.figure import Figure  # without pyplot: no window, no state


def plot_gains(differences: Sequence[float], title: str) -> str:
    """Return a bar chart of the change of each query, from the largest gain to the largest loss."""
    figure, axes = _make_figure(title)
    ordered = sorted(differences, reverse=True)
    axes.bar(range(len(ordered)), ordered, width=1.0, color="#4269d0")
    axes.axhline(0, color="#333", linewidth=0.8)
    axes.set_xlabel("queries, by change")
    axes.set_ylabel("change")
    return _render_svg(figure)


def plot_latencies(seconds: Sequence[float]) -> str:
    """Return a histogram of the seconds of reranks."""
    figure, axes = _make_figure("time of a rerank")
    axes.hist(seconds, bins=30, color="#4269d0")
    axes.set_xlabel("seconds")
    axes.set_ylabel("queries")
    return _render_svg(figure)


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
