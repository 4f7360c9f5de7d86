"""`BeirFolder`: a folder in BEIR's layout with a TREC run, one row for each query of the run."""

import atexit
import hashlib
import os
import sqlite3
from codecs import BOM_UTF8
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Literal
from uuid import uuid4

from hosted_rerank.bulk.parts import Part, PartData, Plan, Record, parse_record
from hosted_rerank.bulk.rows import Columns
from hosted_rerank.bulk.storage import hash_into, open_filesystem

CORPUS_INDEX = "texts.sqlite"
"""The name of the index file, which holds the byte offset of each document and query."""

_BEIR_COLUMNS = Columns(ids="document_ids")


@dataclass(frozen=True, slots=True)
class BeirFolder:
    """A corpus, queries and a TREC run: one row for each query of the run, with its candidates best first.

    The corpus is not held in memory. An SQLite index on disk, built once, holds the byte offset of each document.
    """

    uri: str
    run: str
    index_folder: str | None = None
    columns: Columns = _BEIR_COLUMNS

    @property
    def suffix(self) -> Literal["jsonl", "parquet"]:
        """The output format that keeps the types of this input."""
        return "jsonl"

    def close(self) -> None:
        """Do nothing, because each read closes what it opens."""

    def plan(self, part_rows: int) -> Plan:
        """Return parts of at most `part_rows` queries. The lines of a query must be contiguous in the run."""
        digest = hashlib.sha256()
        for uri in (self.run, f"{self.uri}/corpus.jsonl", f"{self.uri}/queries.jsonl"):
            hash_into(uri, digest)
        self._find_index().unlink(missing_ok=True)  # left by an earlier run, maybe of another corpus
        self._build_index()
        return Plan(list(self._split(part_rows)), digest.hexdigest())

    def _split(self, part_rows: int) -> Iterator[Part]:
        number = count = start = 0
        # a temporary database on disk, because there may be many queries
        with _name_database(gettempdir()), closing(sqlite3.connect("")) as seen:
            seen.execute("create table queries (id blob primary key) without rowid")
            for query, at in self._find_queries():
                if seen.execute("insert or ignore into queries values (?)", (query,)).rowcount == 0:
                    name = query.decode("utf-8", "replace")
                    raise ValueError(
                        f"run {self.run}: the lines of query {name} are not contiguous: sort the run by query"
                    )
                if count == part_rows:
                    yield Part(number, start, count)
                    number, count, start = number + 1, 0, at
                count += 1
        if count:
            yield Part(number, start, count)

    def _find_queries(self) -> Iterator[tuple[bytes, int]]:
        """Yield each query of the run with the byte offset of its first line."""
        before, at = b"", 0
        with _open(self.run) as file:
            for line in file:
                query = line.removeprefix(BOM_UTF8).split(maxsplit=1)[0] if line.strip() else before
                if query != before:
                    yield query, at
                before, at = query, at + len(line)

    def _find_index(self) -> Path:
        """Return the path of the index: in the job's folder, or in this machine's folder for temporary files."""
        if self.index_folder is not None:
            return Path(self.index_folder) / CORPUS_INDEX
        name = hashlib.sha256(self.uri.encode()).hexdigest()[:16]
        return Path(gettempdir()) / f"hosted-rerank-{name}-{os.getpid()}.sqlite"

    def _build_index(self) -> Path:
        index = self._find_index()
        if index.exists():
            return index
        index.parent.mkdir(parents=True, exist_ok=True)
        temporary = index.with_name(f".{index.name}.{uuid4().hex}.temporary")
        with _name_database(index), closing(sqlite3.connect(temporary)) as database:
            database.execute(
                "create table texts (kind text, id text, at integer, primary key (kind, id)) without rowid"
            )
            for kind in ("corpus", "queries"):
                database.executemany(
                    "insert or replace into texts values (?, ?, ?)", _find_offsets(f"{self.uri}/{kind}.jsonl", kind)
                )
            database.commit()
        temporary.replace(index)
        if self.index_folder is None:
            atexit.register(index.unlink, missing_ok=True)
        return index

    def read(self, part: Part) -> PartData:
        """Return the records of a part."""
        with _open(self.run) as file:
            file.seek(part.start)
            whole = (line.removeprefix(BOM_UTF8).decode("utf-8", "replace") for line in file if line.strip())
            lines = (line.split() for line in whole)
            found = groupby(lines, key=lambda words: words[0])
            groups = [(query, list(each)) for (query, each), _ in zip(found, range(part.rows), strict=False)]
        database = sqlite3.connect(f"{self._build_index().resolve().as_uri()}?mode=ro", uri=True)
        with _open(f"{self.uri}/corpus.jsonl") as corpus, _open(f"{self.uri}/queries.jsonl") as queries:
            files = {"corpus": corpus, "queries": queries}

            def text(kind: str, name: str) -> str | None:
                place = database.execute("select at from texts where kind = ? and id = ?", (kind, name)).fetchone()
                if place is None:
                    return None
                files[kind].seek(place[0])
                row = parse_record(files[kind].readline()).fields
                return f"{row.get('title') or ''} {row.get('text') or ''}".strip()

            records = [self._make_record(query, lines, text) for query, lines in groups]
        database.close()
        return PartData(records)

    def _make_record(self, query: str, lines: Sequence[Sequence[str]], text: Any) -> Record:
        if any(len(words) < 5 or _parse_score(words[4]) is None for words in lines):
            return Record(
                {"query_id": query},
                error=f"a line of query {query} is not a line of a TREC run (query Q0 document rank score tag)",
            )
        best = sorted(lines, key=lambda words: _parse_score(words[4]) or 0.0, reverse=True)
        ids = list(dict.fromkeys(words[2] for words in best))  # a document that stands twice counts once
        documents = [text("corpus", name) for name in ids]
        row = {"query_id": query, "query": text("queries", query), "document_ids": ids, "documents": documents}
        if row["query"] is None:
            return Record(row, error=f"query {query} is not in queries.jsonl")
        if missing := [name for name, found in zip(ids, documents, strict=True) if found is None]:
            return Record(row, error=f"documents {', '.join(missing[:5])} are not in the corpus")
        return Record(row)


@contextmanager
def _name_database(path: Path | str) -> Generator[None]:
    """Name the place of a database in its errors, such as "database or disk is full"."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OSError(f"{path}: {error}") from error


def _open(uri: str) -> Any:
    filesystem, path = open_filesystem(uri)
    return filesystem.open(path, "rb")


def _parse_score(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _find_offsets(uri: str, kind: str) -> Iterator[tuple[str, str, int]]:
    at = 0
    with _open(uri) as file:
        for line in file:
            if line.strip():
                row = parse_record(line).fields
                if "_id" not in row:
                    raise ValueError(f"{uri}: the line at byte {at} is not a JSON object with an _id")
                yield kind, str(row["_id"]), at
            at += len(line)
