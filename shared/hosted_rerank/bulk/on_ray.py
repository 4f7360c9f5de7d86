"""`RayEngine`: runs a job's parts on a pool of Ray actors, with one more actor for their shared rate limit.

Ray places the actors, and starts them and their parts again after a loss. No other module imports Ray. Ray Data would
keep such a pool as well, but not for a driver outside of the cluster (`ray://`).
"""

import hashlib
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from hosted_rerank.bulk.batch_run import STOP_TIMEOUT
from hosted_rerank.bulk.errors import JobError
from hosted_rerank.bulk.job import DEFAULT_PART_ROWS, Count, Job, JobRun, PartResult
from hosted_rerank.bulk.parts import Part
from hosted_rerank.bulk.shared_rate import RateGrant, SharedRate, UsageReport
from hosted_rerank.bulk.storage import is_local
from hosted_rerank.bulk.worker import Worker
from hosted_rerank.reranker import Reranker

try:
    ray: Any = import_module("ray")  # its type hints are incomplete
except ModuleNotFoundError as missing:
    raise ImportError("Ray is not installed: pip install 'hosted-rerank[ray]'", name=missing.name) from missing

NAMESPACE = "hosted-rerank"
"""The Ray namespace of the rate limits, so that all drivers of a cluster find the same ones."""
LEAST_GROUPS = 8
"""The number of groups into which the parts of each worker are divided, so that workers end at about the same time."""
IDLE_LIFETIME = 300.0
"""Seconds without a lease after which the actor of a rate limit ends."""


class _RateActor(SharedRate):
    """A `SharedRate` that outlives the driver that made it, and ends when no job uses it."""

    def __init__(self, idle_lifetime: float) -> None:
        super().__init__()
        self._idle_lifetime, self._used = idle_lifetime, time.monotonic()
        actor = ray.get_runtime_context().current_actor
        threading.Thread(target=self._end_when_idle, args=(actor,), daemon=True).start()

    def _end_when_idle(self, actor: Any) -> None:
        while (rest := self._used + self._idle_lifetime - time.monotonic()) > 0:
            time.sleep(rest)
        ray.kill(actor)

    def lease(self, wanted: int, reports: Sequence[UsageReport]) -> RateGrant:
        self._used = time.monotonic()
        return super().lease(wanted, reports)


class RayRateLeaseClient:
    """A `RateLeaseClient` of a `SharedRate` in a Ray actor.

    Args:
        name: The name of the actor.
        idle_lifetime: Seconds without a lease after which the actor ends.
    """

    def __init__(self, name: str, idle_lifetime: float = IDLE_LIFETIME) -> None:
        self._name, self._idle_lifetime = name, idle_lifetime
        self._actor = self._find_actor()

    def _find_actor(self) -> Any:
        options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "lifetime": "detached"}
        actor: Any = ray.remote(_RateActor)
        return actor.options(name=self._name, namespace=NAMESPACE, get_if_exists=True, **options).remote(
            self._idle_lifetime
        )

    async def lease(self, wanted: int, reports: Sequence[UsageReport]) -> RateGrant:
        """Report finished requests and ask for up to `wanted` more."""
        try:
            grant: RateGrant = await self._actor.lease.remote(wanted, list(reports))
        except ray.exceptions.RayActorError:  # it ended after a long pause
            self._actor = self._find_actor()
            grant = await self._actor.lease.remote(wanted, [])
        return grant

    def counts(self) -> dict[str, float]:
        """Return the numbers of `answered` and `refused` requests, and the learned `rate` in requests per second."""
        counts: dict[str, float] = ray.get(self._actor.counts.remote())
        return counts


def get_shared_rate(provider: str, model: str | None = None, **settings: Any) -> RayRateLeaseClient:
    """Return a client of the rate limit that all jobs of the cluster share for this model and this process's key.

    The actor lives until no job has used it for five minutes. The client can be an argument of a Ray task.

    Args:
        provider: The name of a provider.
        model: The model's id; `None` for the provider's default.
        **settings: More settings of `Reranker`, such as `base_url`.
    """
    endpoint = Reranker(provider, model, **settings)._endpoint  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours
    account = hashlib.sha256(repr((endpoint.host, endpoint.model, endpoint.key())).encode()).hexdigest()[:16]
    return RayRateLeaseClient(f"hosted-rerank-rate-{account}")


class _PartWorker:
    """A `Worker` in an actor. Ray runs `stop` while `process` is under way."""

    def __init__(self, run: JobRun, shared_rate: RayRateLeaseClient) -> None:
        self._worker = Worker(run, shared_rate)
        logging.getLogger("hosted_rerank").addHandler(logging.StreamHandler())  # Ray forwards it to the driver

    def start(self) -> list[PartResult]:
        """Return no results, as soon as the actor is there."""
        return []

    def process(self, parts: Sequence[Part]) -> list[PartResult]:
        """Return the results of parts; of a stopped job, those of the parts that are finished."""
        return list(self._worker.process(parts))

    def stop(self) -> None:
        self._worker.stop()


