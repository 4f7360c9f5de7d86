"""`Worker`: reads parts of a job, reranks their rows as one stream and writes their files.

The output folder holds `manifest.json` and `done/` (see `manifest`), `parts/` (the rows with their rankings), `runs/`
(the same rankings as TREC runs, if requested), `dead-letter/` (the rows that failed for good, with the reason) and
`log/` (see `row_log`). A part is finished when its file in `done/` is there. A resumed job processes the other parts,
and sends the rows that are not in their logs.
"""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from queue import SimpleQueue
from typing import TypeAlias

from hosted_rerank.bulk.batch import RerankBatch
from hosted_rerank.bulk.batch_run import STOP_TIMEOUT, BatchRun, PendingRow
from hosted_rerank.bulk.errors import JobError
from hosted_rerank.bulk.job import JobRun, PartResult
from hosted_rerank.bulk.manifest import load_results
from hosted_rerank.bulk.part_run import PartRun, PartWriter
from hosted_rerank.bulk.parts import Part
from hosted_rerank.bulk.rows import RowResult
from hosted_rerank.bulk.shared_rate import RateLeaseClient
from hosted_rerank.errors import RerankError
from hosted_rerank.transport.pool_manager import POOLS

Event: TypeAlias = "PartRun | PartResult | tuple[PartRun, int, RowResult] | BaseException | None"
"""A part that was read or was finished before, the result of a row, or the end of the run with its error or `None`."""


class Worker:
    """Processes parts of a job. The last rows of a part and the first of the next one are in flight together.

    Args:
        run: The run of the job.
        shared_rate: The client of a rate limit shared with other workers; `None` for this process's own limit.
    """

    def __init__(self, run: JobRun, shared_rate: RateLeaseClient | None = None) -> None:
        self._run, self._is_stopped = run, False
        self._batch_run: BatchRun | None = None
        self._input = run.job.open()
        self._writer = PartWriter(run, self._input)
        self._batch = RerankBatch(
            run.job.provider,
            run.job.model,
            columns=self._input.columns,
            top_n=run.job.top_n,
            concurrency=run.job.concurrency,
            shared_rate=shared_rate,
            **run.job.settings,
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._batch.close()
        self._input.close()

    def stop(self) -> None:
        """Send no more rows, and end `process` when those under way are answered. Can be called from any thread."""
        self._is_stopped = True
        if self._batch_run is not None:
            self._batch_run.stop()

    @property
    def rate(self) -> float:
        """The learned limit of this process in requests per second; infinite while no limit is known."""
        return self._batch.rate

    def process(
        self, parts: Sequence[Part], on_row: Callable[[RowResult], None] = lambda _: None
    ) -> Generator[PartResult]:
        """Yield the result of each part when it is finished, and an error that ends the job as one with `fatal` set.

        When it is closed or interrupted, it sends no more rows, and waits for those under way and logs them.

        Args:
            parts: The parts.
            on_row: A function to call with the result of each row, with those from the log too.
        """
        try:
            yield from self._process(parts, on_row)
        except RerankError as error:
            name = type(error).__name__
            yield PartResult(-1, 0, fatal=f"{name}: {error}", error_class=name)
        except OSError as error:
            yield PartResult(-1, 0, fatal=f"{error.filename}: {error.strerror}" if error.filename else str(error))
        except (JobError, ValueError) as error:
            yield PartResult(-1, 0, fatal=str(error))

    def _process(self, parts: Sequence[Part], on_row: Callable[[RowResult], None]) -> Generator[PartResult]:
        events: SimpleQueue[Event] = SimpleQueue()
        self._batch_run = batch_run = self._batch.make_run(self._read_parts(parts, events))
        if self._is_stopped:
            return
        thread = threading.Thread(target=_run_stream, args=(batch_run, events), name="hosted-rerank-bulk", daemon=True)
        open_parts: dict[int, PartRun] = {}
        thread.start()
        try:
            while (event := events.get()) is not None:
                if isinstance(event, BaseException):
                    raise event
                if isinstance(event, PartResult):
                    yield event
                    continue
                part = event if isinstance(event, PartRun) else event[0]
                if isinstance(event, PartRun):
                    open_parts[part.number] = part
                    for result in part.known_results:
                        on_row(result)
                else:
                    part.results[event[1]] = event[2]
                    on_row(event[2])
                if part.is_finished:
                    yield self._writer.write(open_parts.pop(part.number))
        finally:
            batch_run.stop()
            thread.join(STOP_TIMEOUT + 5)  # returns at once after the last event
            for part in open_parts.values():
                part.log.close()

    def _read_parts(self, parts: Sequence[Part], events: SimpleQueue[Event]) -> Iterator[Sequence[PendingRow]]:
        """Yield the rows of each part that are to be sent. Runs in a thread of the event loop's executor."""
        for part in parts:
            stored = load_results(self._run, [part])
            if part.number in stored:
                events.put(stored[part.number])  # a worker was killed right after it wrote this
                continue
            part_run = self._writer.open(part)
            pending = part_run.find_pending(
                self._input.columns,
                retry_failed=self._run.retry_failed,
                on_result=lambda part_run, index, result: events.put((part_run, index, result)),
            )
            events.put(part_run)
            yield pending


def _run_stream(batch_run: BatchRun, events: SimpleQueue[Event]) -> None:
    try:
        POOLS.run_in_background(batch_run.run())
    except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
        events.put(error)
    else:
        events.put(None)
