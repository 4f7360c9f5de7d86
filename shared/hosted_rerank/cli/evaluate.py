"""`hosted-rerank evaluate`."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from hosted_rerank.cli.app import EXIT_UNAVAILABLE, commands, parse_provider, report_errors

if TYPE_CHECKING:
    from hosted_rerank.evaluation import Dataset, Evaluation
    from hosted_rerank.providers import Provider


@commands.command()
def evaluate(
    data: Annotated[Path | None, typer.Option(help="A folder in BEIR's layout; default: the Python FAQ.")] = None,
    provider: Annotated[list[str], typer.Option(help="NAME or NAME=MODEL; repeat it to compare several.")] = ["local"],  # noqa: B006 - typer copies it
    split: Annotated[str, typer.Option(help="The split; its judgements are qrels/SPLIT.tsv.")] = "test",
    qrels: Annotated[Path | None, typer.Option(help="A file of judgements instead, BEIR's or TREC's.")] = None,
    run: Annotated[Path | None, typer.Option(help="A TREC run as the first stage; default: BM25.")] = None,
    joined: Annotated[int, typer.Option(min=1, help="Answers of the FAQ in one document; more make it long.")] = 1,
    long_documents: Annotated[
        Literal["truncate", "passages"], typer.Option(help="Whether long documents go as passages.")
    ] = "truncate",
    candidates: Annotated[int, typer.Option(min=1, help="Maximum documents to rerank for each query.")] = 100,
    k: Annotated[int, typer.Option(min=1, help="Cutoff rank of nDCG, MRR and recall.")] = 10,
    concurrency: Annotated[int, typer.Option(min=1, help="Maximum queries in flight.")] = 8,
    output: Annotated[Path | None, typer.Option(help="Folder for outcomes, runs, report.json, report.html.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the output folder.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the report as JSON, not as a table.")] = False,
) -> None:
    """Evaluate rerankers on labelled queries: quality, latency and tokens, compared with the first stage.

    Exit status 75: some queries failed. Another run with --resume sends them again.
    """
    if resume and output is None:
        raise typer.BadParameter("--resume requires --output: pass the folder to continue from.", param_hint="--resume")
    chosen = [(parse_provider(name), model or None) for name, _, model in (each.partition("=") for each in provider)]
    console = Console(stderr=True)
    with report_errors():
        from hosted_rerank import evaluation  # noqa: PLC0415 - heavy, and an extra

        if data is None:
            dataset = evaluation.load_faq_dataset(candidates, joined=joined)
        else:
            dataset = evaluation.load_dataset(data, split=split, qrels=qrels, run=run, candidates=candidates)
        if output is not None:
            output.mkdir(parents=True, exist_ok=resume)
        done = [_evaluate(console, dataset, row, model, concurrency, output, long_documents) for row, model in chosen]
        report = evaluation.Report(dataset, done, k)
        if output is not None:
            (output / "report.json").write_text(report.json(), encoding="utf-8")
            (output / "report.html").write_text(report.html(), encoding="utf-8")
    if json:
        typer.echo(report.json())
    else:
        Console(width=None if sys.stdout.isatty() else 200).print(report.table())
    if any(row.failures for row in report.rows):
        raise typer.Exit(EXIT_UNAVAILABLE)


def _evaluate(
    console: Console,
    dataset: "Dataset",
    row: "Provider",
    model: str | None,
    concurrency: int,
    output: Path | None,
    long_documents: Literal["truncate", "passages"],
) -> "Evaluation":
    from hosted_rerank.evaluation import evaluate as run  # noqa: PLC0415 - heavy, and an extra
    from hosted_rerank.reranker import Reranker  # noqa: PLC0415 - quick help

    name = " ".join(filter(None, (row.name, model, "by passages" if long_documents == "passages" else "")))
    stem = None if output is None else output / "".join(c if c.isalnum() or c in "-._" else "-" for c in name)
    with (
        Reranker(row, model, long_documents=long_documents) as reranker,
        _progress(console, name, len(dataset.queries)) as (bar, task),
    ):
        checkpoint = None if stem is None else stem.with_name(stem.name + ".jsonl")
        done = run(
            reranker,
            dataset,
            name=name,
            concurrency=concurrency,
            checkpoint=checkpoint,
            on_progress=lambda _: bar.advance(task),
        )
    if stem is not None:
        stem.with_name(stem.name + ".run").write_text("".join(done.trec_run()), encoding="utf-8")
    return done


@contextmanager
def _progress(console: Console, name: str, total: int) -> Generator[tuple[Progress, TaskID]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    speed = (TaskProgressColumn(show_speed=True), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *speed, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield bar, bar.add_task(name, total=total)
