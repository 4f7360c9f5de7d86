"""The command `hosted-rerank rerank`."""

import csv
import json
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from hosted_rerank._file_names import expect_utf8
from hosted_rerank._text import is_blank
from hosted_rerank.cli.app import (
    EXIT_NO_RESULTS,
    BaseUrlOption,
    InstructionOption,
    ModelOption,
    ProviderOption,
    check_key,
    commands,
    fail,
    parse_provider,
    report_errors,
)
from hosted_rerank.cli.progress_bar import show_log
from hosted_rerank.providers.json_path import is_object

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
"""The format of a file by its suffix; any other file is text with one document per line."""


@commands.command()
def rerank(
    file: Annotated[Path, typer.Argument(help="Documents: text lines, .jsonl or .csv; - for standard input.")] = Path(
        "-"
    ),
    query: Annotated[str, typer.Option("--query", "-q", help="The query.")] = ...,  # type: ignore[assignment]  # typer's way to say that it is required
    provider: ProviderOption = "fireworks",
    model: ModelOption = None,
    base_url: BaseUrlOption = None,
    top_n: Annotated[int | None, typer.Option(min=1, help="The number of documents to show.")] = None,
    threshold: Annotated[float | None, typer.Option(help="The lowest score to show.")] = None,
    instruction: InstructionOption = None,
    format: Annotated[str | None, typer.Option(help="text, jsonl or csv; by default the file's suffix.")] = None,  # noqa: A002 - the option's name
    field: Annotated[str, typer.Option(help="The field of the text, in JSON objects and CSV rows.")] = "text",
) -> None:
    """Rerank the lines of a file, best first. They are a table on a terminal, JSON lines in a pipe.

    Exit status: 0 for success, 1 for an error, 2 for a wrong command line, 3 if no document is left, 75 if the API is
    unavailable for now, 77 if there is no key or the API refuses it.
    """
    kind = format or FORMATS.get(file.suffix.lower(), "text")
    if kind not in ("text", "jsonl", "csv"):
        raise typer.BadParameter("it must be text, jsonl or csv.", param_hint="--format")
    chosen = parse_provider(provider)
    if str(file) == "-" and sys.stdin.isatty():
        print("Type the documents, one on each line; end with Ctrl-D.", file=sys.stderr)
    with report_errors():
        from hosted_rerank.display.compare import compare  # noqa: PLC0415 - for a fast --help
        from hosted_rerank.reranker import Reranker  # noqa: PLC0415 - as above

        check_key(chosen, model, base_url)
        records = list(_read(file, kind))
        if not records:
            fail("there are no documents: the input is empty", EXIT_NO_RESULTS)
        texts = [_get_text(record, field, place) for place, record in enumerate(records, 1)]
        with _show_retries(), Reranker(chosen, model, base_url=base_url, instruction=instruction) as reranker:
            response = reranker.rerank(query, texts, top_n=top_n)
        lowest = float("-inf") if threshold is None else threshold
        kept = [r for r in response.results if r.relevance_score is not None and r.relevance_score >= lowest]
        if not kept:
            fail(f"none of the {len(texts)} documents is left", EXIT_NO_RESULTS)
        if sys.stdout.isatty():
            from dataclasses import replace  # noqa: PLC0415 - for a fast --help

            Console().print(compare(texts, replace(response, results=tuple(kept)), title=query))
            return
        for result in kept:
            line = {"index": result.index, "relevance_score": result.relevance_score, "document": records[result.index]}
            print(json.dumps(line, ensure_ascii=False))


def _show_retries() -> AbstractContextManager[None]:
    """Says at a terminal why it takes long."""
    console = Console(stderr=True)
    return show_log(console, logging.INFO) if console.is_terminal else nullcontext()


def _read(file: Path, kind: str) -> Iterator[Any]:
    if str(file) == "-":
        yield from _parse(sys.stdin, kind)
        return
    with expect_utf8(file), file.open(encoding="utf-8-sig", newline="" if kind == "csv" else None) as lines:
        yield from _parse(lines, kind)


def _parse(lines: Iterable[str], kind: str) -> Iterator[Any]:
    if kind == "csv":
        yield from csv.DictReader(lines)
        return
    for place, line in enumerate(lines, 1):
        if is_blank(line):
            continue
        if kind == "text":
            yield line.rstrip("\r\n")
            continue
        try:
            yield json.loads(line)
        except ValueError:
            raise ValueError(f"line {place} is not JSON: pass --format text for plain lines") from None


def _get_text(record: Any, field: str, place: int) -> str:
    """Returns the text of a line, a JSON object or a CSV row."""
    if isinstance(record, str):
        return record
    fields = record if is_object(record) else {}
    if isinstance(text := fields.get(field), str):
        return text
    known = ", ".join(map(str, fields)) or "none"
    raise ValueError(
        f"document {place} has no text in the field {field!r}: name the field with --field (it has: {known})"
    )
