"""A job, from its folder to its result; in this process, if no other engine works on it."""

import json
import math
import os
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from hosted_rerank.bulk.beir import CORPUS_INDEX
from hosted_rerank.bulk.job import Engine, Job, JobError, JobResult, PartResult, Progress
from hosted_rerank.bulk.outputs import write_atomically
from hosted_rerank.bulk.parts import Part
from hosted_rerank.bulk.rows import RowResult
from hosted_rerank.bulk.worker import Worker, load_result

fcntl: Any = import_module("fcntl") if os.name == "posix" else None


def run_job(
    job: Job,
    *,
    resume: bool = False,
    engine: Engine | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> JobResult:
    """Do a job, or what is missing of it.

    Args:
        job: What is to be done.
        resume: Whether the output folder may hold a part of it already.
        engine: Who works; `None` for this process. `hosted_rerank.bulk.on_ray.RayEngine` is another one.
        on_progress: Hears how far it is, after each row or part.

    Raises:
        FileExistsError: The folder holds a job, and `resume` is not set; or another process works on it.
        ValueError: The folder holds another job, or the input cannot be read.
        JobError: A key, model or account is refused, or the provider was out for longer than it may.
    """
    manifest = json.loads(json.dumps(job.manifest))  # before the folder is made, for the input may not be there
    job.output.mkdir(parents=True, exist_ok=True)
    with _lock_folder(job.output):
        _prepare_folder(job, manifest, resume=resume)
        return _run_parts(job, engine or LocalEngine(), on_progress)


def _run_parts(job: Job, engine: Engine, on_progress: Callable[[Progress], None] | None) -> JobResult:
    parts = list(job.open().split(job.part_rows))
    results = {result.number: result for part in parts if (result := load_result(job, part)) is not None}
    resumed, total = len(results), sum(part.rows for part in parts)
    progress = _sum_progress(total, results.values())

    def report() -> None:
        if on_progress is not None:
            progress.rate = engine.rate
            on_progress(progress)

    def count_row(result: RowResult) -> None:
        progress.rows += 1
        progress.failed += result.error is not None
        progress.tokens += result.tokens or 0
        report()

    report()
    missing = [part for part in parts if part.number not in results]
    for result in engine.work(job, missing, count_row) if missing else ():
        if result.fatal is not None:
            raise JobError(result.fatal)
        results[result.number] = result
        progress = _sum_progress(total, results.values())
        report()
    if job.trec:
        _join_runs(job, parts)
    return JobResult(progress.rows, progress.failed, progress.tokens, len(parts), resumed)


def _sum_progress(total: int, results: Collection[PartResult]) -> Progress:
    """How far a job is, by the parts that are done."""
    failed, tokens = sum(result.failed for result in results), sum(result.tokens for result in results)
    return Progress(total, sum(result.rows for result in results), failed, tokens)


def _prepare_folder(job: Job, manifest: dict[str, Any], *, resume: bool) -> None:
    """Make the output folder, or see that it is this job's."""
    path = job.output / "manifest.json"
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != manifest:
            if any((job.output / "done").glob("*.json")):
                raise ValueError(f"{job.output} holds another job, or the input has changed: name another folder")
            path.unlink()  # of a first try that came to nothing
            (job.output / CORPUS_INDEX).unlink(missing_ok=True)
        elif not resume:
            raise FileExistsError(f"{job.output} holds this job already: --resume goes on with it")
    for name in ("parts", "done", "dead-letter", *(["runs"] if job.trec else [])):
        (job.output / name).mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_atomically(path, json.dumps(manifest, indent=1).encode())


@contextmanager
def _lock_folder(folder: Path) -> Generator[None]:
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


class LocalEngine:
    """Works through parts in this process, one after the other."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def work(self, job: Job, parts: Sequence[Part], on_row: Callable[[RowResult], None]) -> Iterator[PartResult]:
        """Yield what became of each part when it is done; `on_row` hears of each row before that."""
        with Worker(job) as self._worker:
            for part in parts:
                yield self._worker.try_process_part(part, on_row)

    @property
    def rate(self) -> float:
        """Requests a second that the API allows, as far as it is known; else infinite."""
        return math.inf if self._worker is None else self._worker.rate


def _join_runs(job: Job, parts: Sequence[Part]) -> None:
    """Put the runs of all parts into one file."""
    temporary, path = job.output / ".run.trec", job.output / "run.trec"
    with temporary.open("wb") as joined:
        for part in parts:
            joined.write((job.output / "runs" / f"{part.number:08}.run").read_bytes())
    temporary.replace(path)
