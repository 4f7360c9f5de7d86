"""Renders a ranking as a table: HTML for notebooks, rich for terminals, and plain text.

The functions take lines, a title and a line to put below the table. They escape all texts, so HTML in a document is
shown and not executed.
"""

import html
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.table import Table

_MAX_TEXT_CHARS = 110
"""The largest number of characters of a text."""
_BAR_WIDTH = 10
"""The number of characters of a full bar in a terminal."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table: a document with its old and its new rank."""

    after: int
    """The new rank, from 1."""
    before: int | None
    """The old rank, from 1; `None` for a document without one."""
    score: float | None
    """The relevance score; `None` for an unscored document."""
    text: str = ""
    """The text of the document; an empty text leaves the column out."""
    error: str | None = None
    """The name of the error that left the document unscored."""

    @property
    def was(self) -> str:
        """The old rank as text; empty if there is none."""
        return "" if self.before is None else str(self.before)

    @property
    def move(self) -> str:
        """The difference of the ranks, with an arrow, so that it needs no colour."""
        if self.before is None:
            return "new"
        up = self.before - self.after
        return f"▲ {up}" if up > 0 else f"▼ {-up}" if up < 0 else "="

    @property
    def words(self) -> str:
        """The beginning of the text, on one line."""
        return _cut(" ".join(self.text[: 4 * _MAX_TEXT_CHARS].split()), _MAX_TEXT_CHARS)

    @property
    def shown_score(self) -> str:
        """The score as text, or the name of the error."""
        return self.error or ("" if self.score is None else f"{self.score:.4g}")


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 1] + "…"


def _bar_fractions(lines: Sequence[Line]) -> list[float]:
    """Return the length of each bar from 0 to 1, scaled to the range of the scores if that exceeds 0 to 1."""
    scores = [line.score for line in lines if line.score is not None]
    low, high = min([0.0, *scores]), max([1.0, *scores])
    if low < 0 or high > 1:
        low, high = min(scores), max(scores)
    spread = (high - low) or 1.0
    return [0.0 if line.score is None else (line.score - low) / spread for line in lines]


def as_html(lines: Sequence[Line], title: str = "", below: str = "") -> str:
    """Return an HTML table that fits a light and a dark notebook."""
    texts = any(line.text for line in lines)
    rows = "".join(
        f"<tr><td>{line.after}</td><td>{line.was}</td><td>{line.move}</td>"
        f'<td style="text-align:left;white-space:nowrap"><span style="display:inline-block;width:{80 * fraction:.0f}px;'
        f'height:.7em;margin-right:.5em;border-radius:2px;background:#4269d0"></span>{html.escape(line.shown_score)}</td>'
        + (f'<td style="text-align:left">{html.escape(line.words)}</td>' if texts else "")
        + "</tr>"
        for line, fraction in zip(lines, _bar_fractions(lines), strict=True)
    )
    names = ("rank", "before", "move", "score", *(("text",) if texts else ()))
    left = ' style="text-align:left"'
    head = "".join(f"<th{left if name in ('score', 'text') else ''}>{name}</th>" for name in names)
    caption = f'<div style="font-weight:600;margin:.3em 0">{html.escape(title)}</div>' if title else ""
    foot = f'<div style="opacity:.75;font-size:90%;margin:.3em 0">{html.escape(below)}</div>'
    return f'{caption}<table style="font-variant-numeric:tabular-nums"><tr>{head}</tr>{rows}</table>{foot}'


def as_table(lines: Sequence[Line], title: str = "", below: str = "") -> "Table":
    """Return a table for a terminal. It needs rich."""
    from rich.table import Table  # noqa: PLC0415 - an extra
    from rich.text import Text  # noqa: PLC0415 - an extra

    texts = any(line.text for line in lines)
    table = Table(title=Text(title) if title else None, title_justify="left", expand=texts)
    table.caption, table.caption_justify = Text(below), "left"
    justify: Literal["left", "right"]
    for name in ("rank", "before", "move", "score"):
        justify = "left" if name == "score" else "right"
        table.add_column(name, justify=justify, no_wrap=True)
    if texts:
        table.add_column("text", ratio=1, no_wrap=True, overflow="ellipsis")
    for line, fraction in zip(lines, _bar_fractions(lines), strict=True):
        bar = "█" * round(_BAR_WIDTH * fraction)
        score = Text(f"{bar:{_BAR_WIDTH}} {line.shown_score}")
        table.add_row(str(line.after), line.was, line.move, score, *([Text(line.words)] if texts else []))
    return table


def as_text(lines: Sequence[Line], title: str = "", below: str = "") -> str:
    """Return the table as plain text, for a log or without rich; long texts are cut to fit the terminal."""
    starts = [f"{line.after:>4} {line.was:>6} {line.move:>6}  {line.shown_score:<10}  " for line in lines]
    width = shutil.get_terminal_size((0, 0)).columns or max(map(len, starts), default=0) + _MAX_TEXT_CHARS
    rows = [start + _cut(line.words, max(width - len(start), 1)) for start, line in zip(starts, lines, strict=True)]
    return "\n".join(filter(None, (title, "rank before   move  score", *map(str.rstrip, rows), below)))
