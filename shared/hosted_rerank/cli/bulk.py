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

from hosted_rerank.cli.app import EXIT_FAILED_ROWS, commands, fail, parse_provider, report_errors

if TYPE_CHECKING:
    from hosted_rerank.bulk.job import Engine, Progress


@commands.command()
def bulk(
    input: Annotated[Path, typer.Argument(help="A .jsonl or .parquet file, or a folder in BEIR's layout.")],  # noqa: A002 - the argument's name
    output: Annotated[Path, typer.Argument(help="The output folder.")],
    provider: Annotated[str, typer.Option(help="The provider's name.")] = "fireworks",
    model: Annotated[str | None, typer.Option(help="The model; default: the provider's.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Another base URL of the same API.")] = None,
    instruction: Annotated[str | None, typer.Option(help="The instruction for the model.")] = None,
    run: Annotated[Path | None, typer.Option(help="A TREC run with the candidates of a folder's queries.")] = None,
    query: Annotated[str, typer.Option(help="The column of the query.")] = "query",
    documents: Annotated[str, typer.Option(help="The column of the list of documents.")] = "documents",
    ids: Annotated[str | None, typer.Option(help="The column of the list of their ids.")] = None,
    top_n: Annotated[int | None, typer.Option(min=1, help="Documents to keep of each row.")] = None,
    format: Annotated[Literal["jsonl", "parquet"] | None, typer.Option(help="Default: as the input.")] = None,  # noqa: A002 - the option's name
    trec: Annotated[bool, typer.Option("--trec", help="Also write a TREC run.")] = False,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="Where the job runs.")] = "local",
    address: Annotated[str | None, typer.Option(help="The address of the Ray cluster.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="The number of Ray actors.")] = 4,
    concurrency: Annotated[int, typer.Option(min=1, help="Maximum rows in flight of each worker.")] = 32,
    part_rows: Annotated[int, typer.Option(min=1, help="Maximum rows of a part.")] = 1000,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a job in the output folder.")] = False,
) -> None:
    """Rerank the rows of a file in parts. No row is lost, and no finished part is reranked again.

    Exit status: 0; 65 if rows failed for good (the folder's dead-letter/ holds them); 1 for any other failure; 2 for a
    wrong command line.
    """
    parse_provider(provider)
    console = Console(stderr=True)
    with report_errors():
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
        raise typer.Exit(EXIT_FAILED_ROWS)


def _format_count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _make_engine(name: str, workers: int, address: str | None) -> "Engine | None":
    if name == "local":
        return None
    from hosted_rerank.bulk.on_ray import RayEngine  # noqa: PLC0415 - an extra

    return RayEngine(workers, address)


@contextmanager
def _show_progress(console: Console) -> Generator[Callable[["Progress"], None]]:
    """Show a progress bar with rows, tokens, limit and time left on a terminal, with log warnings above it."""
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
