"""Fallbacks, asked when a service is out."""

from typing import Any

import pytest

from hosted_rerank import (
    DeadlineExceededError,
    InvalidRequestError,
    RerankError,
    ServerError,
)
from tests.bounded import ends_within
from tests.conftest import Acme, Rerank
from tests.hostile import HostileServer, ranking, reply


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
