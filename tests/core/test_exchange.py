"""One request through its attempts, driven by hand."""

import pytest

from hosted_rerank import (
    DeadlineExceededError,
    PaymentRequiredError,
    RateLimitError,
    RerankConnectionError,
    RerankError,
    RerankTimeoutError,
    ServerError,
    errors,
)
from hosted_rerank.call.request_encoding import BatchResult
from tests.byhand import answered, joined, limits, lost, planned, walk


def test_success_at_once() -> None:
    """A request that is answered takes one step, without a wait and with the whole timeout."""
    steps, answer = walk(planned(limits=limits(timeout=12)), answered(at=1.0))
    assert isinstance(answer, BatchResult)
    assert [(step.wait, step.request.timeout) for step in steps] == [(0.0, 12)]
    assert (answer.scores, answer.attempts) == ({0: 0.1, 1: 0.3, 2: 0.2}, 1)


def test_every_attempt_is_the_same_request() -> None:
    """A retry sends what the first attempt sent, with a timeout of its own."""
    steps, answer = walk(
        planned(limits=limits(timeout=12)), lost(at=12.0, timed_out=True), answered(502, at=20.0), answered()
    )
    assert isinstance(answer, BatchResult)
    assert answer.attempts == 3
    assert len({(step.request.url, step.request.content, step.request.timeout) for step in steps}) == 1
    assert steps[0].request.timeout == 12


@pytest.mark.parametrize("max_retries", [0, 1, 4])
def test_retries_end(max_retries: int) -> None:
    """After `max_retries` retries the last failure is raised, and says how many attempts there were."""
    todo = planned(limits=limits(max_retries=max_retries))
    steps, error = walk(todo, *[answered(503)] * max_retries, answered(500))
    assert type(error) is ServerError
    assert error.status == 500
    assert len(steps) == max_retries + 1
    assert (f"{max_retries + 1} attempts" in str(error)) is (max_retries > 0)


def test_wait_is_the_servers() -> None:
    """The wait before an attempt is what the server asked for."""
    steps, _ = walk(planned(), answered(429, retry_after="3"), answered(503, retry_after_ms="40"), answered())
    assert [step.wait for step in steps] == [0.0, 3.0, 0.04]


def test_wait_beyond_the_bound_is_left_to_the_caller() -> None:
    """A server that asks for too much is not waited for; the caller learns what it asked for."""
    steps, error = walk(planned(), answered(429, retry_after="3600"))
    assert type(error) is RateLimitError
    assert error.retry_after == 3600
    assert len(steps) == 1


def test_kept_connection_that_was_dead_is_replaced_quietly() -> None:
    """A kept connection that turns out dead costs no retry and no wait, also where no retry is allowed."""
    steps, answer = walk(planned(limits=limits(max_retries=0)), lost(dead_connection=True), answered())
    assert isinstance(answer, BatchResult)
    assert [step.wait for step in steps] == [0.0, 0.0]
    assert answer.attempts == 2


def test_kept_connection_is_replaced_once() -> None:
    """That is done once, and leaves all retries for what follows."""
    _, error = walk(planned(limits=limits(max_retries=0)), lost(dead_connection=True), lost(dead_connection=True))
    assert type(error) is RerankConnectionError
    steps, answer = walk(
        planned(limits=limits(max_retries=2)), lost(dead_connection=True), lost(), answered(500), answered()
    )
    assert isinstance(answer, BatchResult)
    assert len(steps) == 4


def test_malformed_reply_is_not_asked_again() -> None:
    """An answer that cannot be trusted would not be better the second time."""
    steps, error = walk(planned(), answered(200, "null"))
    assert type(error) is errors.MalformedResponseError
    assert len(steps) == 1


def test_scores_go_back_to_the_callers_places() -> None:
    """Positions of the request are put back to those of the call, blank documents included."""
    todo = planned(documents=["", "one", " ", "two", "three"])
    _, answer = walk(todo, answered())
    assert isinstance(answer, BatchResult)
    assert [result.index for result in joined(todo, answer).results] == [3, 4, 1, 0, 2]


