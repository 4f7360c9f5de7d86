"""`BeirFolder`: a folder in BEIR's layout with a TREC run, one row for each query of the run."""

import sqlite3
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from hosted_rerank.bulk.parts import Part, PartData, Record, fingerprint_of, parse_record
from hosted_rerank.bulk.rows import Columns

CORPUS_INDEX = "texts.sqlite"
"""The name of the index file, which holds the byte offset of each document and query."""

_BEIR_COLUMNS = Columns(ids="document_ids")


@dataclass(frozen=True, slots=True)
class BeirFolder:
    """A corpus, queries and a TREC run: one row for each query of the run, with its candidates best first.

    The corpus is not held in memory. An SQLite index on disk, built once, holds the byte offset of each document.
    """

    path: Path
    run: Path
    index_folder: Path
    columns: Columns = _BEIR_COLUMNS

    def split(self, part_rows: int) -> Iterator[Part]:
        """Yield parts of at most `part_rows` queries. The lines of a query must be contiguous in the run."""
        self._build_index()
        number = count = start = 0
        with closing(sqlite3.connect("")) as seen:  # a temporary database on disk, because there may be many queries
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
        with self.run.open("rb") as file:
            for line in file:
                query = line.removeprefix(BOM_UTF8).split(maxsplit=1)[0] if line.strip() else before
                if query != before:
                    yield query, at
                before, at = query, at + len(line)

    def _build_index(self) -> None:
        index = self.index_folder / CORPUS_INDEX
        if index.exists():
            return
        temporary = index.with_suffix(".temporary")
        temporary.unlink(missing_ok=True)
        database = sqlite3.connect(temporary)
        database.execute("create table texts (kind text, id text, at integer, primary key (kind, id)) without rowid")
        for kind in ("corpus", "queries"):
            database.executemany("insert or replace into texts values (?, ?, ?)", _find_offsets(self.path, kind))
        database.commit()
        database.close()
        temporary.replace(index)

    def read(self, part: Part) -> PartData:
        """Return the records of a part."""
        with self.run.open("rb") as file:
            file.seek(part.start)
            whole = (line.removeprefix(BOM_UTF8).decode("utf-8", "replace") for line in file if line.strip())
            lines = (line.split() for line in whole)
            found = groupby(lines, key=lambda words: words[0])
            groups = [(query, list(each)) for (query, each), _ in zip(found, range(part.rows), strict=False)]
        database = sqlite3.connect(f"{(self.index_folder / CORPUS_INDEX).resolve().as_uri()}?mode=ro", uri=True)
        with (self.path / "corpus.jsonl").open("rb") as corpus, (self.path / "queries.jsonl").open("rb") as queries:
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
        ids = [words[2] for words in best]
        documents = [text("corpus", name) for name in ids]
        row = {"query_id": query, "query": text("queries", query), "document_ids": ids, "documents": documents}
        if row["query"] is None:
            return Record(row, error=f"query {query} is not in queries.jsonl")
        if missing := [name for name, found in zip(ids, documents, strict=True) if found is None]:
            return Record(row, error=f"documents {', '.join(missing[:5])} are not in the corpus")
        return Record(row)

    def fingerprint(self) -> list[Any]:
        """Return values that identify the run, the corpus and the queries, and change when they change."""
        return [fingerprint_of(path) for path in (self.run, self.path / "corpus.jsonl", self.path / "queries.jsonl")]


def _parse_score(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _find_offsets(folder: Path, kind: str) -> Iterator[tuple[str, str, int]]:
    at = 0
    path = folder / f"{kind}.jsonl"
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                row = parse_record(line).fields
                if "_id" not in row:
                    raise ValueError(f"{path}: the line at byte {at} is not a JSON object with an _id")
                yield kind, str(row["_id"]), at
            at += len(line)
