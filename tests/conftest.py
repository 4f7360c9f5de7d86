"""Fixtures for talking to a hostile server, each time blocking and awaiting."""

import asyncio
import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, settings

from hosted_rerank import Dialect, Provider, Reranker, RerankResponse
from tests.hostile import HostileServer

settings.register_profile(
    "repeatable",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")  # the same examples each time, none kept on disk, no clock

KEY = "sk-test-4f9d0b7a62c1e853"
QUERY = "Which animal sleeps through the winter?"
DOCUMENTS = ("The swift spends years in the air.", "Salmon return to their river.", "The dormouse sleeps until May.")

Rerank: TypeAlias = Callable[..., RerankResponse]
Acme: TypeAlias = Callable[..., Reranker]


KEPT = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TEMP", "TMP", "LANG", "LC_*", "TZ"),
    *("PYTHON*", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "PYTEST*", "COVERAGE*", "COV_*", "RAY_*", "INFINITY"),
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "NUMBER_OF_PROCESSORS", "PROCESSOR_*"),
    *("USERPROFILE", "USERNAME", "HOMEDRIVE", "HOMEPATH", "APPDATA", "LOCALAPPDATA", "PROGRAM*"),
    *("__CF_USER_TEXT_ENCODING", "DYLD_*"),
)
"""Environment variables of the developer that tests and their programs get to see: what Python and this
repository's tools need, then what Windows and macOS do."""


@pytest.fixture(scope="session", autouse=True)
def _bare_environment() -> Iterator[None]:
    """Nothing of the environment but what is needed: no key, no proxy, no certificates, no settings of telemetry."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in list(os.environ):
            if not any(fnmatchcase(name, kept) for kept in KEPT):
                monkeypatch.delenv(name)
        yield


@pytest.fixture
def server() -> Iterator[HostileServer]:
    """A server that ranks until it is told otherwise."""
    with HostileServer() as server:
        yield server


@pytest.fixture
def acme(server: HostileServer) -> Iterator[Acme]:
    """Makes rerankers that ask the server, and closes them; `row` holds settings of its `Provider`."""
    made: list[Reranker] = []

    def make(*, row: dict[str, Any] | None = None, **settings: Any) -> Reranker:
        provider = Provider(
            **{"name": "acme", "url": f"{server.url}/v1/rerank", "dialect": Dialect(instruction="task")} | (row or {})
        )
        made.append(Reranker(provider, **{"api_key": KEY, "timeout": 5.0, "max_retries": 0} | settings))
        return made[-1]

    yield make
    for reranker in made:
        reranker.close()


@pytest.fixture
def alone() -> None:
    """No other reranker holds the connections: a reranker that an earlier test forgot may wait for the collector."""
    gc.collect()


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """Real Ray with two CPUs, on this machine."""
    ray: Any = pytest.importorskip("ray")
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    environment = {"env_vars": {"PYTHONPATH": str(Path(__file__).parents[1])}}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=environment)
    yield
    ray.shutdown()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "ray: on real Ray; run by themselves, for how near they come to a limit is a matter of time"
    )
    config.addinivalue_line(
        "markers", "slow: takes a minute, or starts a server of somebody else's in an environment of its own"
    )
    config.addinivalue_line("markers", "wrong(way, reason): a known fault of one way, blocking or awaiting; strict")


@pytest.fixture(params=["blocking", "awaiting"])
def way(request: pytest.FixtureRequest) -> str:
    """Runs a test twice."""
    for mark in request.node.iter_markers("wrong"):
        if mark.args[0] == request.param:
            request.applymarker(pytest.mark.xfail(strict=True, reason=mark.kwargs["reason"]))
    return str(request.param)


@pytest.fixture
def rerank(way: str) -> Iterator[Rerank]:
    """Calls a reranker one way or the other; awaiting, all calls of a test share one event loop."""
    used: list[Reranker] = []
    with asyncio.Runner() as runner:

        def call(
            reranker: Reranker, query: str = QUERY, documents: Sequence[str] = DOCUMENTS, **arguments: Any
        ) -> RerankResponse:
            used.append(reranker)
            if way == "blocking":
                return reranker.rerank(query, documents, **arguments)
            return runner.run(reranker.arerank(query, documents, **arguments), context=copy_context())

        yield call
        for reranker in used:
            reranker.close()
