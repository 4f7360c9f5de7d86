"""The output of the demonstration: how candidates move, and the measures of each ranking."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from hosted_rerank import evaluation
from hosted_rerank.demo.search import Hit
from hosted_rerank.local.faq import Faq

MEASURES = ("nDCG@10", "MRR@10")


def measure(faq: Faq, rankings: Iterable[Sequence[Hit]]) -> tuple[float, ...]:
    """Returns nDCG@10 and MRR@10 of one ranking for each question. Only the answer of its own entry is relevant."""
    ranked = {name: [found.id for found in ranking] for name, ranking in zip(faq.ids, rankings, strict=True)}
    values = evaluation.measure({name: {name: 1} for name in faq.ids}, ranked)
    return tuple(sum(values[name].values()) / len(faq.ids) for name in MEASURES)


def show_measures(console: Console, measured: Mapping[str, tuple[float, ...]]) -> None:
    """Prints one row for each ranking."""
    table = Table("", *MEASURES, title="All questions", title_justify="left")
    for name, values in measured.items():
        table.add_row(name, *(f"{value:.3f}" for value in values))
    console.print(table)


def show_question(
    console: Console,
    title: str,
    before: Sequence[Hit],
    after: Sequence[Hit],
    top_n: int,
    expected: str | None = None,
) -> None:
    """Prints the best answers with their ranks before and after, and the ranks of the `expected` answer."""
    table = Table(title=Text(title), title_justify="left", caption_justify="left", expand=True)
    for name in ("before", "after", "score"):
        table.add_column(name, justify="right")
    table.add_column("answer", ratio=1, no_wrap=True, overflow="ellipsis")
    for place, found in enumerate(after[:top_n], 1):
        answer = Text(" ".join(found.text.split()))
        style = "bold green" if found.id == expected else None
        table.add_row(str(_place(before, found.id)), str(place), f"{found.score:.3f}", answer, style=style)
    if expected is not None:
        places = [_place(ranking, expected) or "not found" for ranking in (before, after)]
        table.caption = f"The answer that was written for this question: {places[0]} before, {places[1]} after."
    console.print(table, "")


def track(console: Console, questions: Sequence[str], description: str) -> Iterator[str]:
    """Yields the questions one by one and shows a progress bar until the last one."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(questions, description=description)


def _place(ranking: Sequence[Hit], wanted: str) -> int | None:
    return next((place for place, found in enumerate(ranking, 1) if found.id == wanted), None)