class RayEngine:
    """Runs the parts of a job on a Ray cluster.

    Args:
        workers: The number of actors that rerank.
        address: The address of the cluster, also `ray://host:10001`; `None` to join the cluster that Ray finds, or to
            start one.
        env: The names of environment variables of this process that workers get, such as that of an API key.
        runtime_env: Ray's `runtime_env` of the workers.
        shared_disk: Whether all nodes see the local paths of the job at the same place.

    Raises:
        ImportError: Ray is not installed.
        ValueError: A variable of `env` is not set.
    """

    def __init__(
        self,
        workers: int = 4,
        address: str | None = None,
        *,
        env: Sequence[str] = (),
        runtime_env: Mapping[str, Any] | None = None,
        shared_disk: bool = False,
    ) -> None:
        self.workers, self.address, self.shared_disk = workers, address, shared_disk
        if missing := [name for name in env if name not in os.environ]:
            raise ValueError(f"variables of env (--env) are not set: {', '.join(missing)}")
        variables = {**(runtime_env or {}).get("env_vars", {}), **{name: os.environ[name] for name in env}}
        self._runtime_env = {**(runtime_env or {}), "env_vars": variables}
        self._shared_rate: RayRateLeaseClient | None = None

    def check(self, job: Job) -> None:
        """Connect to the cluster, and raise `JobError` for a local path that its nodes do not share.

        Raises:
            JobError: The cluster has several nodes, and a path of the job is local.
        """
        if not ray.is_initialized():
            self._connect()
        local = next(filter(is_local, job.uris), None)
        is_elsewhere = (self.address or "").startswith("ray://") or sum(node["Alive"] for node in ray.nodes()) > 1
        if local is not None and is_elsewhere and not self.shared_disk:
            raise JobError(
                f"{local} is a path of this machine, and other nodes of the Ray cluster may not see it: pass URIs of an"
                " object store (s3://...), or shared_disk=True (--shared-disk) if all nodes share the path"
            )

    def _connect(self) -> None:
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else Ray warns of a change
        handler = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(address=self.address, **({} if self.address else {"include_dashboard": False}))
        except (ConnectionError, RuntimeError) as error:
            where = f" at {self.address}" if self.address else ""
            raise JobError(f"no connection to the Ray cluster{where}: {_last_line(error)}") from error
        if callable(handler) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray's own aborts the process after three seconds

    def work(self, run: JobRun, parts: Sequence[Part], count: Count) -> Generator[PartResult]:
        """Yield the result of each part when it is finished, and count its rows."""
        self._shared_rate = get_shared_rate(run.job.provider, run.job.model, **run.job.settings)
        workers = self._start_workers(run, min(self.workers, len(parts)))
        busy = {worker.start.remote(): worker for worker in workers}
        groups = _group_parts(parts, len(workers))
        left = len(parts)
        try:
            while left:
                (ready,), _ = ray.wait(list(busy))
                worker, results = busy.pop(ready), _get_results(ready)
                if group := next(groups, None):
                    busy[worker.process.remote(group)] = worker
                for result in results:
                    left -= 1
                    count(result.rows, result.failed, result.tokens)
                    yield result
        finally:
            if left:  # send no more rows, and wait for the answers to those under way
                for worker in workers:
                    worker.stop.remote()
                ray.wait(list(busy), num_returns=len(busy), timeout=STOP_TIMEOUT + 10)

    def _start_workers(self, run: JobRun, number: int) -> list[Any]:
        actor: Any = ray.remote(_PartWorker).options(
            num_cpus=0.1,  # it mostly waits for responses
            max_concurrency=2,
            max_restarts=-1,
            max_task_retries=-1,
            runtime_env=self._runtime_env,
        )
        return [actor.remote(run, self._shared_rate) for _ in range(number)]

    @property
    def rate(self) -> float:
        """The learned limit of all workers together in requests per second; infinite while no limit is known."""
        return math.inf if self._shared_rate is None else self._shared_rate.counts()["rate"]


def _group_parts(parts: Sequence[Part], workers: int) -> Iterator[Sequence[Part]]:
    """Yield the parts that a worker gets at once: many small ones, because it overlaps what it has."""
    most, group, rows = max(1, len(parts) // (workers * LEAST_GROUPS)), list[Part](), 0
    for part in parts:
        if group and (len(group) == most or rows + part.rows > DEFAULT_PART_ROWS):
            yield group
            group, rows = [], 0
        group.append(part)
        rows += part.rows
    yield group


def _get_results(ready: Any) -> list[PartResult]:
    """Return what a worker has returned.

    Raises:
        JobError: The worker cannot be started, or its code has failed.
    """
    try:
        results: list[PartResult] = ray.get(ready)
    except ray.exceptions.RayError as error:
        raise JobError(f"a Ray worker failed: {_last_line(error)}") from error
    return results


def _last_line(error: Exception) -> str:
    """Return the last line of an error of Ray, which has tracebacks of other processes before it."""
    return str(error).strip().rpartition("\n")[2]
