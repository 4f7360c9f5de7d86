"""What a server says is left of a quota: with plain values, then in both ways of calling."""

import pytest

from hosted_rerank import DeadlineExceededError, RateLimitError
from hosted_rerank.limits.adaptive_rate import AdaptiveRate
from hosted_rerank.limits.rate_controller import Ticket
from hosted_rerank.limits.request_queue import RequestQueue
from hosted_rerank.limits.retry import Quota, quota
from tests.bounded import ends_within
from tests.conftest import Acme, Rerank
from tests.core.rate_simulation import go
from tests.hostile import HostileServer, ranking, reply


def test_quota_of_a_refusal_counts() -> None:
    """A refusal that says when there is more, by the headers of the quota alone, is not asked again before."""
    queue = RequestQueue(AdaptiveRate())
    queue.on_throttled(go(queue, 0.0), 0.1, None, Quota(0, 4.0))
    other = Ticket()
    assert queue.admit(other, 0.2) == pytest.approx(3.9)
    assert queue.admit(other, 4.2) == 0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x-ratelimit-remaining-requests": "7", "x-ratelimit-reset-requests": "900s"}, Quota(7, 900)),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, Quota(0, 360)),
        ({"x-ratelimit-remaining-requests": "1.00", "x-ratelimit-reset-requests": "20ms"}, Quota(1, 0.02)),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1.5s"}, Quota(0, 1.5)),
        ({"x-ratelimit-remaining-tokens": "10", "x-ratelimit-reset-tokens": "1s"}, None),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "12"}, Quota(3, 12)),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "45"}, Quota(0, 45)),
        ({"ratelimit": '"default";r=50;t=30'}, Quota(50, 30)),
        (
            {"ratelimit": '"minute"; r=0; t=40, "day";r=900;t=7200', "ratelimit-policy": '"minute";q=9;w=60'},
            Quota(0, 40),
        ),
        ({"ratelimit": '"default";r=50'}, None),
        ({"ratelimit": '"default";r=-1;t=1e9'}, None),
        ({"x-ratelimit-remaining-requests": "7"}, None),
        ({"x-ratelimit-remaining-requests": "0%", "x-ratelimit-reset-requests": "1s"}, None),
        ({"x-ratelimit-remaining-requests": "7", "x-ratelimit-reset-requests": "soon"}, None),
        ({"x-ratelimit-remaining-requests": "-1", "x-ratelimit-reset-requests": "1s"}, None),
        ({"x-ratelimit-remaining-requests": "7", "x-ratelimit-reset-requests": "9" * 5000 + "s"}, None),
        (
            {
                "x-ratelimit-remaining": "0",
                "x-ratelimit-reset": "1795262430000",
                "date": "Sat, 21 Nov 2026 12:00:00 GMT",
            },
            Quota(0, 30),
        ),
    ],
)
def test_quota(headers: dict[str, str], expected: Quota | None) -> None:
    """What is left of a limit is read with any unit, and not at all where it makes no sense."""
    assert quota(headers) == expected


def test_quota_is_not_overdrawn() -> None:
    """When the quota is used up, no request is sent before its reset."""
    queue = RequestQueue(AdaptiveRate())
    queue.on_success(go(queue, 0.0), 0.1, Quota(2, 5.0))
    go(queue, 0.1)
    second = go(queue, 0.1)
    third = Ticket()
    assert queue.admit(third, 0.1) == pytest.approx(5.0)
    queue.on_success(second, 0.2, Quota(0, 0.3))
    assert queue.admit(third, 0.6) == 0


def test_deadline_that_cannot_be_met_fails_at_once(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """While the API has everybody wait, a call with less time than that is told so without a request."""
    server.play(reply(429, "", retry_after="30"), ranking())
    with pytest.raises(RateLimitError):
        rerank(acme(max_retries=0))
    with ends_within(1), pytest.raises(DeadlineExceededError, match="its turn would come in"):
        rerank(acme(deadline=5.0))
    assert len(server.requests) == 1


def test_quota_of_an_answer_fails_at_once(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """When an answer says that nothing is left, a call with less time than until there is more is told so at once."""
    server.play(ranking(x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="30s"))
    rerank(acme())
    with ends_within(1), pytest.raises(DeadlineExceededError, match="its turn would come in"):
        rerank(acme(deadline=5.0))
    assert len(server.requests) == 1


def test_quota_of_an_answer_is_not_overdrawn(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """When an answer says that nothing is left, a call whose deadline comes before there is more is not sent."""
    server.play(ranking(x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="30s"))
    rerank(acme())
    with ends_within(2), pytest.raises(DeadlineExceededError):
        rerank(acme(deadline=0.3))
    assert len(server.requests) == 1


def test_quota_of_an_answer_is_waited_for(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """When an answer says that nothing is left, the next call is sent when there is more."""
    server.play(ranking(x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="500ms"), ranking())
    rerank(acme())
    assert rerank(acme(deadline=30.0)).elapsed > 0.3
    assert len(server.requests) == 2


def test_other_accounts_are_not_held(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A limit is an account's: another key goes on."""
    server.play(reply(429, "", retry_after="30"), ranking())
    with pytest.raises(RateLimitError):
        rerank(acme(max_retries=0))
    assert len(rerank(acme(api_key="sk-another-1234")).results) == 3
