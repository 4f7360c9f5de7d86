"""Driving the flow by hand: outcomes go in as plain values, steps come out. No socket, no clock, no event loop."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from hosted_rerank import Provider, RerankError
from hosted_rerank.endpoint import Endpoint
from hosted_rerank.flow import Answer, Call, Limits, Plan, Step, exchange, plan
from hosted_rerank.providers import find_provider
from hosted_rerank.retry import Retry
from hosted_rerank.wire import Lost, Outcome, Reply
from tests.hostile import encoded, ranked

ACME = Provider(name="acme", url="https://rerank.example/v1/rerank")
NOON = "Sat, 21 Nov 2026 12:00:00 GMT"
"""The `date` of replies that have no other."""


def planned(
    provider: str | Provider = ACME,
    documents: Sequence[str] = ("one", "two", "three"),
    *,
    query: str = "which?",
    top_n: int | None = None,
    instruction: str | None = None,
    limits: Limits | None = None,
    **settings: Any,
) -> Plan:
    """The plan of a call."""
    endpoint = Endpoint(provider=find_provider(provider), **{"api_key": "sk-by-hand"} | settings)
    return plan(endpoint, limits or Limits(), Call(query, documents, top_n, instruction))


def limits(*, timeout: float = 30.0, deadline: float | None = None, max_retries: int = 2) -> Limits:
    return Limits(timeout, deadline, Retry(max_retries))


def walk(todo: Plan, *outcomes: Outcome, chance: float = 0.0) -> tuple[list[Step], Answer | RerankError]:
    """The steps of an exchange that began at 0 on the clock, and what it came to after exactly these outcomes."""
    steps = exchange(todo, todo.batches[0], 0.0, lambda: chance)
    taken = [next(steps), *(steps.send(outcome) for outcome in outcomes[:-1])]
    try:
        surplus = steps.send(outcomes[-1])
    except StopIteration as done:
        answer: Answer = done.value
        return taken, answer
    except RerankError as error:
        return taken, error
    raise AssertionError(f"it goes on: {surplus}")


def answered(status: int = 200, body: Any = None, *, at: float = 0.0, **headers: str) -> Reply:
    """A reply; a success ranks three documents if `body` does not say otherwise."""
    if body is None:
        body = ranked(0.1, 0.3, 0.2) if status < 300 else {"message": "no"}
    named = {"date": NOON} | {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, named, encoded(body), at)


def lost(reason: str = "the line is dead", *, at: float = 0.0, **kind: bool) -> Lost:
    return Lost(reason, at, **kind)


def body_of(todo: Plan) -> Mapping[str, Any]:
    """The JSON that the only request of a plan carries."""
    (batch,) = todo.batches
    body: Mapping[str, Any] = orjson.loads(batch.request.content)
    return body
