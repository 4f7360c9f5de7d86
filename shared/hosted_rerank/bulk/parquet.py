"""`ParquetFile`: a Parquet file, of which any part can be read alone."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from hosted_rerank.bulk.parts import PartData, Record
from hosted_rerank.bulk.rows import Columns
from hosted_rerank.bulk.storage import hash_into, open_filesystem, readable

MIN_READ_ROWS = 1024
"""Minimum number of rows to read from a Parquet file at once."""


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """A Parquet file. A part may span row groups."""

    uri: str
    columns: Columns

    @contextmanager
    def _open(self) -> Generator[Any]:
        pq: Any = import_module("pyarrow.parquet")  # untyped, and an extra
        filesystem, path = open_filesystem(self.uri)
        with readable(self.uri, "Parquet"), filesystem.open(path, "rb") as file, pq.ParquetFile(file) as parquet:
            yield parquet

    def close(self) -> None:
        """Do nothing, because each read closes what it opens."""

    def split(self, part_rows: int, digest: Any) -> Iterator[tuple[int, int]]:
        """Yield the first row and the rows of each part."""
        hash_into(self.uri, digest)
        with self._open() as file:
            count = file.metadata.num_rows
        for start in range(0, count, part_rows):
            yield start, min(part_rows, count - start)

    def read(self, start: int, rows: int) -> PartData:
        """Return the records of a part, with little more of the file than the part in memory."""
        pa: Any = import_module("pyarrow")  # untyped, and an extra
        found: list[Any] = []
        with self._open() as file:
            groups, seen = _find_groups(file.metadata, start, rows)
            missing = rows
            for batch in file.iter_batches(max(rows, MIN_READ_ROWS), groups):
                if seen + batch.num_rows > start:
                    found.append(batch.slice(max(0, start - seen), missing))
                    missing -= found[-1].num_rows
                seen += batch.num_rows
                if not missing:
                    break
            table = pa.Table.from_batches(found, file.schema_arrow)
        return PartData(list(map(Record, table.to_pylist())), table)


def _find_groups(metadata: Any, start: int, rows: int) -> tuple[list[int], int]:
    """Return the row groups that hold a range of rows, and the row with which they begin."""
    groups: list[int] = []
    first = at = 0
    for group in range(metadata.num_row_groups):
        count = metadata.row_group(group).num_rows
        if at + count > start and at < start + rows:
            first = first if groups else at
            groups.append(group)
        at += count
    return groups, first