@pytest.mark.parametrize(
    ("status", "name"),
    [
        *((status, "InvalidRequestError") for status in (400, 405, 415, 418, 422)),
        (401, "AuthenticationError"),
        (402, "PaymentRequiredError"),
        (403, "PermissionDeniedError"),
        *((status, "NotFoundError") for status in (300, 301, 302, 303, 304, 307, 308, 404, 410)),
        (413, "RequestTooLargeError"),
        (429, "RateLimitError"),
        *((status, "ServerError") for status in (408, 409, 425, 500, 501, 502, 503, 504, 520, 524, 529, 599)),
    ],
)
def test_status_is_the_class(status: int, name: str) -> None:
    """Each status has its class, and each error the facts of the reply."""
    reply = answered(status, {"error": {"message": "Not today"}}, x_request_id="r-7", retry_after="90")
    _, error = walk(planned(limits=limits(max_retries=0)), reply)
    assert type(error) is getattr(errors, name)
    assert (error.status, error.provider, error.request_id, error.retry_after) == (status, "acme", "r-7", 90)
    assert "Not today" in str(error)
    assert str(status) in str(error)


def test_status_may_mean_something_else_here() -> None:
    """Fireworks says 412 of a suspended account."""
    _, error = walk(planned("fireworks"), answered(412))
    assert type(error) is PaymentRequiredError


def test_facts_that_a_server_does_not_tell_are_none() -> None:
    """Without a reply there is no status; without headers there is no id and no hint."""
    _, error = walk(planned(limits=limits(max_retries=0)), lost("it broke"))
    assert isinstance(error, RerankConnectionError)
    assert (error.status, error.request_id, error.retry_after, error.provider) == (None, None, None, "acme")
    assert "it broke" in str(error)
    _, error = walk(planned(), answered(400))
    assert isinstance(error, RerankError)
    assert (error.request_id, error.retry_after) == (None, None)


def test_deadline_bounds_an_attempt() -> None:
    """An attempt gets no more time than the deadline leaves."""
    todo = planned(limits=limits(timeout=30, deadline=10))
    steps, _ = walk(todo, answered(503, at=4.0, retry_after="2"), answered(at=7.0))
    assert steps[0].request.timeout == pytest.approx(10, abs=0.01)
    assert steps[1].request.timeout == pytest.approx(4, abs=0.01)
    steps, _ = walk(planned(limits=limits(timeout=3, deadline=10)), lost(at=3.0, timed_out=True), answered(at=4.0))
    assert [step.request.timeout for step in steps] == [3, 3]


def test_deadline_over_in_an_attempt() -> None:
    """An attempt that the deadline ended is a DeadlineExceededError, which names the deadline."""
    _, error = walk(planned(limits=limits(deadline=10)), lost(at=10.0, timed_out=True))
    assert type(error) is DeadlineExceededError
    assert "10 s" in str(error)


def test_deadline_over_before_a_wait_would_be() -> None:
    """A wait that would end after the deadline is not begun: what the server said is raised at once."""
    todo = planned(limits=limits(deadline=10))
    steps, error = walk(todo, answered(429, at=1.0, retry_after="9"))
    assert type(error) is RateLimitError
    assert (error.retry_after, len(steps)) == (9, 1)
    assert "deadline" in str(error)
    _, error = walk(todo, lost("it broke", at=9.9))
    assert isinstance(error, RerankConnectionError)
    assert "deadline" in str(error)


def test_deadline_stops_the_quiet_retry_too() -> None:
    """Nothing is sent after the deadline, not even for a kept connection that was dead."""
    steps, error = walk(planned(limits=limits(deadline=10)), lost(at=10.0, dead_connection=True))
    assert isinstance(error, RerankConnectionError)
    assert len(steps) == 1


def test_timeout_is_not_the_deadline() -> None:
    """An attempt that took too long while the deadline was far is a plain timeout."""
    todo = planned(limits=limits(timeout=3, deadline=100, max_retries=1))
    _, error = walk(todo, lost(at=3.0, timed_out=True), lost(at=7.0, timed_out=True))
    assert type(error) is RerankTimeoutError
    assert "deadline" not in str(error)
