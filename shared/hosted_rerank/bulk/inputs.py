"""The inputs of a job: JSONL (a row a line), Parquet, and a folder in BEIR's layout with a TREC run."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from hosted_rerank.bulk.beir import BeirFolder
from hosted_rerank.bulk.parts import Input, Part, PartData, Record, fingerprint_of, parse_record
from hosted_rerank.bulk.rows import Columns

MIN_READ_ROWS = 1024
"""Rows of a Parquet file that are read at once, at least."""


def open_input(path: Path, columns: Columns, run: Path | None = None, index_folder: Path | None = None) -> Input:
    """Return the input at a path.

    Args:
        path: A `.jsonl` or `.parquet` file, or a folder with `corpus.jsonl` and `queries.jsonl`.
        columns: What its columns are called; a folder's have names of their own.
        run: The TREC run that says which documents are a query's candidates; needed for a folder, and only there.
        index_folder: A folder for the index of a corpus, shared by all workers.

    Raises:
        ValueError: It is neither.
        FileNotFoundError: It is not there.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.is_dir():
        if run is None or index_folder is None:
            raise ValueError(f"{path} is a folder: --run says which documents are a query's candidates")
        return BeirFolder(path, run, index_folder)
    if path.suffix == ".parquet":
        return ParquetFile(path, columns)
    if path.suffix in (".jsonl", ".ndjson"):
        return JsonLines(path, columns)
    raise ValueError(f"{path} is neither .jsonl nor .parquet nor a folder in BEIR's layout")


@dataclass(frozen=True, slots=True)
class JsonLines:
    """A row a line; empty lines are none."""

    path: Path
    columns: Columns

    def split(self, part_rows: int) -> Iterator[Part]:
        """Cut it; one pass over the file, a line in memory."""
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
        """Return the rows of a part."""
        records: list[Record] = []
        with self.path.open("rb") as file:
            file.seek(part.start)
            while len(records) < part.rows and (line := file.readline()):
                if line.strip():
                    records.append(parse_record(line))
        return PartData(records)

    def fingerprint(self) -> list[Any]:
        """Return what tells this file from another one."""
        return fingerprint_of(self.path)


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """A Parquet file; a part lies within one row group."""

    path: Path
    columns: Columns

    def split(self, part_rows: int) -> Iterator[Part]:
        """Cut it, by its metadata alone."""
        pq: Any = import_module("pyarrow.parquet")  # untyped, and an extra
        number, file = 0, pq.ParquetFile(self.path)
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            for start in range(0, count, part_rows):
                yield Part(number, start, min(part_rows, count - start), group)
                number += 1

    def read(self, part: Part) -> PartData:
        """Return the rows of a part; little more of the file is in memory than they."""
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
        """Return what tells this file from another one."""
        return fingerprint_of(self.path)
