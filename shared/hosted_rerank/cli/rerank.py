"""`hosted-rerank rerank`."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from hosted_rerank.cli.app import NOTHING, commands, explained, fail, row_of
from hosted_rerank.providers.json_path import is_object

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
"""What a file is read as, by its suffix; anything else is text, a document a line."""


@commands.command()
def rerank(
    file: Annotated[Path, typer.Argument(help="Documents: text lines, .jsonl or .csv; - for standard input.")] = Path(
        "-"
    ),
    query: Annotated[str, typer.Option("--query", "-q", help="The question.")] = ...,  # type: ignore[assignment]  # typer's way to say that it is required
    provider: Annotated[str, typer.Option(help="Who is asked; `hosted-rerank providers` lists them.")] = "fireworks",
    model: Annotated[str | None, typer.Option(help="Instead of the default model.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Another address of the same API.")] = None,
    top_n: Annotated[int | None, typer.Option(min=1, help="Documents to show.")] = None,
    threshold: Annotated[float | None, typer.Option(help="The lowest score to show.")] = None,
    instruction: Annotated[
        str | None, typer.Option(help='What "relevant" shall mean, for models that take it.')
    ] = None,
    format: Annotated[str | None, typer.Option(help="text, jsonl or csv, whatever the file's name says.")] = None,  # noqa: A002 - the option's name
    field: Annotated[str, typer.Option(help="Where the text is, in JSON objects and CSV rows.")] = "text",
) -> None:
    """Rerank the lines of a file, best first: a table on a terminal, JSON lines in a pipe.

    Exit status: 0, or 3 if no document is left, 75 if the API is out for now, 77 if the key is refused, 1 for other
    failures, 2 for a wrong command line.
    """
    kind = format or FORMATS.get(file.suffix.lower(), "text")
    if kind not in ("text", "jsonl", "csv"):
        raise typer.BadParameter("it is text, jsonl or csv.", param_hint="--format")
    row = row_of(provider)
    with explained():
        from hosted_rerank.display.compare import compare  # noqa: PLC0415 - quick help
        from hosted_rerank.reranker import Reranker  # noqa: PLC0415 - likewise

        rows = list(_read(file, kind))
        texts = [_text(each, field, place) for place, each in enumerate(rows, 1)]
        with Reranker(row, model, base_url=base_url, instruction=instruction) as reranker:
            response = reranker.rerank(query, texts, top_n=top_n)
        least = float("-inf") if threshold is None else threshold
        kept = [r for r in response.results if r.relevance_score is not None and r.relevance_score >= least]
        if not kept:
            fail(f"none of the {len(texts)} documents is left", NOTHING)
        if sys.stdout.isatty():
            from dataclasses import replace  # noqa: PLC0415 - quick help

            from rich.console import Console  # noqa: PLC0415 - likewise

            Console().print(compare(texts, replace(response, results=tuple(kept)), title=query))
            return
        for result in kept:
            found = {"index": result.index, "relevance_score": result.relevance_score, "document": rows[result.index]}
            print(json.dumps(found, ensure_ascii=False))


def _read(file: Path, kind: str) -> Iterator[Any]:
    if str(file) == "-":
        yield from _parse(sys.stdin, kind)
        return
    with file.open(encoding="utf-8-sig", newline="" if kind == "csv" else None) as lines:
        yield from _parse(lines, kind)


def _parse(lines: Iterable[str], kind: str) -> Iterator[Any]:
    if kind == "csv":
        yield from csv.DictReader(lines)
        return
    for place, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if kind == "text":
            yield line.rstrip("\r\n")
            continue
        try:
            yield json.loads(line)
        except ValueError:
            raise ValueError(f"line {place} is not JSON: for plain lines say --format text") from None


def _text(row: Any, field: str, place: int) -> str:
    """The text of a line, an object or a row."""
    if isinstance(row, str):
        return row
    fields = row if is_object(row) else {}
    if isinstance(text := fields.get(field), str):
        return text
    known = ", ".join(map(str, fields)) or "none"
    raise ValueError(f"document {place} has no text under {field!r}: name its field with --field (there are: {known})")
