"""`LocalEngine`: runs the parts of a job in this process."""

import math
from collections.abc import Generator, Sequence

from hosted_rerank.bulk.job import Count, Job, JobRun, PartResult
from hosted_rerank.bulk.parts import Part
from hosted_rerank.bulk.rows import RowResult
from hosted_rerank.bulk.worker import Worker


class LocalEngine:
    """Runs the parts of a job in this process."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def check(self, job: Job) -> None:
        """Accept every job."""

    def work(self, run: JobRun, parts: Sequence[Part], count: Count) -> Generator[PartResult]:
        """Yield the result of each part when it is finished, after calls of `count` with each row."""

        def count_row(result: RowResult) -> None:
            count(1, int(result.error is not None), result.tokens or 0)

        with Worker(run) as self._worker:
            yield from self._worker.process(parts, count_row)

    @property
    def rate(self) -> float:
        """The learned limit in requests per second; infinite while no limit is known."""
        return math.inf if self._worker is None else self._worker.rate
