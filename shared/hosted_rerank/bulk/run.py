"""`run_job`: runs a job from its output folder to its result, in this process or with another engine."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from importlib import import_module
from typing import Any

from hosted_rerank import errors
from hosted_rerank.bulk.errors import JobError
from hosted_rerank.bulk.first_part import check_first_part
from hosted_rerank.bulk.job import Engine, Job, JobResult, JobRun, Progress
from hosted_rerank.bulk.local_engine import LocalEngine
from hosted_rerank.bulk.manifest import Manifest, adopt, identify, load_entries, load_results, read_manifest
from hosted_rerank.bulk.parts import Part
from hosted_rerank.bulk.storage import Folder, check_reachable

fcntl: Any = import_module("fcntl") if os.name == "posix" else None


def run_job(
    job: Job,
    *,
    resume: bool = False,
    accept_changes: bool = False,
    retry_failed: bool = False,
    engine: Engine | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> JobResult:
    """Run a job, or what is missing of it.

    An interrupt (`KeyboardInterrupt`, `SystemExit`) sends no more rows and waits up to 20 seconds for the answers to
    those under way. A resumed job pays for no row twice whose answer had arrived.

    Args:
        job: The job.
        resume: Whether the output folder may hold finished rows of this job.
        accept_changes: Whether to go on, with the finished rows, in a folder of another job: other settings, or an
            input with other content, where the rows that stay keep their rankings.
        retry_failed: Whether to send the rows of dead-letter files again.
        engine: The engine that runs the parts; `None` for this process. `hosted_rerank.bulk.on_ray.RayEngine` runs
            them on Ray.
        on_progress: A function to call with the progress, after each row or part.

    Returns:
        The counts of rows, failed rows, tokens and parts.

    Raises:
        FileExistsError: The output folder holds this job and `resume` is false, or another process works on it.
        FileNotFoundError: The input does not exist.
        OSError: A file cannot be read or written, or an object store cannot be reached. The message has its name.
        ValueError: The output folder holds another job, or the input cannot be read.
        JobError: The key, model, account or server is wrong, the rows do not fit the output format, or no row of the
            first part can be sent.
    """
    engine = engine or LocalEngine()
    engine.check(job)
    for uri in job.uris:
        check_reachable(uri)
    source = job.open()  # before the folder is made, because the input may be missing
    with closing(source), _lock_folder(job.folder):
        stored = read_manifest(job.folder)
        part_rows = job.part_rows if stored is None else stored.part_rows
        plan = source.plan(part_rows)
        check_first_part(source, plan.parts)
        new = Manifest(identify(job, source, plan), part_rows)
        manifest = adopt(stored, new, job.folder, resume=resume, accept_changes=accept_changes)
        job.folder.clear_leftovers()
        run = JobRun(job, manifest.id, tuple(manifest.accepted), retry_failed)
        resumed = _run_parts(run, plan.parts, engine, on_progress)
        if job.trec:
            job.folder.write_chunks("run.trec", _join_runs(job.folder, plan.parts))
        finished = load_entries(replace(run, retry_failed=False), plan.parts)
        replace(manifest, is_complete=True, parts=list(finished.values())).write(job.folder)
    rows, failed, tokens = _sum_up(finished.values())
    return JobResult(rows, failed, tokens, len(plan.parts), resumed)


def _run_parts(
    run: JobRun, parts: Sequence[Part], engine: Engine, on_progress: Callable[[Progress], None] | None
) -> int:
    """Run the parts that are not finished, and return the number of the others."""
    finished = load_results(run, parts)
    rows, failed, tokens = _sum_up(map(asdict, finished.values()))
    progress = Progress(sum(part.rows for part in parts), rows, failed, tokens)

    def count(rows: int, failed: int, tokens: int) -> None:
        progress.rows += rows
        progress.failed += failed
        progress.tokens += tokens
        if on_progress is not None:
            progress.rate = engine.rate
            on_progress(progress)

    count(0, 0, 0)
    missing = [part for part in parts if part.number not in finished]
    if missing:
        with closing(engine.work(run, missing, count)) as results:
            for result in results:
                if result.fatal is not None:
                    error_class = getattr(errors, result.error_class) if result.error_class else None
                    raise JobError(result.fatal, error_class)
    return len(finished)


def _sum_up(results: Iterable[Mapping[str, Any]]) -> tuple[int, int, int]:
    """Return the rows, failed rows and tokens of finished parts."""
    found = list(results)
    rows, failed, tokens = (sum(each[name] for each in found) for name in ("rows", "failed", "tokens"))
    return rows, failed, tokens


def _join_runs(folder: Folder, parts: Sequence[Part]) -> Iterator[bytes]:
    """Yield the TREC runs of all parts."""
    for part in parts:
        yield folder.read(f"runs/{part.number:08}.run") or b""


@contextmanager
def _lock_folder(folder: Folder) -> Generator[None]:
    """Lock a local folder against other drivers, if the operating system and the file system support locks."""
    path = folder.local_path
    if fcntl is None or path is None:
        yield
        return
    path.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileExistsError(
                f"output {path} is in use by another process: wait for it, or pass another folder"
            ) from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(lock)
