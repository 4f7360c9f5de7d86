"""One response that asks for a long wait is the error of its own call, and holds the others for a minute at most."""

import math

import pytest

from hosted_rerank import DeadlineExceededError, RateLimitError, RerankError
from hosted_rerank.call.batching import Batch
from hosted_rerank.call.request_encoding import BatchResult
from hosted_rerank.call.request_flow import Exchange, Wait
from hosted_rerank.limits.classification import Verdict
from hosted_rerank.limits.endpoint_state import EndpointState
from hosted_rerank.limits.rate_controller import Ticket
from tests.bounded import ends_within
from tests.byhand import NOON, Clock, Sent, answered, limits, lost, planned, walk
from tests.conftest import Acme, Rerank
from tests.hostile import HostileServer, ranking, reply

LONG = {
    "a day": {"retry-after": "86400"},
    "1e300 ms": {"retry-after-ms": "1e300"},
    "the year 9999": {"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT", "date": NOON},
}


@pytest.mark.parametrize("headers", LONG.values(), ids=LONG)
def test_long_wait_is_the_error_of_its_call(
    headers: dict[str, str], server: HostileServer, acme: Acme, rerank: Rerank
) -> None:
    """The call that is asked to wait for long fails at once; one whose deadline is too short for a minute does too."""
    server.play(reply(429, **{name.replace("-", "_"): value for name, value in headers.items()}), ranking())
    with ends_within(2.0), pytest.raises(RateLimitError) as caught:
        rerank(acme(max_retries=2))
    assert caught.value.retry_after is not None
    assert 86400 <= caught.value.retry_after < math.inf
    with ends_within(2.0), pytest.raises(DeadlineExceededError, match=r"its turn would come in (59|60|6e\+01) s"):
        rerank(acme(deadline=30.0))
    assert len(server.requests) == 1


def test_one_request_tries_after_a_long_hold() -> None:
    """After a minute of a day, one request is sent; the others wait until it is answered."""
    state, refused, other = EndpointState(), Ticket(), Ticket()
    assert state.queue.admit(refused, 0.0) == 0
    state.record(Verdict(success=False, reason="", throttled=True, overloaded=True), refused, 0.1, 86400.0)
    assert state.queue.admit(refused, 0.2) == pytest.approx(59.9)
    assert state.queue.admit(refused, 60.2) == 0
    assert state.queue.admit(other, 60.2) == math.inf
    state.record(Verdict(success=True, reason=""), refused, 60.3)
    assert state.queue.admit(other, 60.3) == 0


@pytest.mark.parametrize("value", ["-5", "NaN", "-1e300", "-inf"])
def test_nonsense_holds_nobody(value: str, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A wait that is none holds neither the call nor others."""
    server.play(reply(429, retry_after=value), ranking())
    assert rerank(acme(max_retries=1, deadline=20.0)).attempts == 2


def refused(state: EndpointState, **headers: str) -> RerankError:
    """The error of a call that is asked to wait for a day, at 0 on the clock."""
    sent, error = walk(planned(), answered(429, retry_after="86400"), service=state)
    assert len(sent) == 1
    assert isinstance(error, RateLimitError)
    return error


def test_others_are_held_for_a_minute() -> None:
    """A call that comes later waits for a minute at most, tries, and is answered."""
    state = EndpointState()
    assert refused(state).retry_after == 86400
    sent, result = walk(planned(), answered(at=71.0), service=state, elapsed=10.0)
    assert isinstance(result, BatchResult)
    assert 50.0 <= sent[0].wait <= 51.0


def waiting(state: EndpointState, clock: Clock) -> Exchange:
    """A call that waits in the queue."""
    plan = planned()
    return Exchange(plan, Batch(plan.all_texts), None, state, "sk-by-hand", clock.now, clock)


def test_one_tries_for_all_that_wait() -> None:
    """When the one that tries is refused for long again, the others get the error, and wait for no second minute."""
    state, clock = EndpointState(), Clock()
    refused(state)
    clock.now = 10.0
    first, second = (waiting(state, clock).steps() for _ in range(2))
    assert isinstance(next(first), Wait)
    assert isinstance(next(second), Wait)
    clock.now = 61.0
    assert not isinstance(next(first), Wait)
    assert isinstance(next(second), Wait)
    clock.now = 61.2
    with pytest.raises(RateLimitError) as own:
        first.send(answered(429, retry_after="86400", at=61.2))
    with pytest.raises(RateLimitError, match="all requests wait") as others:
        next(second)
    assert (own.value.attempts, others.value.attempts) == (1, 0)
    assert others.value.retry_after == pytest.approx(86400)
    third = waiting(state, clock).steps()
    step = next(third)
    assert isinstance(step, Wait)
    assert step.seconds <= 60
    third.close()


def waits(sent: list[Sent]) -> list[float]:
    return [each.wait for each in sent]


def test_refusals_cost_no_retry_for_a_minute() -> None:
    """For a minute since the first one refusals are free; then each costs a retry."""
    refusals = [answered(429, retry_after="20")] * 6
    sent, error = walk(planned(limits=limits(max_retries=2)), *refusals)
    assert isinstance(error, RateLimitError)
    assert len(sent) == 6  # free after 0, 20 and 40 s; after 60 and 80 s at the cost of a retry; the last one is final
    assert all(20 <= wait < 23 for wait in waits(sent)[1:])


def test_service_that_is_overloaded_for_all_costs_retries() -> None:
    """A 503 without `Retry-After` costs a retry, unless the endpoint has answered others since the request was sent."""
    state = EndpointState()
    sent, error = walk(planned(limits=limits(max_retries=2)), *[answered(503)] * 3, service=state)
    assert isinstance(error, RerankError)
    assert len(sent) == 3
    state.answered_at = math.inf
    sent, result = walk(planned(limits=limits(max_retries=2)), *[answered(503)] * 9, answered(), service=state)
    assert isinstance(result, BatchResult)
    assert len(sent) == 10


def test_other_failures_cost_retries_beside_refusals() -> None:
    """Refusals use up none of the retries that other failures need."""
    outcomes = [answered(429), lost(), answered(429), lost(), answered(429), answered()]
    _, result = walk(planned(limits=limits(max_retries=2)), *outcomes)
    assert isinstance(result, BatchResult)
    _, error = walk(planned(limits=limits(max_retries=2)), *outcomes[:4], lost())
    assert isinstance(error, RerankError)
