"""Reads the files of a dataset: JSON lines, judgements and runs. An error names the file and the line."""

import csv
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hosted_rerank._file_names import expect_utf8

HEADINGS = frozenset({"score", "relevance", "rel", "grade", "label"})
"""The headings of the last column of judgements, by which a first line is known for a heading."""
RUN_COLUMNS = 6


def read_jsonl(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the objects of a file with their `_id`.

    Args:
        path: The file.

    Raises:
        ValueError: A line is not a JSON object with an `_id`.
        OSError: The file cannot be read.
    """
    for place, line in _read_lines(path):
        try:
            row = json.loads(line)
            name = row["_id"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path}, line {place}: not a JSON object with an _id") from None
        yield str(name), row


def read_judgements(path: Path) -> Iterator[tuple[str, str, int]]:
    """Yield the query id, the document id and the grade of each judgement; a grade of 1.0 is 1.

    Args:
        path: A file in BEIR's format (a heading; query, document, score; separated by tabs, or by commas in a `.csv`)
            or in TREC's (query, 0, document, score; separated by tabs or spaces). Ids between tabs may have spaces.

    Raises:
        ValueError: A line is not a judgement.
        OSError: The file cannot be read.
    """
    for place, line in _read_lines(path):
        cells = _split_judgement(line, commas=path.suffix.lower() == ".csv")
        if place == 1 and cells[-1].lower() in HEADINGS:
            continue
        grade = _read_number(cells[-1]) if len(cells) in (3, 4) else math.nan
        if not grade.is_integer():
            raise ValueError(f"{path}, line {place}: not a judgement (query, document, whole number)")
        yield cells[0], cells[-2], int(grade)


def read_run(path: Path) -> tuple[dict[str, list[str]], int]:
    """Return the documents of a TREC run by query id, best first, and the number of lines with a later one for both.

    Args:
        path: The file, separated by tabs or spaces. Ids between tabs may have spaces.

    Returns:
        The ids of the documents by score and not by rank, equal scores by descending id, as trec_eval sorts them; and
        the number of lines whose query and document stand in a later line, which counts.

    Raises:
        ValueError: A line is not one of a run.
        OSError: The file cannot be read.
    """
    scores: dict[str, dict[str, float]] = {}
    lines = 0
    for place, line in _read_lines(path):
        cells = line.split("\t")
        if len(cells) != RUN_COLUMNS:
            cells = line.split()
        value = _read_number(cells[4]) if len(cells) >= RUN_COLUMNS - 1 else math.nan
        if math.isnan(value):
            raise ValueError(f"{path}, line {place}: not a line of a TREC run (query Q0 document rank score tag)")
        scores.setdefault(cells[0].strip(), {})[cells[2].strip()] = value
        lines += 1
    ranked = {
        query: sorted(found, key=lambda document: (found[document], document), reverse=True)
        for query, found in scores.items()
    }
    return ranked, lines - sum(map(len, ranked.values()))


def _split_judgement(line: str, *, commas: bool) -> list[str]:
    if commas:
        return [cell.strip() for cell in next(csv.reader([line]))]
    return [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()


def _read_number(text: str) -> float:
    """Return the number that a text says; not a number for another text."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    # utf-8-sig: without the mark that Windows' editors write first
    with expect_utf8(path), path.open(encoding="utf-8-sig") as file:
        for place, line in enumerate(file, 1):
            if line.strip():
                yield place, line.rstrip("\r\n")
