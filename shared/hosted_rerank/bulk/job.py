"""A job over files: parts of the input become parts of the output, each once, whatever is killed in between.

What a folder of output holds: `manifest.json` (whose job it is), `parts/` (the rows with their rankings), `runs/` (the
same as TREC runs, if asked for), `dead-letter/` (rows that failed for good, with the reason) and `done/` (a small file
for each part, written last). All files appear whole or not at all. Who resumes does the parts that are not in `done/`.
"""

import json
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson

from hosted_rerank.bulk.batch import CONCURRENCY, RerankBatch, check_settings
from hosted_rerank.bulk.pace import Lessor
from hosted_rerank.bulk.parts import Input, Part, Row, open_input
from hosted_rerank.bulk.rows import COLUMNS, Added, Columns, Done, added_to, with_columns
from hosted_rerank.checks import check_count
from hosted_rerank.errors import RerankError

PART_ROWS = 1000
"""Rows of a part, where the caller says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be done. It travels to workers, so it holds no key: those read their own environment."""

    input: Path
    """A `.jsonl` or `.parquet` file, or a folder in BEIR's layout."""
    output: Path
    """A folder that all workers see."""
    run: Path | None = None
    """The candidates of a folder's queries, as a TREC run."""
    provider: str = "fireworks"
    model: str | None = None
    columns: Columns = COLUMNS
    top_n: int | None = None
    concurrency: int = CONCURRENCY
    """Rows under way at once, of each worker."""
    part_rows: int = PART_ROWS
    format: Literal["jsonl", "parquet"] | None = None
    """Of the output; `None` for Parquet where Parquet comes in, else JSONL."""
    trec: bool = False
    """Whether a TREC run is written too; rows are named by their `query_id` or `id`, else by their number."""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """More of `Reranker`'s."""

    def __post_init__(self) -> None:
        check_count("part_rows", self.part_rows, least=1)
        check_count("concurrency", self.concurrency, least=1)
        check_settings(self.settings)

    def open(self) -> Input:
        """Return the input."""
        return open_input(self.input, self.columns, self.run, self.output)

    @property
    def suffix(self) -> str:
        """Of the parts of the output."""
        return self.format or ("parquet" if self.input.suffix == ".parquet" else "jsonl")

    @property
    def manifest(self) -> dict[str, Any]:
        """What tells this job from another one; the concurrency changes nothing of what comes out."""
        about = asdict(replace(self, concurrency=1, settings={}))
        about = {name: str(value) if isinstance(value, Path) else value for name, value in about.items()}
        del about["output"], about["concurrency"], about["settings"]
        return about | {"settings": dict(self.settings), "stamp": self.open().stamp(), "suffix": self.suffix}


@dataclass(frozen=True, slots=True)
class PartResult:
    """What became of a part."""

    number: int
    rows: int
    failed: int = 0
    """Rows in the dead-letter file."""
    tokens: int = 0
    fatal: str | None = None
    """What ends the job: a wrong key, model or account."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """What became of a job."""

    rows: int
    """Those of the dead-letter files included."""
    failed: int
    tokens: int
    parts: int
    resumed: int
    """Parts that were done before."""


@dataclass(slots=True)
class Progress:
    """How far a job is."""

    total: int
    """Rows of the input."""
    rows: int = 0
    """Those that are done, failed ones included."""
    failed: int = 0
    tokens: int = 0
    rate: float = math.inf
    """Requests a second that the API allows, as far as it is known."""


class Engine(Protocol):
    """Who works through parts."""

    def work(self, job: Job, parts: Sequence[Part], row: Callable[[Done], None]) -> Iterator[PartResult]:
        """Yield what became of each part when it is done; `row` may hear of each row before that."""
        ...

    @property
    def rate(self) -> float:
        """Requests a second that the API allows, as far as it is known; else infinite."""
        ...


class JobError(Exception):
    """What no row is at fault for ended the job; what was done is kept, and the message says what it was."""


def run_job(
    job: Job, *, resume: bool = False, engine: Engine | None = None, told: Callable[[Progress], None] | None = None
) -> JobResult:
    """Do a job, or what is missing of it.

    Args:
        job: What is to be done.
        resume: Whether the output folder may hold a part of it already.
        engine: Who works; `None` for this process. `hosted_rerank.bulk.on_ray.RayEngine` is another one.
        told: Hears how far it is, after each row or part.

    Raises:
        FileExistsError: The folder holds a job, and `resume` is not set.
        ValueError: The folder holds another job, or the input cannot be read.
        JobError: A key, model or account is refused, or the provider was out for longer than it may.
    """
    begin(job, resume=resume)
    engine = engine or Here()
    parts = list(job.open().parts(job.part_rows))
    results = {result.number: result for part in parts if (result := done_before(job, part)) is not None}
    resumed, total = len(results), sum(part.rows for part in parts)
    progress = _count(total, results.values())

    def tell() -> None:
        if told is not None:
            progress.rate = engine.rate
            told(progress)

    def row(done: Done) -> None:
        progress.rows += 1
        progress.failed += done.error is not None
        progress.tokens += done.tokens or 0
        tell()

    tell()
    missing = [part for part in parts if part.number not in results]
    for result in engine.work(job, missing, row) if missing else ():
        if result.fatal is not None:
            raise JobError(result.fatal)
        results[result.number] = result
        progress = _count(total, results.values())
        tell()
    if job.trec:
        _join_runs(job, parts)
    return JobResult(progress.rows, progress.failed, progress.tokens, len(parts), resumed)


def _count(total: int, results: Collection[PartResult]) -> Progress:
    """How far a job is, by the parts that are done."""
    failed, tokens = sum(result.failed for result in results), sum(result.tokens for result in results)
    return Progress(total, sum(result.rows for result in results), failed, tokens)


def begin(job: Job, *, resume: bool) -> None:
    """Make the output folder, or see that it is this job's."""
    manifest, path = json.loads(json.dumps(job.manifest)), job.output / "manifest.json"
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != manifest:
            raise ValueError(f"{job.output} holds another job, or the input has changed: name another folder")
        if not resume:
            raise FileExistsError(f"{job.output} holds this job already: --resume goes on with it")
    for name in ("parts", "done", "dead-letter", *(["runs"] if job.trec else [])):
        (job.output / name).mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_whole(path, json.dumps(manifest, indent=1).encode())


def done_before(job: Job, part: Part) -> PartResult | None:
    """Return what became of a part, if it is done."""
    path = job.output / "done" / f"{part.number:08}.json"
    return PartResult(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


class Here:
    """Works through parts in this process, one after the other."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def work(self, job: Job, parts: Sequence[Part], row: Callable[[Done], None]) -> Iterator[PartResult]:
        """Yield what became of each part when it is done; `row` hears of each row before that."""
        with Worker(job) as self._worker:
            for part in parts:
                yield self._worker.try_to_do(part, row)

    @property
    def rate(self) -> float:
        """Requests a second that the API allows, as far as it is known; else infinite."""
        return math.inf if self._worker is None else self._worker.rate


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


def _join_runs(job: Job, parts: Sequence[Part]) -> None:
    """Put the runs of all parts into one file."""
    making, path = job.output / ".run.trec", job.output / "run.trec"
    with making.open("wb") as joined:
        for part in parts:
            joined.write((job.output / "runs" / f"{part.number:08}.run").read_bytes())
    making.replace(path)
