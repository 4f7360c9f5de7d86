"""The input of a job, cut into parts that do not depend on who reads them: each can be read again, alone, anywhere.

Read are JSONL (a row a line), Parquet, and a folder in BEIR's layout with a TREC run (a row for each query of the run).
A part is a few numbers, so that a driver holds many and sends them cheaply.
"""

import base64
import sqlite3
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson

from hosted_rerank.body import is_object, parse
from hosted_rerank.bulk.rows import Columns

INDEX = "texts.sqlite"
"""The file in a job's folder that knows where each text of a corpus begins."""
STEP = 1024
"""Rows of a Parquet file that are read at once, at least."""


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
class Row:
    """A row of an input."""

    fields: Mapping[str, Any]
    raw: bytes | None = None
    """The line that it came as, which goes on as it is: to write it anew could change numbers, and takes longer."""
    wrong: str | None = None
    """Why it cannot be asked for."""

    def json_with(self, added: Mapping[str, Any]) -> bytes:
        """Return it as JSON, with columns added."""
        if self.raw is None or not self.fields or not self.fields.keys().isdisjoint(added):
            return orjson.dumps({**self.fields, **added}, default=_plain)
        return self.raw[:-1] + b"," + orjson.dumps(added)[1:]

    def as_json(self) -> bytes:
        """Return it as JSON; a line that is none as a string."""
        if self.raw is None:
            return orjson.dumps(self.fields, default=_plain)
        return self.raw if self.fields else orjson.dumps(self.raw.decode("utf-8", "replace"))


def _plain(value: Any) -> str:
    """What stands in JSON for what it does not know."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


class Read(NamedTuple):
    """What was read of an input."""

    rows: list[Row]
    table: Any = None
    """The same as an Arrow table, types and all, where they came as one."""


class Input(Protocol):
    """What a job reads."""

    @property
    def columns(self) -> Columns:
        """What its columns are called."""
        ...

    def parts(self, rows: int) -> Iterator[Part]:
        """Cut the input into parts of so many rows."""
        ...

    def read(self, part: Part) -> Read:
        """Return the rows of a part."""
        ...

    def stamp(self) -> list[Any]:
        """Return what tells this input from another one."""
        ...


def open_input(path: Path, columns: Columns, run: Path | None = None, scratch: Path | None = None) -> Input:
    """Return the input at a path.

    Args:
        path: A `.jsonl` or `.parquet` file, or a folder with `corpus.jsonl` and `queries.jsonl`.
        columns: What its columns are called; a folder's have names of their own.
        run: The TREC run that says which documents are a query's candidates; needed for a folder, and only there.
        scratch: A folder for the index of a corpus, shared by all workers.

    Raises:
        ValueError: It is neither.
        FileNotFoundError: It is not there.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.is_dir():
        if run is None or scratch is None:
            raise ValueError(f"{path} is a folder: --run says which documents are a query's candidates")
        return BeirFolder(path, run, scratch)
    if path.suffix == ".parquet":
        return ParquetFile(path, columns)
    if path.suffix in (".jsonl", ".ndjson"):
        return JsonLines(path, columns)
    raise ValueError(f"{path} is neither .jsonl nor .parquet nor a folder in BEIR's layout")


def _stamp(path: Path) -> list[Any]:
    stat = path.stat()
    return [path.name, stat.st_size, stat.st_mtime_ns]


def _row(line: bytes) -> Row:
    """A line's row, or why it is none."""
    raw = line.strip().removeprefix(BOM_UTF8)
    fields, is_json = parse(raw)
    if not is_json:
        return Row({}, raw, "the line is not JSON, to which neither NaN nor half a surrogate pair belongs")
    return Row(fields, raw) if is_object(fields) else Row({}, raw, "the line is not a JSON object")


@dataclass(frozen=True, slots=True)
class JsonLines:
    """A row a line; empty lines are none."""

    path: Path
    columns: Columns

    def parts(self, rows: int) -> Iterator[Part]:
        """Cut it; one pass over the file, a line in memory."""
        number = count = start = at = 0
        with self.path.open("rb") as file:
            for line in file:
                at += len(line)
                count += bool(line.strip())
                if count == rows:
                    yield Part(number, start, count)
                    number, count, start = number + 1, 0, at
        if count:
            yield Part(number, start, count)

    def read(self, part: Part) -> Read:
        """Return the rows of a part."""
        rows: list[Row] = []
        with self.path.open("rb") as file:
            file.seek(part.start)
            while len(rows) < part.rows and (line := file.readline()):
                if line.strip():
                    rows.append(_row(line))
        return Read(rows)

    def stamp(self) -> list[Any]:
        """Return what tells this file from another one."""
        return _stamp(self.path)


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """A Parquet file; a part lies within one row group."""

    path: Path
    columns: Columns

    def parts(self, rows: int) -> Iterator[Part]:
        """Cut it, by its metadata alone."""
        pq: Any = import_module("pyarrow.parquet")  # untyped, and an extra
        number, file = 0, pq.ParquetFile(self.path)
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            for start in range(0, count, rows):
                yield Part(number, start, min(rows, count - start), group)
                number += 1

    def read(self, part: Part) -> Read:
        """Return the rows of a part; little more of the file is in memory than they."""
        pa: Any = import_module("pyarrow")  # untyped, and an extra
        pq: Any = import_module("pyarrow.parquet")
        seen, missing, found, file = 0, part.rows, list[Any](), pq.ParquetFile(self.path)
        for batch in file.iter_batches(max(part.rows, STEP), [part.group]):
            if missing and seen + batch.num_rows > part.start:
                found.append(batch.slice(max(0, part.start - seen), missing))
                missing -= found[-1].num_rows
            seen += batch.num_rows
            if not missing:
                break
        table = pa.Table.from_batches(found, file.schema_arrow)
        return Read(list(map(Row, table.to_pylist())), table)

    def stamp(self) -> list[Any]:
        """Return what tells this file from another one."""
        return _stamp(self.path)


