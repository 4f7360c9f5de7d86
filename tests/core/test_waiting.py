"""Promise 8 over real sockets: retries, what servers say of them, and the deadline over everything."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from hosted_rerank import (
    DeadlineExceededError,
    InvalidRequestError,
    MalformedResponseError,
    RateLimitError,
    RerankConnectionError,
    RerankError,
    RerankTimeoutError,
    ServerError,
)
from tests.bounded import ends_within, patience
from tests.conftest import Acme, Rerank
from tests.hostile import HostileServer, ranking, raw, reply, silence


@pytest.mark.parametrize(
    ("headers", "least"),
    [
        ({"retry-after": "0.3"}, 0.3),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "300"}, 0.3),
        ({"retry-after-ms": "300", "retry-after": "3600"}, 0.3),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:01 GMT", "date": "Sat, 21 Nov 2026 12:00:00 GMT"}, 1.0),
        ({"retry-after": "Sat, 21 Nov 2026 11:00:00 GMT", "date": "Sat, 21 Nov 2026 12:00:00 GMT"}, 0.0),
        ({"retry-after": "in a while"}, 0.2),
        ({"retry-after": "-5"}, 0.2),
        ({}, 0.2),
    ],
    ids=str,
)
def test_wait_that_a_server_asks_for(
    headers: dict[str, str], least: float, server: HostileServer, acme: Acme, rerank: Rerank
) -> None:
    """The next attempt is made after the wait that was asked for, or after one of our own; neither is long."""
    server.play(reply(429, {"detail": "slow down"}, **headers), ranking())
    response = rerank(acme(max_retries=1))
    assert (response.attempts, len(server.requests)) == (2, 2)
    assert least <= response.elapsed < least + patience(3.0)


@pytest.mark.parametrize(
    "header", [{"retry-after": "3600"}, {"retry-after": ""}, {"retry-after-ms": "3600000"}], ids=str
)
def test_wait_that_is_too_long(header: dict[str, str], server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A server that asks for an hour is not waited for: the caller learns of it at once."""
    if not any(header.values()):
        header = {"retry-after": format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)}
    server.play(reply(429, {"detail": "slow down"}, **header))
    with pytest.raises(RateLimitError, match="slow down") as caught:
        rerank(acme(max_retries=2))
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 3600
    assert len(server.requests) == 1


def test_server_decides_about_retries(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """`x-should-retry` counts more than the status, both ways."""
    server.play(reply(400, "", x_should_retry="true", retry_after_ms="1"), ranking())
    assert rerank(acme(max_retries=1)).attempts == 2
    server.play(reply(503, "", x_should_retry="false"), ranking())
    with pytest.raises(ServerError):
        rerank(acme(max_retries=2))
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 520, 524, 529])
def test_what_may_pass(status: int, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A status that may pass is retried up to `max_retries` times; the response counts all attempts."""
    server.play(*[reply(status, "", retry_after_ms="1")] * 2, ranking())
    response = rerank(acme(max_retries=2))
    assert (response.attempts, len(response.results)) == (3, 3)
    assert len({seen.content for seen in server.requests}) == 1


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 415, 422, 501])
def test_what_lasts(status: int, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Other failures are not asked again."""
    server.play(reply(status, "", retry_after_ms="1"))
    with pytest.raises(RerankError) as caught:
        rerank(acme(max_retries=2))
    assert caught.value.status == status
    assert len(server.requests) == 1


def test_no_retries(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """With `max_retries=0` a failure is final."""
    server.play(reply(503, "", retry_after_ms="1"))
    with pytest.raises(ServerError):
        rerank(acme(max_retries=0))
    assert len(server.requests) == 1


def test_deadline_in_an_attempt(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """The deadline ends an attempt that has begun, and is named."""
    server.play(silence())
    began = time.monotonic()
    with ends_within(3.0), pytest.raises(DeadlineExceededError, match=r"0\.4 s") as caught:
        rerank(acme(timeout=30.0, deadline=0.4, max_retries=5))
    assert time.monotonic() - began > 0.3
    assert isinstance(caught.value, (RerankTimeoutError, RerankConnectionError, TimeoutError))
    assert len(server.requests) == 1


def test_deadline_over_several_attempts(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """The deadline counts all attempts and waits together."""
    server.play(silence())
    with ends_within(3.0), pytest.raises(RerankTimeoutError):
        rerank(acme(timeout=0.15, deadline=0.7, max_retries=50))
    assert 1 <= len(server.requests) <= 4


@pytest.mark.parametrize("header", [{"retry-after": "30"}, {"retry-after-ms": "5000"}], ids=str)
def test_deadline_before_the_wait_would_be_over(
    header: dict[str, str], server: HostileServer, acme: Acme, rerank: Rerank
) -> None:
    """A wait beyond the deadline is not begun: what the server said is raised at once."""
    server.play(reply(429, {"detail": "slow down"}, **header))
    with ends_within(1.5), pytest.raises(RateLimitError, match="deadline"):
        rerank(acme(deadline=2.0, max_retries=2))
    assert len(server.requests) == 1


@pytest.mark.parametrize("deadline", [1e-9, 0.0005])
def test_deadline_before_the_first_attempt(deadline: float, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A deadline that is over before anything could be sent is the same error."""
    with pytest.raises(DeadlineExceededError):
        rerank(acme(deadline=deadline))
    assert server.requests == []


def test_deadline_that_suffices(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A deadline costs nothing where it is kept."""
    server.play(reply(503, "", retry_after_ms="20"), ranking(after=0.05))
    response = rerank(acme(deadline=20.0, max_retries=1))
    assert response.attempts == 2
    assert response.elapsed >= 0.07


def test_failure_after_retries_is_the_last_one(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Of several failures the last is raised."""
    server.play(reply(503, "", retry_after_ms="1"), raw(end="hang_up"), reply(422, {"detail": "no"}))
    with pytest.raises(InvalidRequestError):
        rerank(acme(max_retries=5))
    server.play(reply(503, "", retry_after_ms="1"), reply(200, "null"))
    with pytest.raises(MalformedResponseError):
        rerank(acme(max_retries=5))
