"""`JsonLines`: an uncompressed JSONL file, of which any part can be read alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hosted_rerank.bulk.parts import PartData, Record, parse_record
from hosted_rerank.bulk.rows import Columns
from hosted_rerank.bulk.storage import open_filesystem


@dataclass(frozen=True, slots=True)
class JsonLines:
    """A JSONL file: one row per line, empty lines ignored."""

    uri: str
    columns: Columns

    def close(self) -> None:
        """Do nothing, because each read closes what it opens."""

    def split(self, part_rows: int, digest: Any) -> Iterator[tuple[int, int]]:
        """Yield the byte offset and the rows of each part, in one pass with one line in memory."""
        count = start = at = 0
        filesystem, path = open_filesystem(self.uri)
        with filesystem.open(path, "rb") as file:
            for line in file:
                digest.update(line)
                at += len(line)
                count += bool(line.strip())
                if count == part_rows:
                    yield start, count
                    count, start = 0, at
        if count:
            yield start, count

    def read(self, start: int, rows: int) -> PartData:
        """Return the records of a part."""
        records: list[Record] = []
        filesystem, path = open_filesystem(self.uri)
        with filesystem.open(path, "rb") as file:
            file.seek(start)
            while len(records) < rows and (line := file.readline()):
                if line.strip():
                    records.append(parse_record(line))
        return PartData(records)
