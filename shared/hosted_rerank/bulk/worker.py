"""One part of a job: read, reranked, and written so that it is there once, whatever is killed in between.

What a folder of output holds: `manifest.json` (whose job it is), `parts/` (the rows with their rankings), `runs/` (the
same as TREC runs, if asked for), `dead-letter/` (rows that failed for good, with the reason) and `done/` (a small file
for each part, written last). All files appear whole or not at all. Who resumes does the parts that are not in `done/`.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson

from hosted_rerank.bulk.batch import RerankBatch
from hosted_rerank.bulk.job import Job, JobError, PartResult
from hosted_rerank.bulk.pace import Lessor
from hosted_rerank.bulk.parts import Part, Row
from hosted_rerank.bulk.rows import Done, added_to, with_columns
from hosted_rerank.errors import RerankError

logger = logging.getLogger("hosted_rerank")


def done_before(job: Job, part: Part) -> PartResult | None:
    """Return what became of a part, if it is done."""
    name = f"{part.number:08}"
    path = job.output / "done" / f"{name}.json"
    if not path.exists():
        return None
    result = PartResult(**json.loads(path.read_text(encoding="utf-8")))
    files = [job.output / "parts" / f"{name}.{job.suffix}"]
    files += [job.output / "runs" / f"{name}.run"] if job.trec else []
    files += [job.output / "dead-letter" / f"{name}.jsonl"] if result.failed else []
    return result if all(file.exists() for file in files) else None  # somebody may have moved one away


class Worker:
    """Does parts of a job, one after the other."""

    def __init__(self, job: Job, pace: Lessor | None = None) -> None:
        self._job = job
        self._input = job.open()
        own = self._input.columns
        self._batch = RerankBatch(
            job.provider,
            job.model,
            columns=self._input.columns,
            top_n=job.top_n,
            concurrency=job.concurrency,
            pace=pace,
            **job.settings,
        )
        self._unsaid = {name for name in (own.ranked, own.scores, own.ranks, own.tokens, own.error) if name is not None}
        """Columns that the output has, and of which nobody was told that the input has them too."""

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._batch.close()

    @property
    def rate(self) -> float:
        """Requests a second that the API allows this process, as far as it is known; else infinite."""
        return self._batch.rate

    def try_to_do(self, part: Part, row: Callable[[Done], None] | None = None) -> PartResult:
        """Do a part; what no row is at fault for is in the result."""
        try:
            return self.do(part, row)
        except RerankError as error:
            return PartResult(part.number, 0, fatal=f"{type(error).__name__}: {error}")
        except JobError as error:
            return PartResult(part.number, 0, fatal=str(error))

    def do(self, part: Part, row: Callable[[Done], None] | None = None) -> PartResult:
        """Do a part, unless it is done; `row` hears of each row.

        Raises:
            RerankError: No row is at fault for it.
            JobError: Nor for it that the results cannot be written.
        """
        job = self._job
        if (before := done_before(job, part)) is not None:
            return before  # by a worker that was killed right after it
        (rows, table), own = self._input.read(part), self._input.columns
        self._warn_of_clashes(rows)
        if job.trec:
            rows = list(map(self._nameable, rows))
        fit = [at for at, each in enumerate(rows) if each.wrong is None]
        if job.suffix == "parquet":  # before anything is paid for, for JSON may hold what Parquet has not
            table = _table([rows[at] for at in fit]) if table is None else _taken(table, fit)
        ranked = iter(self._batch.rank_rows([rows[at].fields for at in fit], row))
        done = [next(ranked) if each.wrong is None else Done(error=each.wrong) for each in rows]
        failed = {at: each.error for at, each in enumerate(done) if each.error is not None}
        good = [at for at in range(len(rows)) if at not in failed]
        added = [added_to(rows[at].fields, done[at], own) for at in good]
        name = f"{part.number:08}"
        path = job.output / "parts" / f"{name}.{job.suffix}"
        if job.suffix == "parquet":
            kept = _taken(table, [place for place, at in enumerate(fit) if at not in failed])
            write_whole(path, _parquet(with_columns(kept, added, own)))
        else:
            whole = (rows[at].json_with(more) + b"\n" for at, more in zip(good, added, strict=True))
            write_whole(path, b"".join(whole))
        if job.trec:
            lines = "".join(line for at in good for line in self._run_lines(part, at, rows[at].fields, done[at]))
            write_whole(job.output / "runs" / f"{name}.run", lines.encode())
        dead = job.output / "dead-letter" / f"{name}.jsonl"
        if failed:
            letters = (_letter(part.number, at, why, rows[at]) for at, why in failed.items())
            write_whole(dead, b"".join(letters))
        else:
            dead.unlink(missing_ok=True)  # of a try that was killed before it was done
        tokens = sum(each.tokens or 0 for each in done)
        result = PartResult(part.number, len(rows), len(failed), tokens)
        write_whole(job.output / "done" / f"{name}.json", json.dumps(asdict(result)).encode())
        return result

    def _warn_of_clashes(self, rows: Sequence[Row]) -> None:
        """Say, once, which columns of the input the output's replace."""
        if clash := self._unsaid & {name for row in rows for name in row.fields}:
            self._unsaid -= clash
            logger.warning("The input has columns that the output gives new values: %s", ", ".join(sorted(clash)))

    def _nameable(self, row: Row) -> Row:
        """A row, with what keeps it from being written as lines of a TREC run."""
        ids = self._input.columns.ids
        named: Any = row.fields.get(ids) if ids is not None else None
        words: list[Any] = [_query_id(row.fields), *(named if isinstance(named, list) else ())]
        return row if row.wrong is not None or all(map(_is_word, words)) else replace(row, wrong=_NO_WORD)

    def _run_lines(self, part: Part, at: int, row: Mapping[str, Any], done: Done) -> Iterator[str]:
        """A row as lines of a TREC run."""
        ids = self._input.columns.ids
        query = f"{part.number}-{at}" if (named := _query_id(row)) is None else named
        for rank, (index, score, _) in enumerate(done.response.results if done.response else (), 1):
            document = index if ids is None else row[ids][index]
            yield f"{query} Q0 {document} {rank} {float('-inf') if score is None else score!r} hosted-rerank\n"


