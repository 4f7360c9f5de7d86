"""The input of a job as parts: any process can read any part alone, and read it again.

A part is a few numbers, so a driver holds many of them and sends them cheaply.
"""

import base64
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson

from hosted_rerank.bulk.rows import Columns
from hosted_rerank.providers.json_path import is_object, parse


@dataclass(frozen=True, slots=True)
class Part:
    """A range of rows of an input."""

    number: int
    start: int
    """Where the part begins: a byte offset in a file, or a row number."""
    rows: int
    group: int = 0
    """The row group of a Parquet file."""


@dataclass(frozen=True, slots=True)
class Record:
    """A row of an input: its fields, and its line if the input is JSONL."""

    fields: Mapping[str, Any]
    raw: bytes | None = None
    """The line of the input. It is copied to the output, because encoding it again could change numbers."""
    error: str | None = None
    """Why the record cannot be sent, or `None`."""

    def to_json_with(self, added: Mapping[str, Any]) -> bytes:
        """Return the record as JSON with columns added."""
        if self.raw is None or not self.fields or not self.fields.keys().isdisjoint(added):
            return orjson.dumps({**self.fields, **added}, default=_to_json_default)
        return self.raw[:-1] + b"," + orjson.dumps(added)[1:]

    def to_json(self) -> bytes:
        """Return the record as JSON. A line that is not JSON becomes a JSON string."""
        if self.raw is None:
            return orjson.dumps(self.fields, default=_to_json_default)
        return self.raw if self.fields else orjson.dumps(self.raw.decode("utf-8", "replace"))


def _to_json_default(value: Any) -> str:
    """Return the text that stands for a value without a JSON type: base64 for bytes, `str` for others."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


class PartData(NamedTuple):
    """The records of a part."""

    records: list[Record]
    table: Any = None
    """The same rows as an Arrow table with its types, if the input is Parquet; else `None`."""


class Input(Protocol):
    """The input of a job."""

    @property
    def columns(self) -> Columns:
        """The names of the columns."""
        ...

    def split(self, part_rows: int) -> Iterator[Part]:
        """Yield parts of at most `part_rows` rows."""
        ...

    def read(self, part: Part) -> PartData:
        """Return the records of a part."""
        ...

    def fingerprint(self) -> list[Any]:
        """Return values that identify this input and change when it changes."""
        ...


def fingerprint_of(path: Path) -> list[Any]:
    """Return the name, size in bytes and modification time in nanoseconds of a file."""
    stat = path.stat()
    return [path.name, stat.st_size, stat.st_mtime_ns]


def parse_record(line: bytes) -> Record:
    """Return the record of a JSONL line, with an error if the line is not a JSON object."""
    raw = line.strip().removeprefix(BOM_UTF8)
    fields, is_json = parse(raw)
    if not is_json:
        return Record({}, raw, "the line is not valid JSON (NaN and lone surrogates are not valid)")
    return Record(fields, raw) if is_object(fields) else Record({}, raw, "the line is not a JSON object")
