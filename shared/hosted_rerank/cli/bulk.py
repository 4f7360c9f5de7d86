"""`hosted-rerank bulk`."""

import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hosted_rerank.cli.app import (
    EXIT_FAILED,
    EXIT_FAILED_ROWS,
    BaseUrlOption,
    InstructionOption,
    ModelOption,
    ProviderOption,
    check_key,
    commands,
    exit_status,
    fail,
    parse_provider,
    report_errors,
)
from hosted_rerank.cli.bulk_report import print_summary, show_progress
from hosted_rerank.cli.standard_streams import copy_input, temporary_output

if TYPE_CHECKING:
    from hosted_rerank.bulk.job import Engine

EXIT_TERMINATED = 128 + signal.SIGTERM
"""The exit status after SIGTERM, as shells have it."""
GO_ON = "run the same command with --resume to go on; no row whose answer arrived is paid for again"


@commands.command()
def bulk(
    input: Annotated[  # noqa: A002 - the argument's name
        str,
        typer.Argument(help="A file, a folder, a glob or a folder in BEIR's layout, by path or URI; - for JSONL."),
    ],
    output: Annotated[str, typer.Argument(help="The output folder, a path or URI (s3://...), or - for JSONL.")],
    provider: ProviderOption = "fireworks",
    model: ModelOption = None,
    base_url: BaseUrlOption = None,
    instruction: InstructionOption = None,
    run: Annotated[str | None, typer.Option(help="A TREC run with the candidates of a folder's queries.")] = None,
    query: Annotated[str, typer.Option(help="The column of the query.")] = "query",
    documents: Annotated[str, typer.Option(help="The column of the list of documents.")] = "documents",
    ids: Annotated[str | None, typer.Option(help="The column of the list of their ids.")] = None,
    pairs: Annotated[bool, typer.Option("--pairs", help="Each row of the input holds one document.")] = False,
    top_n: Annotated[int | None, typer.Option(min=1, help="Documents to keep of each row.")] = None,
    format: Annotated[Literal["jsonl", "parquet"] | None, typer.Option(help="Default: as the input.")] = None,  # noqa: A002 - the option's name
    trec: Annotated[bool, typer.Option("--trec", help="Also write a TREC run.")] = False,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="Where the job runs.")] = "local",
    address: Annotated[str | None, typer.Option(help="The address of the Ray cluster.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="The number of Ray actors.")] = 4,
    env: Annotated[list[str] | None, typer.Option(help="A variable of this environment that Ray actors get.")] = None,
    shared_disk: Annotated[bool, typer.Option("--shared-disk", help="All Ray nodes see the local paths.")] = False,
    concurrency: Annotated[int, typer.Option(min=1, help="Maximum rows in flight of each worker.")] = 32,
    part_rows: Annotated[int, typer.Option(min=1, help="Maximum rows of a part.")] = 1000,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a job in the output folder.")] = False,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Keep the finished rows of another job in the output folder.")
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Send the rows of dead-letter/ again.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on standard output.")] = False,
) -> None:
    """Rerank the rows of files in parts. No row is lost, and no row whose answer arrived is paid for twice.

    Exit status: 0; 65 if rows failed for good (the folder's dead-letter/ holds them); 75 for what may pass; 77 for a
    key that is missing or refused; 130 after Ctrl-C, 143 after SIGTERM; 1 for any other failure; 2 for a wrong command
    line.
    """
    chosen = parse_provider(provider)
    if as_json and output == "-":
        raise typer.BadParameter("standard output cannot have the rows and the summary: name an output folder")
    with (
        report_errors(after_interrupt=GO_ON),
        _report_end(),
        copy_input(input) as source,
        temporary_output(output) as folder,
    ):
        if engine == "local":  # Ray's workers have an environment of their own
            check_key(chosen, model, base_url)
        from hosted_rerank.bulk import Columns, Job, run_job  # noqa: PLC0415 - quick help

        settings = {"base_url": base_url, "instruction": instruction}
        job = Job(
            input=source,
            output=folder,
            run=run,
            provider=provider,
            model=model,
            columns=Columns(query, documents, ids),
            pairs=pairs,
            top_n=top_n,
            concurrency=concurrency,
            part_rows=part_rows,
            format=format,
            trec=trec,
            settings={name: value for name, value in settings.items() if value is not None},
        )
        with show_progress() as show:
            result = run_job(
                job,
                resume=resume or accept_changes or retry_failed,
                accept_changes=accept_changes,
                retry_failed=retry_failed,
                engine=_make_engine(engine, workers, address, env or [], shared_disk=shared_disk),
                on_progress=show,
            )
    print_summary(result, folder, as_json=as_json)
    if result.failed:
        raise typer.Exit(EXIT_FAILED_ROWS)


def _make_engine(name: str, workers: int, address: str | None, env: list[str], *, shared_disk: bool) -> "Engine | None":
    if name == "local":
        return None
    from hosted_rerank.bulk.on_ray import RayEngine  # noqa: PLC0415 - an extra

    return RayEngine(workers, address, env=env, shared_disk=shared_disk)


def _exit_terminated(signum: int, frame: object) -> None:  # noqa: ARG001 - as signal calls it
    sys.exit(EXIT_TERMINATED)


@contextmanager
def _report_end() -> Generator[None]:
    """End the command with one line after SIGTERM, and after an error that ends the job."""
    from hosted_rerank.bulk import JobError  # noqa: PLC0415 - quick help

    before: Any = None
    if threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGTERM, _exit_terminated)
    try:
        yield
    except JobError as error:
        fail(str(error), exit_status(error.error_class) if error.error_class else EXIT_FAILED)
    except SystemExit:  # Ray has a handler of its own, which exits as well
        fail(f"terminated: {GO_ON}", EXIT_TERMINATED)
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
