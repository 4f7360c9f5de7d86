"""One part of a job: read, reranked, and written so that it is there once, whatever is killed in between.

What a folder of output holds: `manifest.json` (whose job it is), `parts/` (the rows with their rankings), `runs/` (the
same as TREC runs, if asked for), `dead-letter/` (rows that failed for good, with the reason) and `done/` (a small file
for each part, written last). All files appear whole or not at all. Who resumes does the parts that are not in `done/`.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson

from hosted_rerank.bulk.batch import RerankBatch
from hosted_rerank.bulk.job import Job, PartResult
from hosted_rerank.bulk.pace import Lessor
from hosted_rerank.bulk.parts import Part, Row
from hosted_rerank.bulk.rows import Added, Done, added_to, with_columns
from hosted_rerank.errors import RerankError


def done_before(job: Job, part: Part) -> PartResult | None:
    """Return what became of a part, if it is done."""
    path = job.output / "done" / f"{part.number:08}.json"
    return PartResult(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


class Worker:
    """Does parts of a job, one after the other."""

    def __init__(self, job: Job, pace: Lessor | None = None) -> None:
        self._job = job
        self._input = job.open()
        self._batch = RerankBatch(
            job.provider,
            job.model,
            columns=self._input.columns,
            top_n=job.top_n,
            concurrency=job.concurrency,
            pace=pace,
            **job.settings,
        )

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

    def do(self, part: Part, row: Callable[[Done], None] | None = None) -> PartResult:
        """Do a part, unless it is done; `row` hears of each row.

        Raises:
            RerankError: No row is at fault for it.
        """
        job = self._job
        if (before := done_before(job, part)) is not None:
            return before  # by a worker that was killed right after it
        rows, own = self._input.read(part), self._input.columns
        ranked = iter(self._batch.rank_rows([each.fields for each in rows if each.wrong is None], row))
        done = [next(ranked) if each.wrong is None else Done(error=each.wrong) for each in rows]
        failed = {at: each.error for at, each in enumerate(done) if each.error is not None}
        good = [at for at in range(len(rows)) if at not in failed]
        added = {at: added_to(rows[at].fields, done[at], own) for at in good}
        name = f"{part.number:08}"
        self._write(name, [rows[at] for at in good], list(added.values()))
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

    def _write(self, name: str, rows: Sequence[Row], added: Sequence[Added]) -> None:
        path, own = self._job.output / "parts" / f"{name}.{self._job.suffix}", self._input.columns
        if self._job.suffix == "jsonl":
            lines = (row.json_with(more) + b"\n" for row, more in zip(rows, added, strict=True))
            write_whole(path, b"".join(lines))
            return
        pa: Any = import_module("pyarrow")  # untyped, and an extra
        pq: Any = import_module("pyarrow.parquet")
        sink = pa.BufferOutputStream()
        pq.write_table(with_columns(pa.Table.from_pylist([row.fields for row in rows]), added, own), sink)
        write_whole(path, sink.getvalue().to_pybytes())

    def _run_lines(self, part: Part, at: int, row: Mapping[str, Any], done: Done) -> Iterator[str]:
        """A row as lines of a TREC run."""
        ids = self._input.columns.ids
        query = row.get("query_id") or row.get("id") or f"{part.number}-{at}"
        for rank, (index, score, _) in enumerate(done.response.results if done.response else (), 1):
            document = index if ids is None else row[ids][index]
            yield f"{query} Q0 {document} {rank} {float('-inf') if score is None else score!r} hosted-rerank\n"


def _letter(part: int, at: int, why: str, row: Row) -> bytes:
    """A line of a dead-letter file."""
    return orjson.dumps({"part": part, "row": at, "reason": why})[:-1] + b',"input":' + row.as_json() + b"}\n"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, even if the machine goes down."""
    making = path.with_name(f".{path.name}.{os.getpid()}")
    with making.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    making.replace(path)
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
