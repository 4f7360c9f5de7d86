"""The log and the progress bar of a command. In a narrow terminal the bar shortens texts, never numbers."""

import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

WHOLE, GIVES_WAY = Column(no_wrap=True), Column()
NUMBERS_WIDTH = 36
"""The width of the bar's own numbers: its percentage or speed, the time that is left, the spaces between."""


@contextmanager
def show_log(console: Console, level: int) -> Generator[None]:
    """Shows the log while the context is open.

    Args:
        console: The console that shows it.
        level: The least level of a line.
    """
    logger, handler = logging.getLogger("hosted_rerank"), RichHandler(level, console, show_path=False)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def progress_bar(console: Console, *, transient: bool = False) -> Progress:
    """Returns a bar whose tasks have a description and the field `more`, which may be empty.

    Args:
        console: The console that shows the bar. If it is not a terminal, the bar is hidden.
        transient: Whether it vanishes at the end.
    """
    columns: Sequence[ProgressColumn] = (
        TextColumn("{task.description}", table_column=GIVES_WAY),
        BarColumn(table_column=GIVES_WAY),
        MofNCompleteColumn(table_column=WHOLE),
        TaskProgressColumn(show_speed=True, table_column=WHOLE),
        TextColumn("{task.fields[more]}left", table_column=WHOLE),
        TimeRemainingColumn(table_column=WHOLE),
    )
    return Progress(*columns, console=console, transient=transient, disable=not console.is_terminal)


def fit(parts: Sequence[str], total: int, width: int) -> str:
    """Returns those parts, from the first one, that a bar's line has place for.

    Args:
        parts: What to say beside the bar, the most important first.
        total: The total of the task.
        width: The width of the terminal.
    """
    room, shown = width - NUMBERS_WIDTH - 2 * len(str(total)), ""
    for part in parts:
        if len(shown) + len(part) + 2 > room:
            break
        shown += f"{part}, "
    return shown
