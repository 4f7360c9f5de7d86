"""The inputs of a job: JSONL (one row per line), Parquet, and a folder in BEIR's layout with a TREC run."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from hosted_rerank.bulk.beir import BeirFolder
from hosted_rerank.bulk.parts import Input, Part, PartData, Record, fingerprint_of, parse_record
from hosted_rerank.bulk.rows import Columns

MIN_READ_ROWS = 1024
"""Minimum number of rows to read from a Parquet file at once."""


def open_input(path: Path, columns: Columns, run: Path | None = None, index_folder: Path | None = None) -> Input:
    """Return the input at a path.

    Args:
        path: A `.jsonl` or `.parquet` file, or a folder with `corpus.jsonl` and `queries.jsonl`.
        columns: The names of the columns. A BEIR folder has fixed names and ignores them.
        run: A TREC run with the candidates of each query. A folder requires it, a file ignores it.
        index_folder: A folder for the index of a corpus; all workers share it.

    Raises:
        ValueError: The path has another suffix, or `run` is missing for a folder.
        FileNotFoundError: The path does not exist.
    """
    if not path.exists():
        raise FileNotFoundError(f"input {path} does not exist: check the path")
    if path.is_dir():
        if run is None or index_folder is None:
            raise ValueError(
                f"input {path} is a folder: pass run (--run), a TREC run with the candidates of each query"
            )
        return BeirFolder(path, run, index_folder)
    if path.suffix == ".parquet":
        return ParquetFile(path, columns)
    if path.suffix in (".jsonl", ".ndjson"):
        return JsonLines(path, columns)
    raise ValueError(f"input {path} must be a .jsonl or .parquet file or a folder in BEIR's layout")


@dataclass(frozen=True, slots=True)
class JsonLines:
    """A JSONL file: one row per line, empty lines ignored."""

    path: Path
    columns: Columns

    def split(self, part_rows: int) -> Iterator[Part]:
        """Yield parts of at most `part_rows` rows, in one pass with one line in memory."""
        number = count = start = at = 0
        with self.path.open("rb") as file:
            for line in file:
                at += len(line)
                count += bool(line.strip())
                if count == part_rows:
                    yield Part(number, start, count)
                    number, count, start = number + 1, 0, at
        if count:
            yield Part(number, start, count)

    def read(self, part: Part) -> PartData:
        """Return the records of a part."""
        records: list[Record] = []
        with self.path.open("rb") as file:
            file.seek(part.start)
            while len(records) < part.rows and (line := file.readline()):
                if line.strip():
                    records.append(parse_record(line))
        return PartData(records)

    def fingerprint(self) -> list[Any]:
        """Return values that identify this file and change when it changes."""
        return fingerprint_of(self.path)


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """A Parquet file. Each part lies within one row group."""

    path: Path
    columns: Columns

    def split(self, part_rows: int) -> Iterator[Part]:
        """Yield parts of at most `part_rows` rows, from the metadata alone."""
        pq: Any = import_module("pyarrow.parquet")  # untyped, and an extra
        number, file = 0, pq.ParquetFile(self.path)
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            for start in range(0, count, part_rows):
                yield Part(number, start, min(part_rows, count - start), group)
                number += 1

    def read(self, part: Part) -> PartData:
        """Return the records of a part, with little more of the file than the part in memory."""
        pa: Any = import_module("pyarrow")  # untyped, and an extra
        pq: Any = import_module("pyarrow.parquet")
        seen, missing, found, file = 0, part.rows, list[Any](), pq.ParquetFile(self.path)
        for batch in file.iter_batches(max(part.rows, MIN_READ_ROWS), [part.group]):
            if missing and seen + batch.num_rows > part.start:
                found.append(batch.slice(max(0, part.start - seen), missing))
                missing -= found[-1].num_rows
            seen += batch.num_rows
            if not missing:
                break
        table = pa.Table.from_batches(found, file.schema_arrow)
        return PartData(list(map(Record, table.to_pylist())), table)

    def fingerprint(self) -> list[Any]:
        """Return values that identify this file and change when it changes."""
        return fingerprint_of(self.path)
