"""`RayEngine`: runs a job's parts on Ray Data with a pool of actors, and one actor for their shared rate limit.

Ray does the scheduling, the retries after a lost worker and the back-pressure. No other module imports Ray.
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
    ray: Any = import_module("ray")  # its type hints are incomplete
    data: Any = import_module("ray.data")
except ModuleNotFoundError as missing:
    raise ImportError("Ray is not installed: pip install 'hosted-rerank[ray]'", name=missing.name) from missing

MAX_BLOCKS = 2000
"""Maximum number of Ray Data blocks for the parts of a job."""


class RayRateLeaseClient:
    """A `RateLeaseClient` of a `SharedRate` in a Ray actor."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    async def lease(self, wanted: int, reports: Sequence[UsageReport]) -> RateGrant:
        """Report finished requests and ask for up to `wanted` more."""
        grant: RateGrant = await self._actor.lease.remote(wanted, list(reports))
        return grant

    def counts(self) -> dict[str, float]:
        """Return the numbers of `answered` and `refused` requests, and the learned `rate` in requests per second."""
        counts: dict[str, float] = ray.get(self._actor.counts.remote())
        return counts


def get_shared_rate(provider: str, model: str | None = None, **settings: Any) -> RayRateLeaseClient:
    """Return a client of the rate limit that all workers of the cluster share for this model and this process's key.

    The actor lives as long as the process that created it. The client can be an argument of a Ray task.

    Args:
        provider: The name of a provider.
        model: The model's id; `None` for the provider's default.
        **settings: More settings of `Reranker`, such as `base_url`.
    """
    endpoint = Reranker(provider, model, **settings)._endpoint  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours
    account = hashlib.sha256(repr((endpoint.host, endpoint.model, endpoint.key())).encode()).hexdigest()[:16]
    actor: Any = ray.remote(SharedRate)
    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
    return RayRateLeaseClient(
        actor.options(name=f"hosted-rerank-rate-{account}", get_if_exists=True, **options).remote()
    )


class _PartWorker:
    """A worker for Ray Data: a callable on batches of one part each."""

    def __init__(self, job: Job, shared_rate: RayRateLeaseClient) -> None:
        self._worker = Worker(job, shared_rate)
        logging.getLogger("hosted_rerank").addHandler(logging.StreamHandler())  # Ray forwards it to the driver

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        part = Part(**{name: int(values[0]) for name, values in batch.items()})
        return {name: [value] for name, value in asdict(self._worker.try_process_part(part)).items()}


class RayEngine:
    """Runs the parts of a job on a Ray cluster.

    Args:
        workers: The number of actors that rerank.
        address: The address of the cluster; `None` to join the cluster that Ray finds, or to start one.

    Raises:
        ImportError: Ray is not installed.
    """

    def __init__(self, workers: int = 4, address: str | None = None) -> None:
        self.workers, self.address = workers, address
        self._shared_rate: RayRateLeaseClient | None = None

    def work(self, job: Job, parts: Sequence[Part], on_row: Callable[[RowResult], None]) -> Iterator[PartResult]:  # noqa: ARG002 - of the protocol; rows stay on the workers
        """Yield the result of each part when it is finished."""
        os.environ.setdefault(
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0"
        )  # else Ray warns of a change in a later version
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
            num_cpus=0.1,  # actors mostly wait for responses
        )
        for result in done.iter_rows():
            yield PartResult(**result)

    @property
    def rate(self) -> float:
        """The learned limit of all workers together in requests per second; infinite while no limit is known."""
        return math.inf if self._shared_rate is None else self._shared_rate.counts()["rate"]
