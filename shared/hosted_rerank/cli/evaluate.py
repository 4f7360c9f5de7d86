"""`hosted-rerank evaluate`."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from hosted_rerank import errors
from hosted_rerank.cli.app import (
    BaseUrlOption,
    InstructionOption,
    check_key,
    commands,
    complete_provider,
    exit_status,
    joint_status,
    report_errors,
)
from hosted_rerank.cli.evaluation_runs import Runner, System, write_files

if TYPE_CHECKING:
    from hosted_rerank.evaluation import Evaluation, Price, Report

IR_DATASETS = "ir_datasets:"
"""The prefix of the name of a dataset of ir_datasets."""


@commands.command()
def evaluate(
    data: Annotated[
        str | None, typer.Option(help="A folder in BEIR's layout, or ir_datasets:NAME; default: the Python FAQ.")
    ] = None,
    provider: Annotated[
        list[str],
        typer.Option(help="NAME or NAME=MODEL; repeat it to compare several.", autocompletion=complete_provider),
    ] = ["local"],  # noqa: B006 - typer copies it
    split: Annotated[
        str | None, typer.Option(help="The split; its judgements are qrels/SPLIT.tsv; default: test.")
    ] = None,
    qrels: Annotated[Path | None, typer.Option(help="A file of judgements instead, BEIR's or TREC's.")] = None,
    run: Annotated[Path | None, typer.Option(help="A TREC run as the first stage; default: BM25.")] = None,
    joined: Annotated[
        int | None, typer.Option(min=1, help="Answers of the FAQ in one document, for long ones; default: 1.")
    ] = None,
    ignore_identical_ids: Annotated[
        bool, typer.Option("--ignore-identical-ids", help="Leave out a document with the id of the query.")
    ] = False,
    base_url: BaseUrlOption = None,
    instruction: InstructionOption = None,
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=JSON: a field of the request that the provider lists; repeatable.")
    ] = None,
    top_n: Annotated[int | None, typer.Option(min=1, help="Documents to ask for; default: all candidates.")] = None,
    max_document_chars: Annotated[int | None, typer.Option(min=1, help="Characters of a document to send.")] = None,
    long_documents: Annotated[
        Literal["truncate", "passages"], typer.Option(help="Whether long documents go as passages.")
    ] = "truncate",
    candidates: Annotated[int, typer.Option(min=1, help="Maximum documents to rerank for each query.")] = 100,
    depths: Annotated[
        str, typer.Option(help="Candidates of the curve, as 10,20,50; a listwise model is asked for each.")
    ] = "",
    chars: Annotated[str, typer.Option(help="Characters of a document, as 500,1000: a pass for each.")] = "",
    price: Annotated[list[str] | None, typer.Option(help="[PROVIDER=]0.05/Mtokens or 2/Ksearches; repeatable.")] = None,
    k: Annotated[int, typer.Option(min=1, help="Cutoff rank of nDCG, MRR, recall and judged.")] = 10,
    concurrency: Annotated[int, typer.Option(min=1, help="Maximum queries in flight.")] = 8,
    output: Annotated[Path | None, typer.Option(help="Folder for outcomes, runs, and the report.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the output folder.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the report as JSON, not as a table.")] = False,
) -> None:
    """Evaluate rerankers on labelled queries. Quality, latency and tokens are compared with the first stage's.

    Exit status: 0 for success, 1 for an error, 2 for a wrong command line, 75 if queries failed for what may pass (run
    it again with --resume), 77 if there is no key or the API refuses it.
    """
    if resume and output is None:
        raise typer.BadParameter("--resume requires --output: pass the folder to continue from.", param_hint="--resume")
    if base_url is not None and len(provider) > 1:
        raise typer.BadParameter("it is of one API: pass one --provider.", param_hint="--base-url")
    settings = {
        "base_url": base_url,
        "instruction": instruction,
        "options": dict(map(_parse_option, option or ())),
        "max_document_chars": max_document_chars,
        "long_documents": long_documents,
    }
    systems = [System.parse(each, settings) for each in provider]
    of_data = {"split": split, "qrels": qrels, "run": run, "ignore_identical_ids": ignore_identical_ids or None}
    _refuse_unused(data, {**of_data, "joined": joined})
    console, lengths, cuts = Console(stderr=True), _parse_numbers(chars, "--chars"), _parse_numbers(depths, "--depths")
    with report_errors("run it again with --resume" if output else ""):
        from hosted_rerank import evaluation  # noqa: PLC0415 - heavy, and an extra

        prices = _parse_prices(price or (), systems)
        for system in systems:
            check_key(system.row, system.model, base_url)
        _prepare(output, resume=resume)
        limits: dict[str, Any] = {"candidates": candidates, "ignore_identical_ids": ignore_identical_ids}
        if data is None:
            dataset = evaluation.load_faq_dataset(candidates, joined=joined or 1)
        elif data.startswith(IR_DATASETS):
            dataset = evaluation.load_ir_dataset(data.removeprefix(IR_DATASETS), run=run, **limits)
        else:
            dataset = evaluation.load_dataset(data, split=split or "test", qrels=qrels, run=run, **limits)
        runner = Runner(console, dataset, concurrency, output, top_n)
        done: list[Evaluation] = []
        try:
            done.extend(runner.evaluate(system) for system in systems)
        except errors.RerankError:  # such as a mistyped model: those before it are paid for, and are shown
            if done:
                _print_report(evaluation.Report(dataset, done, k, prices=prices), as_json=json)
            raise
        sweeps = [
            sweep
            for system, each in zip(systems, done, strict=True)
            for sweep in (*runner.sweep_depths(system, each, cuts), *runner.sweep_chars(system, each, lengths))
        ]
        report = evaluation.Report(dataset, done, k, sweeps=sweeps, prices=prices, depths=cuts)
        if output is not None:
            write_files(output, {"report.json": [report.json()], "report.html": [report.html()]})
            write_files(
                output, {"by-query.csv": [report.csv()], "first-stage.run": evaluation.write_candidates(dataset)}
            )
            write_files(output, {"judgements.qrels": evaluation.write_judgements(dataset)})
    _print_report(report, as_json=json)
    failures = {name for row in report.rows for name in row.failures}
    if failures:
        raise typer.Exit(joint_status(exit_status(getattr(errors, name)) for name in failures))


def _print_report(report: "Report", *, as_json: bool) -> None:
    if as_json:
        typer.echo(report.json())
    else:
        Console(width=None if sys.stdout.isatty() else 200).print(report)


def _refuse_unused(data: str | None, options: Mapping[str, object]) -> None:
    """Refuses options that the kind of dataset would ignore."""
    if data is None:
        used, remedy = {"joined"}, "pass a dataset as --data, because the Python FAQ does not have it"
    elif data.startswith(IR_DATASETS):
        used, remedy = (
            {"run", "ignore_identical_ids"},
            "the name in ir_datasets says the split, and only the Python FAQ is joined",
        )
    else:
        used, remedy = options.keys() - {"joined"}, "only the Python FAQ has it"
    for name in options.keys() - used:
        if options[name] is not None:
            raise typer.BadParameter(f"{remedy}.", param_hint=f"--{name.replace('_', '-')}")


def _parse_option(given: str) -> tuple[str, Any]:
    name, _, value = given.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        raise typer.BadParameter(f"{given!r} is not NAME=JSON, such as priority=1.", param_hint="--option") from None


def _parse_numbers(given: str, name: str) -> list[int]:
    numbers = given.replace(",", " ").split()
    if not all(number.isdecimal() and int(number) for number in numbers):
        raise typer.BadParameter(f"{given!r} is not numbers such as 100,200.", param_hint=name)
    return sorted({int(number) for number in numbers})


def _parse_prices(given: Iterable[str], systems: Sequence[System]) -> "dict[str, Price]":
    """Returns the prices by the name of the evaluation; a price without a provider is of all."""
    from hosted_rerank.evaluation import Price  # noqa: PLC0415 - heavy, and an extra

    prices: dict[str, Price] = {}
    for each in given:
        name, _, amount = each.rpartition("=")
        those = [system for system in systems if name in ("", system.row.name, system.given)]
        if not those:
            raise typer.BadParameter(
                f"it is of {name!r}, which is not evaluated: pass a --provider.", param_hint="--price"
            )
        try:
            prices |= {system.name: Price.parse(amount) for system in those}
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--price") from None
    return prices


def _prepare(output: Path | None, *, resume: bool) -> None:
    if output is None:
        return
    if not resume and output.exists():
        raise ValueError(f"{output} exists: pass --resume to continue from it, or another folder")
    output.mkdir(parents=True, exist_ok=True)
