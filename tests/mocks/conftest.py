"""Fixtures: own connections or a custom client, both ways of calling, the core and both frameworks."""

import asyncio
import importlib
import socket
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from functools import partial
from typing import Any, TypeAlias
from uuid import uuid4

import httpx
import pytest

from hosted_rerank import Reranker
from tests.conftest import DOCUMENTS, QUERY
from tests.mocks.program import Program, run

Ask: TypeAlias = Callable[..., list[int]]
Make: TypeAlias = Callable[..., Any]
ADDRESS = "https://api.fireworks.ai/inference/v1/rerank"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """A key as Fireworks gives them, in the environment; nothing that is remembered of one test meets another."""
    key = f"fw_{uuid4().hex}"
    monkeypatch.setenv("FIREWORKS_API_KEY", key)
    return key


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    """The event loop of a test."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(params=["default", "custom"])
def clients(request: pytest.FixtureRequest, way: str, loop: asyncio.Runner) -> Iterator[dict[str, Any]]:
    """The settings of a reranker: its own connections, or a custom client for the way of the test."""
    if request.param == "default":
        yield {}
    elif way == "blocking":
        with httpx.Client() as client:
            yield {"client": client}
    else:
        async_client = httpx.AsyncClient()
        yield {"async_client": async_client}
        loop.run(async_client.aclose())


@pytest.fixture
def make(key: str, clients: dict[str, Any], way: str, loop: asyncio.Runner) -> Iterator[Make]:
    """Makes rerankers of a class with the clients of the test, and closes them."""
    made: list[Any] = []

    def make(kind: type = Reranker, **settings: Any) -> Any:
        made.append(kind(**{"provider": "fireworks", "timeout": 5.0, **clients, **settings}))
        return made[-1]

    yield make
    for reranker in made:
        if way == "awaiting":
            loop.run(reranker.aclose())
        reranker.close()


@pytest.fixture(params=["core", "langchain", "llamaindex"])
def ask(request: pytest.FixtureRequest, make: Make, way: str, loop: asyncio.Runner) -> Ask:
    """Makes a reranker, of the core or of a framework, and ranks with it; returns the places of the documents."""
    framework = None if request.param == "core" else importlib.import_module(f"tests.adapters.with_{request.param}")

    def call(thing: Any, method: str, *arguments: Any) -> Any:
        if way == "blocking":
            return getattr(thing, method)(*arguments)
        return loop.run(getattr(thing, f"a{method}")(*arguments), context=copy_context())

    def ask(documents: Sequence[str] = DOCUMENTS, **settings: Any) -> list[int]:
        if framework is None:
            results = call(make(**settings), "rerank", QUERY, documents).results
            return [result.index for result in results]
        reranker = make(framework.HostedRerank, **settings)
        ranked = call(framework, "rank", reranker, framework.candidates(*documents))
        return [framework.metadata(each)["place"] for each in ranked]

    return ask


@pytest.fixture
def nothing_leaves(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No name is looked up: no request leaves this machine."""
    sought: list[Any] = []

    def unknown(host: Any, *arguments: Any, **more: Any) -> Any:
        sought.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    yield
    assert sought == []


@pytest.fixture
def program(way: str) -> Program:
    """A program that reranks once, in an environment with nothing but the given variables; returns what it prints."""
    return partial(run, way)
