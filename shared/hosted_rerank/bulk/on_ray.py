"""A job's parts on Ray Data: a pool of actors, and one more that holds the rate limit of them all.

Scheduling, retries after a lost worker and back-pressure are Ray's. This is the only file that knows it.
"""

import hashlib
import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib import import_module
from typing import Any

from hosted_rerank.bulk.job import Job, PartResult
from hosted_rerank.bulk.parts import Part
from hosted_rerank.bulk.rows import RowResult
from hosted_rerank.bulk.shared_rate import RateGrant, SharedRate, UsageReport
from hosted_rerank.bulk.worker import Worker
from hosted_rerank.reranker import Reranker

try:
    ray: Any = import_module("ray")  # its types know less than half of it
    data: Any = import_module("ray.data")
except ModuleNotFoundError as missing:
    raise ImportError("Ray is not installed: pip install 'hosted-rerank[ray]'", name=missing.name) from missing

MAX_BLOCKS = 2000
"""Blocks that parts are spread over, at most."""


class RayRateLeaseClient:
    """The shared pace, as a worker reaches it."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    async def lease(self, wanted: int, reports: Sequence[UsageReport]) -> RateGrant:
        """Report, and ask for so many requests."""
        grant: RateGrant = await self._actor.lease.remote(wanted, list(reports))
        return grant

    def counts(self) -> dict[str, float]:
        """Return how many requests were answered and refused, and the rate that is allowed."""
        counts: dict[str, float] = ray.get(self._actor.counts.remote())
        return counts


def get_shared_rate(provider: str, model: str | None = None, **settings: Any) -> RayRateLeaseClient:
    """Return the pace that all workers of the cluster share which ask this model with this process's key.

    It lives as long as the process that made it first, and takes part in tasks as an argument.
    """
    endpoint = Reranker(provider, model, **settings)._endpoint  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours
    account = hashlib.sha256(repr((endpoint.host, endpoint.model, endpoint.key())).encode()).hexdigest()[:16]
    actor: Any = ray.remote(SharedRate)
    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
    return RayRateLeaseClient(
        actor.options(name=f"hosted-rerank-rate-{account}", get_if_exists=True, **options).remote()
    )


class _PartWorker:
    """A worker as Ray Data has it: a callable on batches, of one part each."""

    def __init__(self, job: Job, shared_rate: RayRateLeaseClient) -> None:
        self._worker = Worker(job, shared_rate)
        logging.getLogger("hosted_rerank").addHandler(logging.StreamHandler())  # Ray brings it to who waits

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        part = Part(**{name: int(values[0]) for name, values in batch.items()})
        return {name: [value] for name, value in asdict(self._worker.try_process_part(part)).items()}


class RayEngine:
    """Works through parts on a Ray cluster.

    Args:
        workers: Actors that rerank.
        address: The cluster's; `None` to start or join the one that Ray finds.

    Raises:
        ImportError: Ray is not installed.
    """

    def __init__(self, workers: int = 4, address: str | None = None) -> None:
        self.workers, self.address = workers, address
        self._shared_rate: RayRateLeaseClient | None = None

    def work(self, job: Job, parts: Sequence[Part], on_row: Callable[[RowResult], None]) -> Iterator[PartResult]:  # noqa: ARG002 - an engine's; rows are far away
        """Yield what became of each part, as they are done."""
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else Ray warns of what it will change
        if not ray.is_initialized():
            ray.init(address=self.address, include_dashboard=False)
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        self._shared_rate = get_shared_rate(job.provider, job.model, **job.settings)
        rows = data.from_items([asdict(part) for part in parts], override_num_blocks=min(len(parts), MAX_BLOCKS))
        done = rows.map_batches(
            _PartWorker,
            fn_constructor_args=(job, self._shared_rate),
            batch_size=1,
            compute=data.ActorPoolStrategy(size=min(self.workers, len(parts))),
            num_cpus=0.1,  # they wait for answers
        )
        for result in done.iter_rows():
            yield PartResult(**result)

    @property
    def rate(self) -> float:
        """Requests a second that all workers together may make, as far as it is known; else infinite."""
        return math.inf if self._shared_rate is None else self._shared_rate.counts()["rate"]
