"""Plots of a rerank by matplotlib. Hatching, dashes and markers make them readable without colour."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hosted_rerank.display.compare import Comparison, compare
from hosted_rerank.response import RerankResponse

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_UP, _DOWN, _GONE = "#4269d0", "#b5651d", "#999999"
_MAX_LABEL_CHARS = 42
"""The largest number of characters of a label."""


def plot_ranks(
    before: Sequence[Any] | Comparison,
    after: Sequence[Any] | RerankResponse | None = None,
    *,
    top: int = 10,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw how the documents moved: the old ranks on the left, the new ranks on the right.

    Args:
        before: The candidates in their original order, or a `Comparison`.
        after: The reranked candidates, as `compare` takes them; unused with a `Comparison`.
        top: The number of ranks to show on both sides. A line from or to a lower rank starts or ends at the edge.
        ax: The axes to draw on; `None` draws on a new figure.

    Returns:
        The axes with the plot.

    Raises:
        ImportError: matplotlib is not installed.
    """
    drawn = before if isinstance(before, Comparison) else compare(before, () if after is None else after)
    chosen = _axes_or_new(ax, height=0.42 * (top + 2))
    axes: Any = chosen  # the types of matplotlib are incomplete
    for line in (*drawn.lines, *drawn.left_out):
        start = min(line.before or top + 1, top + 1)
        end = top + 1 if line in drawn.left_out else min(line.after, top + 1)
        if start > top and end > top:
            continue
        gone, rises = end > top, end < start
        colour, style = (_GONE, ":") if gone else (_UP, "-") if rises else (_DOWN, "--")
        width = 2.2 if rises and not gone else 1.3
        axes.plot([0, 1], [start, end], style, color=colour, linewidth=width, marker="o", markersize=4, clip_on=False)
        if not gone:
            score = "" if line.score is None else f"{line.score:.2f}  "
            axes.text(1.04, end, score + _label(line.words), va="center", fontsize=9)
        if start <= top:
            axes.text(-0.04, start, str(start), va="center", ha="right", fontsize=9)
    axes.text(-0.04, top + 1, "further down", va="center", ha="right", fontsize=9, color=_GONE)
    axes.set(xlim=(-0.02, 1.02), ylim=(top + 1.5, 0.5), xticks=[0, 1], xticklabels=["before", "after"], yticks=[])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(drawn.title, loc="left", fontsize=10)
    return chosen


def plot_scores(
    scores: Sequence[float | None] | RerankResponse,
    *,
    relevant: Sequence[bool] | None = None,
    threshold: float | None = None,
    bins: int = 30,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw a histogram of scores, and the position of a threshold.

    Args:
        scores: The scores of one response or of several; `None` is skipped.
        relevant: For each score, whether its document is relevant; `None` if it is unknown.
        threshold: The `score_threshold` to mark; `None` marks none.
        bins: The number of bins of the histogram.
        ax: The axes to draw on; `None` draws on a new figure.

    Returns:
        The axes with the plot.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: `relevant` and `scores` differ in length.
    """
    given = [r.relevance_score for r in scores.results] if isinstance(scores, RerankResponse) else list(scores)
    if relevant is not None and len(relevant) != len(given):
        raise ValueError(f"relevant must have a value for each score: {len(given)} scores, {len(relevant)} judgements")
    judged = [(score, relevant[place] if relevant else False) for place, score in enumerate(given) if score is not None]
    chosen = _axes_or_new(ax, height=3.2)
    axes: Any = chosen
    parts = [[score for score, is_relevant in judged if is_relevant == wanted] for wanted in (False, True)]
    names = ["irrelevant", "relevant"] if relevant is not None else ["documents", ""]
    used = parts if relevant is not None else parts[:1]
    _, _, drawn = axes.hist(
        used,
        bins=bins,
        stacked=True,
        color=["#cfd6e6", _UP][: len(used)],
        label=names[: len(used)],
        edgecolor="#555",
        linewidth=0.4,
    )
    if relevant is not None:
        for bar in drawn[1]:
            bar.set_hatch("////")
        axes.legend(frameon=False, fontsize=9)
    if threshold is not None:
        kept = sum(score >= threshold for score, _ in judged)
        axes.axvline(threshold, color="#222", linestyle="--", linewidth=1.4)
        axes.set_title(f"threshold {threshold:g} keeps {kept} of {len(judged)}", loc="left", fontsize=10)
    axes.set(xlabel="relevance score", ylabel="documents")
    axes.spines[["top", "right"]].set_visible(False)
    return chosen


def _label(words: str) -> str:
    text = words if len(words) <= _MAX_LABEL_CHARS else words[: _MAX_LABEL_CHARS - 1] + "…"
    return text.replace("$", r"\$")  # a bare $ would start a formula


def _axes_or_new(ax: "Axes | None", height: float) -> "Axes":
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot as plt  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as missing:
        raise ImportError(
            "plots need matplotlib: pip install 'hosted-rerank[notebook]'", name=missing.name
        ) from missing
    axes: Axes = plt.subplots(figsize=(6.4, height), layout="constrained")[1]
    return axes
