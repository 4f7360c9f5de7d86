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
from hosted_rerank.bulk.parts import Part, Record
from hosted_rerank.bulk.rows import RowResult, add_columns, make_output_columns
from hosted_rerank.bulk.shared_rate import RateLeaseClient
from hosted_rerank.errors import RerankError

logger = logging.getLogger("hosted_rerank")


def load_result(job: Job, part: Part) -> PartResult | None:
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

    def __init__(self, job: Job, shared_rate: RateLeaseClient | None = None) -> None:
        self._job = job
        self._input = job.open()
        columns = self._input.columns
        self._batch = RerankBatch(
            job.provider,
            job.model,
            columns=columns,
            top_n=job.top_n,
            concurrency=job.concurrency,
            shared_rate=shared_rate,
            **job.settings,
        )
        self._unwarned_columns = {
            name
            for name in (columns.ranked, columns.scores, columns.ranks, columns.tokens, columns.error)
            if name is not None
        }
        """Columns that the output has, and of which nobody was told that the input has them too."""

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._batch.close()

    @property
    def rate(self) -> float:
        """Requests a second that the API allows this process, as far as it is known; else infinite."""
        return self._batch.rate

    def try_process_part(self, part: Part, on_row: Callable[[RowResult], None] | None = None) -> PartResult:
        """Do a part; what no row is at fault for is in the result."""
        try:
            return self.process_part(part, on_row)
        except RerankError as error:
            return PartResult(part.number, 0, fatal=f"{type(error).__name__}: {error}")
        except JobError as error:
            return PartResult(part.number, 0, fatal=str(error))

    def process_part(self, part: Part, on_row: Callable[[RowResult], None] | None = None) -> PartResult:
        """Do a part, unless it is done; `on_row` hears of each row.

        Raises:
            RerankError: No row is at fault for it.
            JobError: Nor for it that the results cannot be written.
        """
        job = self._job
        if (before := load_result(job, part)) is not None:
            return before  # by a worker that was killed right after it
        (records, table), columns = self._input.read(part), self._input.columns
        self._warn_of_replaced_columns(records)
        if job.trec:
            records = list(map(self._check_trec_ids, records))
        usable = [at for at, each in enumerate(records) if each.error is None]
        if job.suffix == "parquet":  # before anything is paid for, for JSON may hold what Parquet has not
            table = _make_table([records[at] for at in usable]) if table is None else _select_rows(table, usable)
        ranked = iter(self._batch.rerank_rows([records[at].fields for at in usable], on_row))
        results = [next(ranked) if each.error is None else RowResult(error=each.error) for each in records]
        failed = {at: each.error for at, each in enumerate(results) if each.error is not None}
        good = [at for at in range(len(records)) if at not in failed]
        added = [make_output_columns(records[at].fields, results[at], columns) for at in good]
        name = f"{part.number:08}"
        path = job.output / "parts" / f"{name}.{job.suffix}"
        if job.suffix == "parquet":
            kept = _select_rows(table, [place for place, at in enumerate(usable) if at not in failed])
            write_atomically(path, _encode_parquet(add_columns(kept, added, columns)))
        else:
            whole = (records[at].to_json_with(more) + b"\n" for at, more in zip(good, added, strict=True))
            write_atomically(path, b"".join(whole))
        if job.trec:
            lines = "".join(
                line for at in good for line in self._format_trec_lines(part, at, records[at].fields, results[at])
            )
            write_atomically(job.output / "runs" / f"{name}.run", lines.encode())
        dead = job.output / "dead-letter" / f"{name}.jsonl"
        if failed:
            letters = (_format_dead_letter(part.number, at, why, records[at]) for at, why in failed.items())
            write_atomically(dead, b"".join(letters))
        else:
            dead.unlink(missing_ok=True)  # of a try that was killed before it was done
        tokens = sum(each.tokens or 0 for each in results)
        result = PartResult(part.number, len(records), len(failed), tokens)
        write_atomically(job.output / "done" / f"{name}.json", json.dumps(asdict(result)).encode())
        return result

    def _warn_of_replaced_columns(self, rows: Sequence[Record]) -> None:
        """Say, once, which columns of the input the output's replace."""
        if replaced := self._unwarned_columns & {name for row in rows for name in row.fields}:
            self._unwarned_columns -= replaced
            logger.warning("The input has columns that the output gives new values: %s", ", ".join(sorted(replaced)))

    def _check_trec_ids(self, row: Record) -> Record:
        """A row, with what keeps it from being written as lines of a TREC run."""
        ids = self._input.columns.ids
        named: Any = row.fields.get(ids) if ids is not None else None
        words: list[Any] = [_find_query_id(row.fields), *(named if isinstance(named, list) else ())]
        return row if row.error is not None or all(map(_is_trec_id, words)) else replace(row, error=_INVALID_TREC_ID)

    def _format_trec_lines(self, part: Part, at: int, row: Mapping[str, Any], result: RowResult) -> Iterator[str]:
        """A row as lines of a TREC run."""
        ids = self._input.columns.ids
        query = f"{part.number}-{at}" if (named := _find_query_id(row)) is None else named
        for rank, (index, score, _) in enumerate(result.response.results if result.response else (), 1):
            document = index if ids is None else row[ids][index]
            yield f"{query} Q0 {document} {rank} {float('-inf') if score is None else score!r} hosted-rerank\n"


_INVALID_TREC_ID = "an id has white space in it, or is neither a text nor a number, so it fits in no TREC run"


def _find_query_id(row: Mapping[str, Any]) -> Any:
    """What a row calls itself, if it does."""
    return next((row[name] for name in ("query_id", "id") if row.get(name) is not None), None)


def _is_trec_id(name: Any) -> bool:
    """Whether it can stand in a TREC run; a row without a name gets one."""
    return name is None or isinstance(name, int) or (isinstance(name, str) and name.split() == [name])


def _make_table(rows: Sequence[Record]) -> Any:
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


def _select_rows(table: Any, places: Sequence[int]) -> Any:
    """Some rows of an Arrow table."""
    pa: Any = import_module("pyarrow")  # untyped, and an extra
    return table.take(pa.array(places, pa.int64()))


def _encode_parquet(table: Any) -> bytes:
    pa: Any = import_module("pyarrow")  # untyped, and an extra
    pq: Any = import_module("pyarrow.parquet")
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _format_dead_letter(part: int, at: int, why: str, row: Record) -> bytes:
    """A line of a dead-letter file."""
    return orjson.dumps({"part": part, "row": at, "reason": why})[:-1] + b',"input":' + row.to_json() + b"}\n"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, even if the machine goes down."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)  # the disk may be full
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """See to it that what was renamed in a folder stays so if the machine goes down."""
    if os.name != "posix":
        return  # Windows cannot open a folder
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
