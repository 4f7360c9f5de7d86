"""The progress and the summary of `hosted-rerank bulk`."""

import json
import logging
import math
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from hosted_rerank.cli.progress_bar import fit, progress_bar, show_log

if TYPE_CHECKING:
    from hosted_rerank.bulk.job import JobResult, Progress

LOG_INTERVAL = 30.0
"""Seconds between two lines of progress where standard error is no terminal."""


def print_summary(result: "JobResult", folder: str, *, as_json: bool) -> None:
    """Print the counts of a finished job: a line on standard error, or JSON on standard output.

    Args:
        result: The counts.
        folder: The output folder.
        as_json: Whether to print JSON.
    """
    if as_json:
        typer.echo(json.dumps({**asdict(result), "output": folder}))
        return
    rows, parts = _format_count(result.rows, "row"), _format_count(result.parts, "part")
    summary = f"{rows} in {parts}, {_format_count(result.tokens, 'token')}"
    summary += f", {result.failed:,} failed: {folder.rstrip('/')}/dead-letter" if result.failed else ""
    Console(stderr=True).print(summary, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def show_progress() -> Generator[Callable[["Progress"], None]]:
    """Yield a function that shows progress: a bar on a terminal, else a line every half minute; with log warnings."""
    console = Console(stderr=True)
    with show_log(console, logging.WARNING):
        if console.is_terminal:
            with _show_bar(console) as show:
                yield show
        else:
            yield ProgressLines(typer.echo)


class ProgressLines:
    """A function that writes the progress as a line every half minute.

    Args:
        write: A function that takes a line, and `err`.
        clock: A function that returns the time in seconds.
    """

    def __init__(self, write: Callable[..., object], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._start = self._last = clock()
        self._first_rows: int | None = None

    def __call__(self, progress: "Progress") -> None:
        now = self._clock()
        if self._first_rows is None:
            self._first_rows = progress.rows
        if now - self._last < LOG_INTERVAL:
            return
        self._last = now
        rate = (progress.rows - self._first_rows) / (now - self._start)
        left = f"{(progress.total - progress.rows) / rate / 60:,.0f} min left" if rate else "time left unknown"
        speed = f"{rate:,.3g} rows/s"
        more = ", ".join([speed, *_describe(progress), left])
        self._write(f"{progress.rows:,} of {progress.total:,} rows, {more}", err=True)


@contextmanager
def _show_bar(console: Console) -> Generator[Callable[["Progress"], None]]:
    with progress_bar(console) as bar:
        task = bar.add_task("rows", total=None, more="")
        yield lambda progress: bar.update(
            task,
            total=progress.total,
            completed=progress.rows,
            more=fit(_describe(progress), progress.total, console.width),
        )


def _describe(progress: "Progress") -> list[str]:
    limit = "no limit met" if math.isinf(progress.rate) else f"limit {progress.rate:,.3g} requests/s"
    failed = [f"{progress.failed:,} failed"] if progress.failed else []
    return [*failed, f"{progress.tokens:,} tokens", limit]


def _format_count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
