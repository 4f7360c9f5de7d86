"""Fallbacks: who is asked when, how a deadline is shared out, and what `on_error="passthrough"` returns."""

from typing import Any

import pytest

from hosted_rerank import DeadlineExceededError, InvalidRequestError, Reranker, RerankError, RerankResponse, ServerError
from tests.bounded import ends_within, patience
from tests.conftest import Acme, Rerank
from tests.crowd import answered, at_once, names
from tests.hostile import Act, HostileServer, Peer, ranking, raw, reply, silence


@pytest.fixture
def spare() -> Any:
    """Another server."""
    with HostileServer() as server:
        yield server


def test_fallback_answers(server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """When one is out the next is asked, and the answer says who answered and what happened before."""
    server.play(reply(503, ""))
    second = acme(row={"name": "spare", "url": f"{spare.url}/rerank"})
    response = rerank(acme(fallbacks=[second]))
    assert response.provider == "spare"
    assert [type(error) for error in response.fallback_errors] == [ServerError]
    assert (len(server.requests), len(spare.requests)) == (1, 1)


def test_scores_of_two_models_do_not_mix(
    server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank
) -> None:
    """When one part fails, all of the call goes to the fallback."""
    server.play(ranking(0.1, 0.2), reply(500, ""))
    second = acme(row={"name": "spare", "url": f"{spare.url}/rerank"})
    response = rerank(acme(fallbacks=[second], batch_size=2, max_concurrency=1), documents=["a", "b", "c", "d"])
    assert len(spare.requests[0].body["documents"]) == 4
    assert (response.provider, len(response.results), response.attempts) == ("spare", 4, 1)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_fallback_is_for_outages(
    server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank, status: int
) -> None:
    """A wrong request and a wrong key are no outage."""
    server.play(reply(status, ""))
    with pytest.raises(RerankError) as caught:
        rerank(acme(fallbacks=[acme(row={"name": "spare", "url": f"{spare.url}/rerank"})]))
    assert caught.value.status == status
    assert spare.requests == []


def test_fallbacks_that_fail_too(server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """The last failure is raised, with those before it as its cause; or passed through, if that is asked for."""
    server.play(reply(503, ""))
    spare.play(reply(402, ""))
    second = acme(row={"name": "spare", "url": f"{spare.url}/rerank"})
    with pytest.raises(RerankError) as caught:
        rerank(acme(fallbacks=[second]))
    assert caught.value.provider == "spare"
    assert isinstance(caught.value.__cause__, ServerError)
    response = rerank(acme(fallbacks=[second], on_error="passthrough"))
    assert [result.index for result in response.results] == [0, 1, 2]
    assert {result.error for result in response.results} == {"PaymentRequiredError"}


def test_deadline_is_for_fallbacks_too(server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """No fallback is asked when the time is over."""
    server.play(reply(500, ""), *[ranking(after=10)] * 9)
    spare.play(ranking(after=10))
    with ends_within(3), pytest.raises(DeadlineExceededError):
        rerank(acme(deadline=0.4, fallbacks=[acme(row={"name": "spare", "url": f"{spare.url}/rerank"})]))


def test_instruction_that_a_fallback_cannot_take(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """An instruction that would be lost at a fallback is refused before anybody is asked."""
    with pytest.raises(InvalidRequestError, match="jina"):
        rerank(acme(fallbacks=["jina"]), instruction="Animals only.")
    assert server.requests == []


def with_spare(acme: Acme, spare: HostileServer, **settings: Any) -> Reranker:
    """A reranker whose fallback is another server."""
    second = acme(row={"name": "spare", "url": f"{spare.url}/rerank"}, max_retries=settings.get("max_retries", 0))
    return acme(fallbacks=[second], **settings)


def errors(response: RerankResponse) -> list[str]:
    """The errors of the rerankers that were asked before."""
    return [type(error).__name__ for error in response.fallback_errors]


def test_fallback_has_its_share_of_the_deadline(
    server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank
) -> None:
    """When the first one hangs, the fallback is asked in time, and the error says whose share is over."""
    server.play(silence())
    response = rerank(with_spare(acme, spare, deadline=2.0, timeout=30.0))
    assert response.provider == "spare"
    assert 0.9 <= response.elapsed < 2.0
    assert errors(response) == ["DeadlineExceededError"]
    assert "this reranker's share of the deadline" in str(response.fallback_errors[0])


def test_small_deadline_is_not_cut_up(server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A share is no smaller than half a second, which an API needs, as long as the deadline allows it."""
    server.play(ranking(after=0.3))
    assert rerank(with_spare(acme, spare, deadline=patience(0.5))).provider == "acme"


def test_shares_of_several_fallbacks(server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Each of several has its turn before the deadline."""
    server.play(silence())
    slow = [acme(row={"name": name, "url": f"{server.url}/{name}"}) for name in ("b", "c")]
    last = acme(row={"name": "spare", "url": f"{spare.url}/rerank"})
    response = rerank(acme(fallbacks=[*slow, last], deadline=3.0, timeout=30.0))
    assert (response.provider, errors(response)) == ("spare", ["DeadlineExceededError"] * 3)


@pytest.mark.parametrize("deadline", [None, 6.0])
def test_wait_of_the_first_is_not_waited_for(
    server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank, deadline: float | None
) -> None:
    """While the first one asks all to wait, its calls fall back at once, with a deadline or without."""
    server.play(reply(429, retry_after="30"))
    reranker = with_spare(acme, spare, deadline=deadline, max_retries=2)
    with ends_within(3.0):
        for _ in range(3):
            response = rerank(reranker)
            assert (response.provider, errors(response)) == ("spare", ["RateLimitError"])
    assert (len(server.requests), len(spare.requests)) == (1, 3)
    assert 0 < (response.fallback_errors[0].retry_after or 0.0) <= 33
    assert response.fallback_errors[0].attempts == 0


def test_quota_of_the_first_is_not_waited_for(
    server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank
) -> None:
    """While the first one has no quota left, its calls fall back at once."""
    server.play(ranking(x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="30s"))
    reranker = with_spare(acme, spare)
    assert rerank(reranker).provider == "acme"
    with ends_within(3.0):
        assert rerank(reranker).provider == "spare"


def test_short_wait_is_waited_for(server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A wait as short as a backoff is no reason for another model."""
    server.play(reply(429, retry_after="0.2"), ranking())
    assert rerank(with_spare(acme, spare, max_retries=1)).provider == "acme"


def test_first_to_be_free_is_asked(server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """When all ask to wait, the call waits for the one that is free first, and is answered."""
    server.play(reply(429, retry_after="1"), ranking())
    spare.play(reply(429, retry_after="30"))
    response = rerank(with_spare(acme, spare, max_retries=1))
    assert (response.provider, errors(response)) == ("acme", ["RateLimitError", "RateLimitError"])
    assert response.elapsed >= 1.0
    assert (len(server.requests), len(spare.requests)) == (2, 1)


def test_one_that_asked_to_wait_is_asked_again(
    server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank
) -> None:
    """When the fallback fails, the call waits for the first one; with `max_retries=0` there is no second attempt."""
    server.play(reply(503, retry_after="1"), ranking())
    spare.play(reply(402))
    response = rerank(with_spare(acme, spare, max_retries=1))
    assert (response.provider, errors(response)) == ("acme", ["ServerError", "PaymentRequiredError"])
    server.play(reply(429, retry_after="1"), ranking())
    with pytest.raises(RerankError) as caught:
        rerank(with_spare(acme, spare, max_retries=0))
    assert caught.value.provider == "spare"


def test_wait_of_a_day_is_the_end(server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """One that asks for a day is not asked again by the call."""
    server.play(reply(429, retry_after="86400"))
    spare.play(reply(402))
    with ends_within(3.0), pytest.raises(RerankError) as caught:
        rerank(with_spare(acme, spare, max_retries=2))
    assert caught.value.provider == "spare"
    assert len(server.requests) == 1


OUTAGES: dict[str, Act] = {
    "hangs": silence(),
    "reset": raw(end="reset"),
    "500": reply(500),
    "429": reply(429, retry_after="30"),
}


@pytest.mark.parametrize("second", OUTAGES)
@pytest.mark.parametrize("first", OUTAGES)
def test_passthrough_holds(
    server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank, first: str, second: str
) -> None:
    """With fallbacks and a deadline, however each of them fails, passthrough returns all documents unscored."""
    server.play(OUTAGES[first])
    spare.play(OUTAGES[second])
    reranker = with_spare(acme, spare, deadline=0.8, timeout=30.0, on_error="passthrough", max_retries=1)
    with ends_within(3.0):
        response = rerank(reranker)
    assert [(result.index, result.relevance_score) for result in response.results] == [(0, None), (1, None), (2, None)]
    assert all(result.error for result in response.results)


def test_passthrough_when_the_time_is_over(
    server: HostileServer, spare: HostileServer, acme: Acme, rerank: Rerank
) -> None:
    """When the first one has used all of the deadline, passthrough says so, and asks nobody else."""
    server.play(silence())
    response = rerank(with_spare(acme, spare, deadline=0.3, timeout=30.0, on_error="passthrough"))
    assert {result.error for result in response.results} == {"DeadlineExceededError"}
    assert spare.requests == []


UNDER_LOAD: list[tuple[int, Act]] = [
    *((5, act) for act in (raw(end="reset"), reply(429), reply(503, retry_after="5"))),
    *((count, reply(500)) for count in (5, 30, 100)),
]


@pytest.mark.parametrize(("count", "failure"), UNDER_LOAD)
def test_fallback_of_the_same_host_under_load(
    server: HostileServer, acme: Acme, way: str, count: int, failure: Act
) -> None:
    """However many calls there are at once, a healthy path soon answers all that fail at another path of its host."""

    async def act(peer: Peer) -> None:
        await (ranking(after=0.02) if peer.seen.target == "/spare" else failure)(peer)

    server.play(act)
    second = acme(row={"name": "spare", "url": f"{server.url}/spare"}, max_retries=2, timeout=30.0)
    reranker = acme(fallbacks=[second], max_retries=1, timeout=30.0)
    with ends_within(10):
        assert answered(at_once(reranker, names(count), way)) == count
