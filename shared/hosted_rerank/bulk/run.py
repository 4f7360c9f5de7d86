"""`run_job`: runs a job from its output folder to its result, in this process or with another engine."""

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
    """Run a job, or the missing parts of it.

    Args:
        job: The job.
        resume: Whether the output folder may hold finished parts of this job.
        engine: The engine that runs the parts; `None` for this process. `hosted_rerank.bulk.on_ray.RayEngine` runs
            them on Ray.
        on_progress: A function to call with the progress, after each row or part.

    Returns:
        The counts of rows, failed rows, tokens and parts.

    Raises:
        FileExistsError: The output folder holds this job and `resume` is false, or another process works on it.
        FileNotFoundError: The input does not exist.
        ValueError: The output folder holds another job, or the input cannot be read.
        JobError: The key, model, account or server is wrong, or the rows do not fit the output format.
    """
    manifest = json.loads(json.dumps(job.manifest))  # before the folder is made, because the input may be missing
    job.output.mkdir(parents=True, exist_ok=True)
    with _lock_folder(job.output):
        _prepare_folder(job, manifest, resume=resume)
        return _run_parts(job, engine or LocalEngine(), on_progress)


def _run_parts(job: Job, engine: Engine, on_progress: Callable[[Progress], None] | None) -> JobResult:
    parts = list(job.open().split(job.part_rows))
    results = {result.number: result for part in parts if (result := load_result(job, part)) is not None}
    resumed, total = len(results), sum(part.rows for part in parts)
    progress = _sum_progress(total, results.values())

    def report_progress() -> None:
        if on_progress is not None:
            progress.rate = engine.rate
            on_progress(progress)

    def count_row(result: RowResult) -> None:
        progress.rows += 1
        progress.failed += result.error is not None
        progress.tokens += result.tokens or 0
        report_progress()

    report_progress()
    missing = [part for part in parts if part.number not in results]
    for result in engine.work(job, missing, count_row) if missing else ():
        if result.fatal is not None:
            raise JobError(result.fatal)
        results[result.number] = result
        progress = _sum_progress(total, results.values())
        report_progress()
    if job.trec:
        _join_runs(job, parts)
    return JobResult(progress.rows, progress.failed, progress.tokens, len(parts), resumed)


def _sum_progress(total: int, results: Collection[PartResult]) -> Progress:
    """Return the progress of a job from its finished parts."""
    failed, tokens = sum(result.failed for result in results), sum(result.tokens for result in results)
    return Progress(total, sum(result.rows for result in results), failed, tokens)


def _prepare_folder(job: Job, manifest: dict[str, Any], *, resume: bool) -> None:
    """Create the output folder, or check that it belongs to this job."""
    path = job.output / "manifest.json"
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != manifest:
            if any((job.output / "done").glob("*.json")):
                raise ValueError(
                    f"output {job.output} holds another job, or the input has changed: pass another folder"
                )
            path.unlink()  # left by a job without any finished part
            (job.output / CORPUS_INDEX).unlink(missing_ok=True)
        elif not resume:
            raise FileExistsError(
                f"output {job.output} already holds this job: pass resume=True (--resume) to continue it"
            )
    for name in ("parts", "done", "dead-letter", *(["runs"] if job.trec else [])):
        (job.output / name).mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_atomically(path, json.dumps(manifest, indent=1).encode())


@contextmanager
def _lock_folder(folder: Path) -> Generator[None]:
    """Lock a folder against other drivers, if the operating system and the file system support locks."""
    if fcntl is None:
        yield
        return
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileExistsError(
                f"output {folder} is in use by another process: wait for it, or pass another folder"
            ) from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(lock)


class LocalEngine:
    """Runs parts in this process, one after the other."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def work(self, job: Job, parts: Sequence[Part], on_row: Callable[[RowResult], None]) -> Iterator[PartResult]:
        """Yield the result of each part when it is finished, after calls of `on_row` with each row."""
        with Worker(job) as self._worker:
            for part in parts:
                yield self._worker.try_process_part(part, on_row)

    @property
    def rate(self) -> float:
        """The learned limit in requests per second; infinite while no limit is known."""
        return math.inf if self._worker is None else self._worker.rate


def _join_runs(job: Job, parts: Sequence[Part]) -> None:
    """Join the TREC runs of all parts into one file."""
    temporary, path = job.output / ".run.trec", job.output / "run.trec"
    with temporary.open("wb") as joined:
        for part in parts:
            joined.write((job.output / "runs" / f"{part.number:08}.run").read_bytes())
    temporary.replace(path)
