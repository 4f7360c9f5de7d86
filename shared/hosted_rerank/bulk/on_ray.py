"""`RayEngine`: runs a job's parts on Ray Data with a pool of actors, and one actor for their shared rate limit.

Ray does the scheduling, the retries after a lost worker and the back-pressure. No other module imports Ray.
"""

import hashlib
import json
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from queue import SimpleQueue
from typing import Any

from hosted_rerank.bulk.batch_run import STOP_TIMEOUT
from hosted_rerank.bulk.errors import JobError
from hosted_rerank.bulk.job import Count, Job, JobRun, PartResult
from hosted_rerank.bulk.parts import Part
from hosted_rerank.bulk.shared_rate import RateGrant, SharedRate, UsageReport
from hosted_rerank.bulk.storage import is_local
from hosted_rerank.bulk.worker import Worker
from hosted_rerank.reranker import Reranker

try:
    ray: Any = import_module("ray")  # its type hints are incomplete
    data: Any = import_module("ray.data")
except ModuleNotFoundError as missing:
    raise ImportError("Ray is not installed: pip install 'hosted-rerank[ray]'", name=missing.name) from missing

MAX_BLOCKS = 2000
"""Maximum number of Ray Data blocks for the parts of a job."""
NAMESPACE = "hosted-rerank"
"""The Ray namespace of the rate limits, so that all drivers of a cluster find the same ones."""
STOP_POLL_INTERVAL = 0.5
"""Seconds between two looks of a worker whether its job is stopped."""
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


class _StopFlag:
    """An actor with which a driver tells its workers to stop."""

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        return self._is_set


class _PartWorker:
    """A worker for Ray Data: a callable on batches of one part each. A part of a stopped job has no result."""

    def __init__(self, run: JobRun, shared_rate: RayRateLeaseClient, stop_flag: Any) -> None:
        self._worker = Worker(run, shared_rate)
        logging.getLogger("hosted_rerank").addHandler(logging.StreamHandler())  # Ray forwards it to the driver
        threading.Thread(target=self._watch, args=(stop_flag,), daemon=True).start()

    def _watch(self, stop_flag: Any) -> None:
        while not ray.get(stop_flag.is_set.remote()):
            time.sleep(STOP_POLL_INTERVAL)
        self._worker.stop()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        pa: Any = import_module("pyarrow")  # untyped; Ray Data has it
        part = Part(**{name: int(values[0]) for name, values in batch.items()})
        results = [json.dumps(asdict(result)) for result in self._worker.process([part])]
        return {"result": pa.array(results, pa.string())}


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
        variables = {**(runtime_env or {}).get("env_vars", {}), **{name: os.environ[name] for name in env}}
        self._runtime_env = {**(runtime_env or {}), "env_vars": variables}
        self._shared_rate: RayRateLeaseClient | None = None

    def check(self, job: Job) -> None:
        """Connect to the cluster, and raise `JobError` for a local path that its nodes do not share.

        Raises:
            JobError: The cluster has several nodes, and a path of the job is local.
        """
        os.environ.setdefault(
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0"
        )  # else Ray warns of a change in a later version
        if not ray.is_initialized():
            handler = signal.getsignal(signal.SIGTERM)
            ray.init(address=self.address, **({} if self.address else {"include_dashboard": False}))
            if callable(handler) and threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, handler)  # Ray's own aborts the process after three seconds
        local = next(filter(is_local, job.uris), None)
        nodes = sum(node["Alive"] for node in ray.nodes())
        is_elsewhere = nodes > 1 or (self.address or "").startswith("ray://")
        if local is not None and is_elsewhere and not self.shared_disk:
            raise JobError(
                f"{local} is a path of this machine, and the Ray cluster has {nodes} nodes, which may not see it: pass"
                " URIs of an object store (s3://...), or shared_disk=True (--shared-disk) if all nodes share the path"
            )

    def work(self, run: JobRun, parts: Sequence[Part], count: Count) -> Generator[PartResult]:
        """Yield the result of each part when it is finished, and count its rows."""
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        self._shared_rate = get_shared_rate(run.job.provider, run.job.model, **run.job.settings)
        stop_flag: Any = ray.remote(_StopFlag).options(num_cpus=0).remote()
        rows = data.from_items([asdict(part) for part in parts], override_num_blocks=min(len(parts), MAX_BLOCKS))
        done = rows.map_batches(
            _PartWorker,
            fn_constructor_args=(run, self._shared_rate, stop_flag),
            batch_size=1,
            compute=data.ActorPoolStrategy(size=min(self.workers, len(parts))),
            num_cpus=0.1,  # actors mostly wait for responses
            runtime_env=self._runtime_env,
        )
        events: SimpleQueue[Any] = SimpleQueue()
        thread = threading.Thread(target=_read_results, args=(done, events), name="hosted-rerank-ray", daemon=True)
        thread.start()
        try:
            while (event := events.get()) is not None:
                if isinstance(event, BaseException):
                    raise event
                result = PartResult(**json.loads(event["result"]))
                count(result.rows, result.failed, result.tokens)
                yield result
        finally:
            stop_flag.set.remote()
            thread.join(STOP_TIMEOUT + 10)  # returns at once after the last event

    @property
    def rate(self) -> float:
        """The learned limit of all workers together in requests per second; infinite while no limit is known."""
        return math.inf if self._shared_rate is None else self._shared_rate.counts()["rate"]


def _read_results(done: Any, events: SimpleQueue[Any]) -> None:
    """Put the rows of a dataset into a queue; in a thread of its own, because an interrupt would end the iteration."""
    try:
        for row in done.iter_rows():
            events.put(row)
    except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
        events.put(error)
    else:
        events.put(None)
