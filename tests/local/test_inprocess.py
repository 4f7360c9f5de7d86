"""The transport that needs no wire."""

import asyncio
import copy
import json
import math
import pickle
import time
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from hosted_rerank import Reranker, RerankTimeoutError
from hosted_rerank.local import MODEL
from hosted_rerank.local.inprocess import LocalTransport
from hosted_rerank.local.model import Model
from hosted_rerank.wire import Outcome, Request, Response, TransportFailure

QUERY = "What is Python?"
DOCUMENTS = ["Cats purr.", "Python is a programming language."]


def build_request(timeout: float = 60.0, **body: object) -> Request:
    return Request("local:rerank", {}, json.dumps(body).encode(), timeout)


def long_request(timeout: float = 600.0) -> Request:
    """More work than any test waits for."""
    return build_request(timeout, model=MODEL, query="a", documents=[f"{number} " * 120 for number in range(20_000)])


async def ask_blocking(request: Request) -> Outcome:
    return LocalTransport().send(request)


async def ask_awaiting(request: Request) -> Outcome:
    return await LocalTransport().asend(request)


both_ways = pytest.mark.parametrize("ask", [ask_blocking, ask_awaiting])
Ask = Callable[[Request], Awaitable[Outcome]]


@both_ways
async def test_it_answers_as_an_api_does(model: Model, ask: Ask) -> None:
    """A rerank is answered with 200, a date, the scores of the model by index, and the tokens that were read."""
    before = time.monotonic()
    reply = await ask(build_request(model=MODEL, query=QUERY, documents=DOCUMENTS))
    assert isinstance(reply, Response)
    assert reply.status == 200
    assert before <= reply.at <= time.monotonic()
    assert parsedate_to_datetime(reply.headers["date"])
    assert all(name == name.lower() for name in reply.headers)
    body: dict[str, Any] = json.loads(reply.content)
    scores = model.score(QUERY, DOCUMENTS)
    assert body.pop("id").startswith("rerank-")
    assert body == {
        "model": MODEL,
        "results": [{"index": n, "relevance_score": score} for n, score in enumerate(scores.relevance)],
        "usage": {"prompt_tokens": scores.tokens, "total_tokens": scores.tokens},
    }


@both_ways
async def test_another_model_does_not_exist(ask: Ask) -> None:
    """Any other model id is a 404 that names the one there is."""
    reply = await ask(build_request(model="all-MiniLM-L12-v2", query=QUERY, documents=DOCUMENTS))
    assert isinstance(reply, Response)
    assert reply.status == 404
    assert MODEL in json.loads(reply.content)["detail"]


@pytest.mark.parametrize(
    ("content", "places"),
    [
        (b"{", [[]]),
        (b"[]", [[]]),
        (b"{}", [["model"], ["query"], ["documents"]]),
        (b'{"model": "m", "query": 1, "documents": ["secret", 2]}', [["query"], ["documents", 1]]),
    ],
)
def test_a_wrong_body_is_refused_and_not_quoted(content: bytes, places: list[list[object]]) -> None:
    """A body that is no rerank is a 422 that says where it is wrong and repeats nothing of it."""
    reply = LocalTransport().send(Request("local:rerank", {}, content, 60.0))
    assert isinstance(reply, Response)
    assert reply.status == 422
    assert [detail["loc"] for detail in json.loads(reply.content)["detail"]] == places
    assert b"secret" not in reply.content


@both_ways
async def test_a_timeout_is_kept(ask: Ask, wait_for_scoring: Callable[[bool], None]) -> None:
    """A list that takes longer than the request's timeout is given up and lost, as timed out."""
    lost = await ask(long_request(timeout=0.1))
    assert isinstance(lost, TransportFailure)
    assert lost.timed_out
    assert "0.1 s" in lost.reason
    wait_for_scoring(False)


async def test_no_timeout_is_no_timeout(model: Model) -> None:
    """An infinite timeout is one."""
    reply = await LocalTransport().asend(build_request(math.inf, model=MODEL, query=QUERY, documents=DOCUMENTS))
    assert isinstance(reply, Response)


async def test_cancelling_stops_the_scoring(wait_for_scoring: Callable[[bool], None]) -> None:
    """A cancelled call ends at once, and its threads stop long before the end of the list."""
    task = asyncio.create_task(LocalTransport().asend(long_request()))
    await asyncio.to_thread(wait_for_scoring, True)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    wait_for_scoring(False)


async def test_the_event_loop_stays_free() -> None:
    """Other coroutines run while a list is scored."""
    request = build_request(model=MODEL, query=QUERY, documents=[f"free {number}" for number in range(50)])
    task = asyncio.create_task(LocalTransport().asend(request))
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    assert isinstance(task.result(), Response)
    assert turns > 10


async def test_it_holds_nothing() -> None:
    """A transport may be copied, pickled, closed twice and used afterwards."""
    transport: LocalTransport = copy.deepcopy(pickle.loads(pickle.dumps(LocalTransport())))
    transport.close()
    await transport.aclose()
    transport.close()
    reply = transport.send(build_request(model=MODEL, query=QUERY, documents=[]))
    assert isinstance(reply, Response)
    assert json.loads(reply.content)["results"] == []


def test_too_slow_once_is_too_slow() -> None:
    """A timeout of the model is not retried: the next try would take as long."""
    with pytest.raises(RerankTimeoutError) as caught:
        Reranker("local", timeout=0.05).rerank("a", [f"{number} " * 120 for number in range(2_000)])
    assert "attempts" not in str(caught.value)