_OF_A_FOLDER = Columns(ids="document_ids")


@dataclass(frozen=True, slots=True)
class BeirFolder:
    """A corpus, queries and a TREC run: a row for each query of the run, its candidates best first.

    The corpus is not held in memory: an index on disk (SQLite), made once, knows where each document begins.
    """

    path: Path
    run: Path
    scratch: Path
    columns: Columns = _OF_A_FOLDER

    def parts(self, rows: int) -> Iterator[Part]:
        """Cut the run; lines of a query have to stand together, as run files have them."""
        self._make_index()
        number = count = start = 0
        with closing(sqlite3.connect("")) as seen:  # on disk, and gone when it is closed: there may be many
            seen.execute("create table queries (id blob primary key) without rowid")
            for query, at in self._queries():
                if seen.execute("insert or ignore into queries values (?)", (query,)).rowcount == 0:
                    name = query.decode("utf-8", "replace")
                    raise ValueError(
                        f"{self.run}: the lines of query {name} do not stand together: sort the run by query"
                    )
                if count == rows:
                    yield Part(number, start, count)
                    number, count, start = number + 1, 0, at
                count += 1
        if count:
            yield Part(number, start, count)

    def _queries(self) -> Iterator[tuple[bytes, int]]:
        """The queries of the run, and the byte that each begins at."""
        before, at = b"", 0
        with self.run.open("rb") as file:
            for line in file:
                query = line.removeprefix(BOM_UTF8).split(maxsplit=1)[0] if line.strip() else before
                if query != before:
                    yield query, at
                before, at = query, at + len(line)

    def _make_index(self) -> None:
        index = self.scratch / INDEX
        if index.exists():
            return
        making = index.with_suffix(".making")
        making.unlink(missing_ok=True)
        database = sqlite3.connect(making)
        database.execute("create table texts (kind text, id text, at integer, primary key (kind, id)) without rowid")
        for kind in ("corpus", "queries"):
            database.executemany("insert or replace into texts values (?, ?, ?)", _offsets(self.path, kind))
        database.commit()
        database.close()
        making.replace(index)

    def read(self, part: Part) -> Read:
        """Return the rows of a part."""
        with self.run.open("rb") as file:
            file.seek(part.start)
            whole = (line.removeprefix(BOM_UTF8).decode("utf-8", "replace") for line in file if line.strip())
            lines = (line.split() for line in whole)
            found = groupby(lines, key=lambda words: words[0])
            groups = [(query, list(each)) for (query, each), _ in zip(found, range(part.rows), strict=False)]
        database = sqlite3.connect(f"{(self.scratch / INDEX).resolve().as_uri()}?mode=ro", uri=True)
        with (self.path / "corpus.jsonl").open("rb") as corpus, (self.path / "queries.jsonl").open("rb") as queries:
            files = {"corpus": corpus, "queries": queries}

            def text(kind: str, name: str) -> str | None:
                place = database.execute("select at from texts where kind = ? and id = ?", (kind, name)).fetchone()
                if place is None:
                    return None
                files[kind].seek(place[0])
                row = _row(files[kind].readline()).fields
                return f"{row.get('title') or ''} {row.get('text') or ''}".strip()

            rows = [self._row(query, lines, text) for query, lines in groups]
        database.close()
        return Read(rows)

    def _row(self, query: str, lines: Sequence[Sequence[str]], text: Any) -> Row:
        if any(len(words) < 5 or _number(words[4]) is None for words in lines):
            return Row({"query_id": query}, wrong=f"a line of query {query} is no line of a TREC run")
        best = sorted(lines, key=lambda words: _number(words[4]) or 0.0, reverse=True)
        ids = [words[2] for words in best]
        documents = [text("corpus", name) for name in ids]
        row = {"query_id": query, "query": text("queries", query), "document_ids": ids, "documents": documents}
        if row["query"] is None:
            return Row(row, wrong=f"query {query} is not in queries.jsonl")
        if missing := [name for name, found in zip(ids, documents, strict=True) if found is None]:
            return Row(row, wrong=f"documents {', '.join(missing[:5])} are not in the corpus")
        return Row(row)

    def stamp(self) -> list[Any]:
        """Return what tells this input from another one."""
        return [_stamp(path) for path in (self.run, self.path / "corpus.jsonl", self.path / "queries.jsonl")]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _offsets(folder: Path, kind: str) -> Iterator[tuple[str, str, int]]:
    at = 0
    path = folder / f"{kind}.jsonl"
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                row = _row(line).fields
                if "_id" not in row:
                    raise ValueError(f"{path}: the line at byte {at} is not a JSON object with an _id")
                yield kind, str(row["_id"]), at
            at += len(line)
