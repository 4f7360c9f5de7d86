"""`hosted-rerank bulk`."""

import logging
import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from hosted_rerank.cli.app import BAD_ROWS, commands, explained, fail, row_of

if TYPE_CHECKING:
    from hosted_rerank.bulk.job import Engine, Progress


@commands.command()
def bulk(
    input: Annotated[Path, typer.Argument(help="A .jsonl or .parquet file, or a folder in BEIR's layout.")],  # noqa: A002 - the argument's name
    output: Annotated[Path, typer.Argument(help="A folder for what comes out.")],
    provider: Annotated[str, typer.Option(help="Who is asked.")] = "fireworks",
    model: Annotated[str | None, typer.Option(help="Instead of the default model.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Another address of the same API.")] = None,
    instruction: Annotated[str | None, typer.Option(help='What "relevant" shall mean.')] = None,
    run: Annotated[Path | None, typer.Option(help="The candidates of a folder's queries, as a TREC run.")] = None,
    query: Annotated[str, typer.Option(help="The column of the question.")] = "query",
    documents: Annotated[str, typer.Option(help="The column of the list of texts.")] = "documents",
    ids: Annotated[str | None, typer.Option(help="The column of the list of their ids.")] = None,
    top_n: Annotated[int | None, typer.Option(min=1, help="Documents to keep of each row.")] = None,
    format: Annotated[Literal["jsonl", "parquet"] | None, typer.Option(help="Else what comes in.")] = None,  # noqa: A002 - the option's name
    trec: Annotated[bool, typer.Option("--trec", help="Write a TREC run too.")] = False,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="Who works.")] = "local",
    address: Annotated[str | None, typer.Option(help="The Ray cluster's.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Actors on Ray.")] = 4,
    concurrency: Annotated[int, typer.Option(min=1, help="Rows under way at once, of each worker.")] = 32,
    part_rows: Annotated[int, typer.Option(min=1, help="Rows that are written at once.")] = 1000,
    resume: Annotated[bool, typer.Option("--resume", help="Do what is missing of a job.")] = False,
) -> None:
    """Rerank the rows of a file, in parts that are never lost and never done twice.

    Exit status: 0; 65 if rows failed for good (they are in the folder's dead-letter/); 1 for what else ends it; 2 for a
    wrong command line.
    """
    row_of(provider)
    console = Console(stderr=True)
    with explained():
        from hosted_rerank.bulk import Columns, Job, JobError, run_job  # noqa: PLC0415 - quick help

        settings = {"base_url": base_url, "instruction": instruction}
        job = Job(
            input=input.resolve(),
            output=output.resolve(),
            run=run and run.resolve(),
            provider=provider,
            model=model,
            columns=Columns(query, documents, ids),
            top_n=top_n,
            concurrency=concurrency,
            part_rows=part_rows,
            format=format,
            trec=trec,
            settings={name: value for name, value in settings.items() if value is not None},
        )
        with _show_progress(console) as show:
            try:
                result = run_job(job, resume=resume, engine=_make_engine(engine, workers, address), on_progress=show)
            except JobError as error:
                fail(str(error))
    rows, parts = _format_count(result.rows, "row"), _format_count(result.parts, "part")
    summary = f"{rows} in {parts}, {_format_count(result.tokens, 'token')}"
    summary += f", {result.failed:,} failed: {output / 'dead-letter'}" if result.failed else ""
    console.print(summary, markup=False, highlight=False, soft_wrap=True)
    if result.failed:
        raise typer.Exit(BAD_ROWS)


def _format_count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _make_engine(name: str, workers: int, address: str | None) -> "Engine | None":
    if name == "local":
        return None
    from hosted_rerank.bulk.on_ray import RayEngine  # noqa: PLC0415 - an extra

    return RayEngine(workers, address)


@contextmanager
def _show_progress(console: Console) -> Generator[Callable[["Progress"], None]]:
    """A bar with rows, tokens, the API's limit and the time left, on a terminal; above it, why a job stands still."""
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TextColumn("{task.fields[more]}"),
    )
    left = (TextColumn("left"), TimeRemainingColumn())
    with Bar(TextColumn("rows"), *columns, *left, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("rows", total=None, more="")

        def show(progress: "Progress") -> None:
            limit = "no limit met" if math.isinf(progress.rate) else f"limit {progress.rate:,.3g} requests/s"
            more = ", ".join([f"{progress.tokens:,} tokens", limit, *_format_failed(progress.failed)])
            bar.update(task, total=progress.total, completed=progress.rows, more=more)

        logger, warnings = logging.getLogger("hosted_rerank"), RichHandler(logging.WARNING, console, show_path=False)
        logger.addHandler(warnings)
        try:
            yield show
        finally:
            logger.removeHandler(warnings)


def _format_failed(rows: int) -> list[str]:
    return [f"{rows:,} failed"] if rows else []
