"""`RowStream`: a file that is read from its beginning: CSV, TSV, Arrow, anything compressed, and one row per pair.

A worker that reads parts one after the other goes on where it is, so it reads such a file once.
"""

import csv
import gzip
import io
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from itertools import groupby, islice
from typing import Any, Literal

from hosted_rerank.bulk.outputs import find_query_id
from hosted_rerank.bulk.parts import PartData, Record, parse_record
from hosted_rerank.bulk.rows import Columns
from hosted_rerank.bulk.storage import hash_into, open_filesystem, readable
from hosted_rerank.providers.json_path import is_array, parse

_LONGEST_CELL = 2**31 - 1


@dataclass(slots=True)
class _Cursor:
    records: Generator[Record] | None = None
    row: int = 0


@dataclass(frozen=True, slots=True)
class RowStream:
    """A file whose rows can only be read in their order.

    Args:
        uri: The file's URI.
        suffix: The suffix of its format.
        compression: The suffix of its compression; empty for none.
        columns: The names of the columns.
        pairs: Whether each row holds one document. Rows that stand together and have the same query are one row then.
    """

    uri: str
    suffix: str
    compression: str
    columns: Columns
    pairs: bool = False
    _cursor: _Cursor = field(default_factory=_Cursor, compare=False)

    @property
    def is_ms_marco(self) -> bool:
        """Whether a TSV file has MS MARCO's layout: ids of query and passage, query, passage; no heading."""
        with self._open() as file, io.TextIOWrapper(file, "utf-8-sig") as text:
            cells = text.readline().rstrip("\r\n").split("\t")
        return len(cells) == 4 and all(cell.isdigit() for cell in cells[:2])

    def split(self, part_rows: int, digest: Any) -> Iterator[tuple[int, int]]:
        """Yield the first row and the rows of each part."""
        hash_into(self.uri, digest)
        records, start = self._read_all(), 0
        while count := sum(1 for _ in islice(records, part_rows)):
            yield start, count
            start += count

    def read(self, start: int, rows: int) -> PartData:
        """Return the records of a part."""
        cursor = self._cursor
        if cursor.records is None or cursor.row > start:
            self.close()
            cursor.records, cursor.row = self._read_all(), 0
        for _ in islice(cursor.records, start - cursor.row):
            pass
        records = list(islice(cursor.records, rows))
        cursor.row = start + len(records)
        return PartData(records)

    def close(self) -> None:
        """Close the file."""
        if self._cursor.records is not None:
            self._cursor.records.close()
            self._cursor.records = None

    @contextmanager
    def _open(self) -> Generator[Any]:
        """Open the file as a decompressed stream of bytes."""
        filesystem, path = open_filesystem(self.uri)
        with readable(self.uri, f"{self.suffix}{self.compression}"), filesystem.open(path, "rb") as file:
            if self.compression == ".gz":
                with gzip.open(file, "rb") as unpacked:
                    yield unpacked
            elif self.compression == ".zst":
                pa: Any = import_module("pyarrow")  # untyped, and an extra
                with io.BufferedReader(pa.CompressedInputStream(file, "zstd")) as unpacked:
                    yield unpacked
            else:
                yield file

    def _read_all(self) -> Generator[Record]:
        with self._open() as file:
            if self.suffix in (".jsonl", ".ndjson"):
                records: Iterator[Record] = (parse_record(line) for line in file if line.strip())
            elif self.suffix in (".csv", ".tsv"):
                records = self._read_cells(file)
            else:
                records = _read_arrow(file, self.suffix)
            yield from self._group(records) if self.pairs else records

    def _read_cells(self, file: Any) -> Iterator[Record]:
        csv.field_size_limit(_LONGEST_CELL)
        is_tsv = self.suffix == ".tsv"
        names: Sequence[str] | None = None
        if is_tsv and self.is_ms_marco:
            names = ("query_id", self.columns.ids or "document_ids", self.columns.query, self.columns.documents)
        quoting: Literal[0, 3] = csv.QUOTE_NONE if is_tsv else csv.QUOTE_MINIMAL
        with io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
            for row in csv.DictReader(text, names, delimiter="\t" if is_tsv else ",", quoting=quoting):
                if None in row:
                    yield Record({}, error="the row has more cells than the heading")
                else:
                    yield Record({name: self._read_cell(name, cell) for name, cell in row.items()})

    def _read_cell(self, name: str, cell: Any) -> Any:
        """Return the value of a cell: a list where a column of lists holds JSON."""
        if not self.pairs and name in (self.columns.documents, self.columns.ids) and isinstance(cell, str):
            value, _ = parse(cell.encode())
            return value if is_array(value) else cell
        return cell

    def _group(self, records: Iterator[Record]) -> Iterator[Record]:
        """Yield a record for each query, with the lists of its documents and their ids."""
        columns = self.columns
        names = [columns.documents, *([columns.ids] if columns.ids is not None else [])]

        def key(record: Record) -> Any:
            return record.error, find_query_id(record.fields), record.fields.get(columns.query)

        for (error, *_), group in groupby(records, key):
            found = list(group)
            if error is not None:
                yield from found
            else:
                lists = {name: [each.fields.get(name) for each in found] for name in names}
                yield Record({**found[0].fields, **lists})


def _read_arrow(file: Any, suffix: str) -> Iterator[Record]:
    if suffix == ".parquet":
        pq: Any = import_module("pyarrow.parquet")  # untyped, and an extra
        for batch in pq.ParquetFile(file).iter_batches():
            yield from map(Record, batch.to_pylist())
        return
    ipc: Any = import_module("pyarrow.ipc")
    if file.read(6) == b"ARROW1":
        file.seek(0)
        reader = ipc.open_file(file)
        batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
    else:
        file.seek(0)
        batches = iter(ipc.open_stream(file))
    for batch in batches:
        yield from map(Record, batch.to_pylist())
