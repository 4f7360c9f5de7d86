"""A job, from its folder to its result; in this process, if no other engine works on it."""

import json
import math
import os
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from hosted_rerank.bulk.beir import INDEX
from hosted_rerank.bulk.job import Engine, Job, JobError, JobResult, PartResult, Progress
from hosted_rerank.bulk.parts import Part
from hosted_rerank.bulk.rows import Done
from hosted_rerank.bulk.worker import Worker, done_before, write_whole

fcntl: Any = import_module("fcntl") if os.name == "posix" else None


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
        FileExistsError: The folder holds a job, and `resume` is not set; or another process works on it.
        ValueError: The folder holds another job, or the input cannot be read.
        JobError: A key, model or account is refused, or the provider was out for longer than it may.
    """
    manifest = json.loads(json.dumps(job.manifest))  # before the folder is made, for the input may not be there
    job.output.mkdir(parents=True, exist_ok=True)
    with _alone(job.output):
        _begin(job, manifest, resume=resume)
        return _do(job, engine or Here(), told)


def _do(job: Job, engine: Engine, told: Callable[[Progress], None] | None) -> JobResult:
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


def _begin(job: Job, manifest: dict[str, Any], *, resume: bool) -> None:
    """Make the output folder, or see that it is this job's."""
    path = job.output / "manifest.json"
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != manifest:
            if any((job.output / "done").glob("*.json")):
                raise ValueError(f"{job.output} holds another job, or the input has changed: name another folder")
            path.unlink()  # of a first try that came to nothing
            (job.output / INDEX).unlink(missing_ok=True)
        elif not resume:
            raise FileExistsError(f"{job.output} holds this job already: --resume goes on with it")
    for name in ("parts", "done", "dead-letter", *(["runs"] if job.trec else [])):
        (job.output / name).mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_whole(path, json.dumps(manifest, indent=1).encode())


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """Keep other drivers out of a folder as long as this one lives, where the system and the file system can."""
    if fcntl is None:
        yield
        return
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileExistsError(f"{folder} is being worked on by another process") from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(lock)


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


def _join_runs(job: Job, parts: Sequence[Part]) -> None:
    """Put the runs of all parts into one file."""
    making, path = job.output / ".run.trec", job.output / "run.trec"
    with making.open("wb") as joined:
        for part in parts:
            joined.write((job.output / "runs" / f"{part.number:08}.run").read_bytes())
    making.replace(path)
