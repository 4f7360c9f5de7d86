"""`hosted-rerank bulk`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from hosted_rerank.commands.app import BAD_ROWS, FAILED, commands, explained, fail, row_of

if TYPE_CHECKING:
    from hosted_rerank.bulk.job import Engine, Job, PartResult


@commands.command()
def bulk(
    input: Annotated[Path, typer.Argument(help="A .jsonl or .parquet file, or a folder in BEIR's layout.")],  # noqa: A002 - the argument's name
    output: Annotated[Path, typer.Argument(help="A folder for what comes out.")],
    provider: Annotated[str, typer.Option(help="Who is asked.")] = "fireworks",
    model: Annotated[str | None, typer.Option(help="Instead of the default model.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Another address of the same API.")] = None,
    run: Annotated[Path | None, typer.Option(help="The candidates of a folder's queries, as a TREC run.")] = None,
    query: Annotated[str, typer.Option(help="The column of the question.")] = "query",
    documents: Annotated[str, typer.Option(help="The column of the list of texts.")] = "documents",
    ids: Annotated[str | None, typer.Option(help="The column of the list of their ids.")] = None,
    top_n: Annotated[int | None, typer.Option(min=1, help="Documents to keep of each row.")] = None,
    format: Annotated[str | None, typer.Option(help="jsonl or parquet; else what comes in.")] = None,  # noqa: A002 - the option's name
    trec: Annotated[bool, typer.Option("--trec", help="Write a TREC run too.")] = False,
    engine: Annotated[str, typer.Option(help="local, or ray.")] = "local",
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
    if engine not in ("local", "ray"):
        raise typer.BadParameter("it is local or ray.", param_hint="--engine")
    if format not in (None, "jsonl", "parquet"):
        raise typer.BadParameter("it is jsonl or parquet.", param_hint="--format")
    row_of(provider)
    console = Console(stderr=True)
    with explained():
        from hosted_rerank.bulk.batch import Columns  # noqa: PLC0415 - quick help
        from hosted_rerank.bulk.job import Job, JobError, run_job  # noqa: PLC0415 - likewise

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
            settings={} if base_url is None else {"base_url": base_url},
        )
        with _Progress(console, job) as progress:
            work = _engine(engine, workers, address, progress)
            try:
                result = run_job(job, resume=resume, engine=work, told=progress.part)
            except JobError as error:
                fail(str(error), FAILED)
    said = f"{result.rows:,} rows in {result.parts:,} parts, {result.tokens:,} tokens"
    console.print(said + (f", {result.failed:,} failed: {output / 'dead-letter'}" if result.failed else ""))
    if result.failed:
        raise typer.Exit(BAD_ROWS)


def _engine(name: str, workers: int, address: str | None, progress: "_Progress") -> "Engine":
    if name == "ray":
        from hosted_rerank.bulk.on_ray import RayEngine  # noqa: PLC0415 - an extra

        return RayEngine(workers, address)
    from hosted_rerank.bulk.job import work_here  # noqa: PLC0415 - quick help

    return lambda job, parts: work_here(job, parts, row=progress.row)


class _Progress:
    """A bar with rows, tokens, the rate and the time left."""

    def __init__(self, console: Console, job: "Job") -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TaskProgressColumn(show_speed=True))
        more = (TextColumn("{task.fields[tokens]:,} tokens"), TextColumn("left"), TimeRemainingColumn())
        self._bar = Progress(TextColumn("rows"), *columns, *more, console=console, disable=not console.is_terminal)
        self._job = job
        self._rows = 0

    def __enter__(self) -> "_Progress":
        self._bar.__enter__()
        self._task = self._bar.add_task("rows", total=None, tokens=0)
        return self

    def __exit__(self, *error: Any) -> None:
        self._bar.__exit__(*error)

    def row(self, done: Any) -> None:
        """Count a row, and its tokens."""
        self._rows += 1
        tokens = self._bar.tasks[0].fields["tokens"] + (done.tokens or 0)
        self._bar.update(self._task, advance=1, tokens=tokens)

    def part(self, result: "PartResult") -> None:
        """Count what of a part was not counted row by row."""
        left, self._rows = max(0, result.rows - self._rows), 0
        tokens = result.tokens if left == result.rows else 0
        self._bar.update(self._task, advance=left, tokens=self._bar.tasks[0].fields["tokens"] + tokens)
