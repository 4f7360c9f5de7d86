"""Driving the flow by hand: outcomes go in as plain values, steps come out. No socket, no clock, no event loop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from hosted_rerank import Provider, RerankError, RerankResponse
from hosted_rerank.call.arguments import check_arguments
from hosted_rerank.call.batch_sizes import RequestSizes, cut
from hosted_rerank.call.batching import Batch, Plan, plan
from hosted_rerank.call.call_options import CallOptions
from hosted_rerank.call.call_state import CallState
from hosted_rerank.call.merge import merge
from hosted_rerank.call.request_encoding import BatchResult
from hosted_rerank.call.request_flow import Exchange, Wait
from hosted_rerank.limits.endpoint_state import EndpointState
from hosted_rerank.limits.retry import RetryPolicy
from hosted_rerank.providers import find_provider
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.wire import Call, Outcome, Request, Response, TransportFailure
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
    limits: CallOptions | None = None,
    **settings: Any,
) -> Plan:
    """The plan of a call."""
    endpoint = Endpoint(provider=find_provider(provider), **{"api_key": "sk-by-hand"} | settings)
    return plan(endpoint, limits or CallOptions(), check_arguments(Call(query, documents, top_n, instruction)))


def limits(*, timeout: float = 30.0, deadline: float | None = None, max_retries: int = 2) -> CallOptions:
    return CallOptions(timeout, deadline, RetryPolicy(max_retries))


@dataclass(frozen=True, slots=True)
class Sent:
    """A request, and the seconds that were waited for it."""

    wait: float
    request: Request


class Clock:
    """A clock that advances by the waits, and by the durations of the outcomes."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def walk(
    todo: Plan, *outcomes: Outcome, chance: float = 0.0, service: EndpointState | None = None, elapsed: float = 0.0
) -> tuple[list[Sent], BatchResult | RerankError]:
    """The requests of an exchange that began at 0 on the clock, and what it came to after exactly these outcomes."""
    clock = Clock()
    clock.now = elapsed
    (batch,) = cut(RequestSizes(todo), todo.all_texts, {})
    top_n = todo.top_n if todo.top_n is None else min(todo.top_n, len(batch.text_indices))
    asked = top_n if todo.endpoint.provider.dialect.top_n else None
    key = todo.endpoint.key()
    exchange = Exchange(todo, batch, asked, service or EndpointState(), key, 0.0, clock, lambda: chance)
    steps, coming, sent, waited = exchange.steps(), list(outcomes), list[Sent](), 0.0
    try:
        step = next(steps)
        while True:
            if isinstance(step, Wait):
                clock.now += step.seconds
                waited += step.seconds
                step = next(steps)
            else:
                sent.append(Sent(round(waited, 9), step))
                assert coming, f"it goes on: {step}"
                waited, outcome = 0.0, coming.pop(0)
                clock.now = max(clock.now, outcome.at)
                step = steps.send(replace(outcome, at=clock.now))
    except StopIteration as done:
        answer: BatchResult = done.value
        return sent, answer.error or answer  # a call raises it, unless it passes through what has no score
    except RerankError as error:
        return sent, error
    finally:
        assert not coming


def answered(status: int = 200, body: Any = None, *, at: float = 0.0, **headers: str) -> Response:
    """A reply; a success ranks three documents if `body` does not say otherwise."""
    if body is None:
        body = ranked(0.1, 0.3, 0.2) if status < 300 else {"message": "no"}
    named = {"date": NOON} | {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, named, encoded(body), at)


def lost(reason: str = "the line is dead", *, at: float = 0.0, **kind: bool) -> TransportFailure:
    return TransportFailure(reason, at, **kind)


def request_of(todo: Plan) -> Request:
    """The only request of a plan."""
    (sent, *_), _ = walk(todo, lost(retryable=False))
    return sent.request


def joined(todo: Plan, *answers: BatchResult, elapsed: float = 0.0) -> RerankResponse:
    """The response that the answers make together."""
    work = CallState(todo, 0.0)
    for answer in answers:
        work.record_result(Batch(()), answer)
    return merge(work, elapsed)


def body_of(todo: Plan) -> Mapping[str, Any]:
    """The JSON that the only request of a plan carries."""
    body: Mapping[str, Any] = orjson.loads(request_of(todo).content)
    return body