_NO_WORD = "an id has white space in it, or is neither a text nor a number, so it fits in no TREC run"


def _query_id(row: Mapping[str, Any]) -> Any:
    """What a row calls itself, if it does."""
    return next((row[name] for name in ("query_id", "id") if row.get(name) is not None), None)


def _is_word(name: Any) -> bool:
    """Whether it can stand in a TREC run; a row without a name gets one."""
    return name is None or isinstance(name, int) or (isinstance(name, str) and name.split() == [name])


def _table(rows: Sequence[Row]) -> Any:
    """Rows of JSON as an Arrow table: all columns that any of them has.

    Raises:
        JobError: A column holds values of several types.
    """
    pa: Any = import_module("pyarrow")  # untyped, and an extra
    columns: dict[str, Any] = {}
    for name in dict.fromkeys(name for row in rows for name in row.fields):
        try:
            columns[name] = pa.array([row.fields.get(name) for row in rows])
        except (pa.ArrowException, OverflowError):
            raise JobError(f"column {name!r} has values of several types, which Parquet has not: write JSONL") from None
    return pa.table(columns)


def _taken(table: Any, places: Sequence[int]) -> Any:
    """Some rows of an Arrow table."""
    pa: Any = import_module("pyarrow")  # untyped, and an extra
    return table.take(pa.array(places, pa.int64()))


def _parquet(table: Any) -> bytes:
    pa: Any = import_module("pyarrow")  # untyped, and an extra
    pq: Any = import_module("pyarrow.parquet")
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _letter(part: int, at: int, why: str, row: Row) -> bytes:
    """A line of a dead-letter file."""
    return orjson.dumps({"part": part, "row": at, "reason": why})[:-1] + b',"input":' + row.as_json() + b"}\n"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, even if the machine goes down."""
    making = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with making.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        making.replace(path)
    except BaseException:
        making.unlink(missing_ok=True)  # the disk may be full
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """See to it that what was renamed in a folder stays so if the machine goes down."""
    if os.name != "posix":
        return  # Windows cannot open a folder
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
