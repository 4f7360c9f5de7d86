"""Plots of a rerank by matplotlib. Hatching, dashes and markers make them readable without colour."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hosted_rerank._table_rendering import Line
from hosted_rerank.display.compare import Comparison, compare
from hosted_rerank.response import RerankResponse

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_UP, _DOWN, _GONE = "#4269d0", "#b5651d", "#999999"
_STYLES = {
    "rises": (_UP, "-", 2.2),
    "falls": (_DOWN, "--", 1.3),
    "stays": ("#767676", "-", 1.3),
    "left out": (_GONE, ":", 1.3),
}
"""The colour, style and width of a line."""
_PLAIN: Mapping[str, Any] = {"frameon": False, "fontsize": 9}
_MAX_LABEL_CHARS = 42
"""The largest number of characters of a label."""


def plot_ranks(
    before: Sequence[Any] | Comparison,
    after: Sequence[Any] | RerankResponse | None = None,
    *,
    top: int = 10,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw how the documents moved: the old ranks on the left, the new ranks on the right, with texts on both sides.

    Args:
        before: The candidates in their original order, or a `Comparison`.
        after: The reranked candidates, as `compare` takes them; unused with a `Comparison`.
        top: The number of ranks to show on both sides. What comes from or goes to a lower rank stands below a line,
            with its rank.
        ax: The axes to draw on; `None` draws on a new figure.

    Returns:
        The axes with the plot.

    Raises:
        ImportError: matplotlib is not installed.
    """
    drawn = before if isinstance(before, Comparison) else compare(before, () if after is None else after)
    moves = [_Move(line, None if line in drawn.left_out else line.after) for line in (*drawn.lines, *drawn.left_out)]
    top = min(top, max((rank for move in moves for rank in (move.start, move.end) if rank), default=top))
    moves = [move for move in moves if _in_top(move.start, top) or _in_top(move.end, top)]
    left = _positions([move.start for move in moves], top)
    right = _positions([move.end for move in moves], top)
    last = max((top, *left, *right))
    chosen = _axes_or_new(ax, height=0.34 * (last + 3), width=11)
    axes: Any = chosen  # the types of matplotlib are incomplete
    for move, start, end in zip(moves, left, right, strict=True):
        colour, style, width = _STYLES[move.kind]
        line = {"color": colour, "linestyle": style, "linewidth": width, "marker": "o", "markersize": 4}
        axes.plot([0, 1], [start, end], label=move.kind, clip_on=False, **line)
        words = _label(move.line.words)
        score = "" if move.line.score is None else f"{move.line.score:.2f}  "
        axes.text(-0.03, start, f"{words}  {move.start or 'new'}", va="center", ha="right", fontsize=9)
        axes.text(1.03, end, f"{move.end or 'left out'}  {score}{words}", va="center", fontsize=9)
    if last > top:
        axes.axhline(top + 0.5, color=_GONE, linewidth=0.8, xmin=-0.5, xmax=1.5, clip_on=False)
    axes.set(xlim=(0, 1), ylim=(last + 0.7, 0.3), xticks=[0, 1], xticklabels=["before", "after"], yticks=[])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(drawn.title, loc="left", fontsize=10)
    handles = {move.kind: line for move, line in zip(moves, axes.get_lines(), strict=False)}
    kinds = [kind for kind in _STYLES if kind in handles]
    axes.legend(
        [handles[kind] for kind in kinds], kinds, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=4, **_PLAIN
    )
    return chosen


@dataclass(frozen=True, slots=True)
class _Move:
    """The way of a document from its old to its new rank."""

    line: Line
    end: int | None
    """The new rank, from 1; `None` for a document that was left out."""

    @property
    def start(self) -> int | None:
        """The old rank, from 1; `None` for a new document."""
        return self.line.before

    @property
    def kind(self) -> str:
        """What happened to the document, in a word for the legend."""
        if self.end is None:
            return "left out"
        if self.start is None or self.end < self.start:
            return "rises"
        return "stays" if self.start == self.end else "falls"


def _in_top(rank: int | None, top: int) -> bool:
    return rank is not None and rank <= top


def _positions(ranks: Sequence[int | None], top: int) -> list[int]:
    """Return the height at which each rank is drawn: its own in the top, and below that one after the other."""
    below = sorted((rank or math.inf, place) for place, rank in enumerate(ranks) if not _in_top(rank, top))
    heights = {place: top + number for number, (_, place) in enumerate(below, 1)}
    return [heights.get(place, rank or 0) for place, rank in enumerate(ranks)]


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
        axes.legend(**_PLAIN)
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


def _axes_or_new(ax: "Axes | None", height: float, width: float = 6.4) -> "Axes":
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot as plt  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as missing:
        raise ImportError(
            "plots need matplotlib: pip install 'hosted-rerank[notebook]'", name=missing.name
        ) from missing
    axes: Axes = plt.subplots(figsize=(width, height), layout="constrained")[1]
    return axes
