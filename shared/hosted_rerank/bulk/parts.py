"""The input of a job as parts: any process can read any part alone, and read it again.

A part is a few numbers, so a driver holds many of them and sends them cheaply.
"""

import base64
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import orjson

from hosted_rerank.bulk.rows import Columns
from hosted_rerank.providers.json_path import is_object, parse


@dataclass(frozen=True, slots=True)
class Part:
    """A range of rows of one file of an input."""

    number: int
    start: int
    """Where the part begins: a byte offset in an uncompressed JSONL file or a run, else a row number."""
    rows: int
    file: int = 0
    """The place of the file among the input's files."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The parts of an input.

    Args:
        parts: The parts, in the order of the rows.
        content: A hash of the content of all files, whatever their names, places and times are.
    """

    parts: Sequence[Part]
    content: str


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

    @property
    def suffix(self) -> Literal["jsonl", "parquet"]:
        """The output format that keeps the types of this input."""
        ...

    def plan(self, part_rows: int) -> Plan:
        """Return the parts, of at most `part_rows` rows each. It reads every file once."""
        ...

    def read(self, part: Part) -> PartData:
        """Return the records of a part."""
        ...

    def close(self) -> None:
        """Close what is open. The input can be read again."""
        ...


def parse_record(line: bytes) -> Record:
    """Return the record of a JSONL line, with an error if the line is not a JSON object."""
    raw = line.strip().removeprefix(BOM_UTF8)
    fields, is_json = parse(raw)
    if not is_json:
        return Record({}, raw, "the line is not valid JSON (NaN and lone surrogates are not valid)")
    return Record(fields, raw) if is_object(fields) else Record({}, raw, "the line is not a JSON object")
