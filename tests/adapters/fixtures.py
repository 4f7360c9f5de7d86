"""Fixtures of the adapters' tests: both ways of calling, both frameworks, and rerankers that ask the server."""

import asyncio
import importlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, TypeAlias

import pytest

from tests.conftest import KEY
from tests.hostile import HostileServer

Do: TypeAlias = Callable[..., Any]
Asking: TypeAlias = Callable[..., Any]
Rank: TypeAlias = Callable[..., Any]

FRAMEWORKS = {"langchain": "langchain_core", "llamaindex": "llama_index.core"}


@pytest.fixture(params=FRAMEWORKS)
def host(request: pytest.FixtureRequest) -> ModuleType:
    """Runs a test with each framework that is installed: `with_langchain`, `with_llamaindex`."""
    pytest.importorskip(FRAMEWORKS[request.param])
    return importlib.import_module(f"tests.adapters.with_{request.param}")


@pytest.fixture
def do(way: str) -> Iterator[Do]:
    """Calls a method: blocking, or awaiting the one with an `a` before its name, in one event loop for each test."""
    with asyncio.Runner() as runner:

        def call(thing: Any, method: str, *arguments: Any, **named: Any) -> Any:
            if way == "blocking":
                return getattr(thing, method)(*arguments, **named)
            return runner.run(getattr(thing, f"a{method}")(*arguments, **named))

        yield call


@pytest.fixture
def rank(do: Do, host: ModuleType) -> Rank:
    """Reranks candidates of either framework, one way or the other."""
    return lambda reranker, candidates, *query, **overrides: do(host, "rank", reranker, candidates, *query, **overrides)


@pytest.fixture
def asking(server: HostileServer) -> Iterator[Asking]:
    """Makes rerankers of a class that ask the server."""
    made: list[Any] = []

    def make(kind: type, **settings: Any) -> Any:
        made.append(kind(**{"base_url": server.url, "api_key": KEY, "timeout": 20.0, "max_retries": 0} | settings))
        return made[-1]

    yield make
    for reranker in made:
        reranker.close()
