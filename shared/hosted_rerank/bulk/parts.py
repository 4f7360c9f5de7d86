"""What the input of a job is: parts that do not depend on who reads them, so each can be read again, alone, anywhere.

A part is a few numbers, so that a driver holds many and sends them cheaply.
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
    """Some rows of an input."""

    number: int
    start: int
    """Where it begins: a byte of a file, or a row."""
    rows: int
    group: int = 0
    """The row group, of Parquet."""


@dataclass(frozen=True, slots=True)
class Record:
    """A row of an input."""

    fields: Mapping[str, Any]
    raw: bytes | None = None
    """The line that it came as, which goes on as it is: to write it anew could change numbers, and takes longer."""
    error: str | None = None
    """Why it cannot be asked for."""

    def to_json_with(self, added: Mapping[str, Any]) -> bytes:
        """Return it as JSON, with columns added."""
        if self.raw is None or not self.fields or not self.fields.keys().isdisjoint(added):
            return orjson.dumps({**self.fields, **added}, default=_to_json_default)
        return self.raw[:-1] + b"," + orjson.dumps(added)[1:]

    def to_json(self) -> bytes:
        """Return it as JSON; a line that is none as a string."""
        if self.raw is None:
            return orjson.dumps(self.fields, default=_to_json_default)
        return self.raw if self.fields else orjson.dumps(self.raw.decode("utf-8", "replace"))


def _to_json_default(value: Any) -> str:
    """What stands in JSON for what it does not know."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


class PartData(NamedTuple):
    """What was read of an input."""

    records: list[Record]
    table: Any = None
    """The same as an Arrow table, types and all, where they came as one."""


class Input(Protocol):
    """What a job reads."""

    @property
    def columns(self) -> Columns:
        """What its columns are called."""
        ...

    def split(self, part_rows: int) -> Iterator[Part]:
        """Cut the input into parts of so many rows."""
        ...

    def read(self, part: Part) -> PartData:
        """Return the rows of a part."""
        ...

    def fingerprint(self) -> list[Any]:
        """Return what tells this input from another one."""
        ...


def fingerprint_of(path: Path) -> list[Any]:
    """Return what tells a file from another one, or from itself before it was changed."""
    stat = path.stat()
    return [path.name, stat.st_size, stat.st_mtime_ns]


def parse_record(line: bytes) -> Record:
    """A line's row, or why it is none."""
    raw = line.strip().removeprefix(BOM_UTF8)
    fields, is_json = parse(raw)
    if not is_json:
        return Record({}, raw, "the line is not JSON, to which neither NaN nor half a surrogate pair belongs")
    return Record(fields, raw) if is_object(fields) else Record({}, raw, "the line is not a JSON object")
