"""Mocks of respx stand for every provider: of own connections and of custom clients, in core and frameworks."""

import json

import httpx
import pytest
import respx
from respx.models import AllMockedAssertionError

from hosted_rerank import RerankTimeoutError
from tests.conftest import DOCUMENTS, QUERY
from tests.hostile import ranked
from tests.mocks.conftest import ADDRESS, Ask

pytestmark = pytest.mark.usefixtures("nothing_leaves")


def test_route_is_called(ask: Ask, key: str, respx_mock: respx.MockRouter) -> None:
    """The mock sees the request, key and body, and its response is the ranking."""
    route = respx_mock.post(ADDRESS).respond(json=ranked(0.1, 0.3, 0.2))
    assert ask() == [1, 2, 0]
    assert route.call_count == 1
    request = route.calls.last.request
    assert request.headers["authorization"] == f"Bearer {key}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == str(len(request.content))
    body = json.loads(request.content)
    assert (body["query"], body["documents"]) == (QUERY, list(DOCUMENTS))


@pytest.mark.respx(assert_all_called=False)
def test_match_of_a_body(ask: Ask, respx_mock: respx.MockRouter) -> None:
    """A route may match by what the body says."""
    other = respx_mock.post(ADDRESS, json__query="Another?").respond(500)
    route = respx_mock.post(ADDRESS, json__query=QUERY).respond(json=ranked(0.1, 0.3, 0.2))
    assert ask() == [1, 2, 0]
    assert (other.call_count, route.call_count) == (0, 1)


def test_several_requests(ask: Ask, respx_mock: respx.MockRouter) -> None:
    """Each of several requests of one call reaches the mock."""
    scores = dict(zip(DOCUMENTS, (0.1, 0.3, 0.2), strict=True))
    route = respx_mock.post(ADDRESS)
    route.side_effect = lambda request: httpx.Response(
        200, json=ranked(*(scores[document] for document in json.loads(request.content)["documents"]))
    )
    assert ask(batch_size=1) == [1, 2, 0]
    assert route.call_count == 3


def test_retry(ask: Ask, respx_mock: respx.MockRouter) -> None:
    """The responses of a mock are retried like those of a server."""
    answers = httpx.Response(503, headers={"retry-after": "0"}), httpx.Response(200, json=ranked(0.1, 0.3, 0.2))
    route = respx_mock.post(ADDRESS).mock(side_effect=answers)
    assert ask(max_retries=1) == [1, 2, 0]
    assert route.call_count == 2


def test_timeout(ask: Ask, respx_mock: respx.MockRouter) -> None:
    """A timeout that a mock raises is ours, after as many attempts as we make."""
    route = respx_mock.post(ADDRESS).mock(side_effect=httpx.ReadTimeout)
    with pytest.raises(RerankTimeoutError):
        ask(max_retries=0)
    assert route.call_count == 1


@pytest.mark.respx(assert_all_called=False)
@pytest.mark.parametrize(
    "more", [{}, {"batch_size": 1}, {"on_error": "passthrough"}, {"fallbacks": ["cohere"]}], ids=str
)
def test_unmatched_request(
    ask: Ask,
    more: dict[str, object],
    respx_mock: respx.MockRouter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A request that no route takes is respx's own error: not retried, not passed through, not given to a fallback."""
    monkeypatch.setenv("CO_API_KEY", "co-of-this-test")
    elsewhere = respx_mock.post("https://api.cohere.com/v2/rerank").respond(json=ranked(0.1, 0.3, 0.2))
    with pytest.raises(AllMockedAssertionError, match=r"^RESPX: .*api\.fireworks\.ai.* not mocked!$"):
        ask(**more)
    assert not elsewhere.called


def test_call_after_an_unmatched_one(ask: Ask, respx_mock: respx.MockRouter) -> None:
    """An unmatched request gives its turn to the next one."""
    for _ in range(3):
        with pytest.raises(AllMockedAssertionError):
            ask(max_concurrency=1)
    respx_mock.post(ADDRESS).respond(json=ranked(0.1, 0.3, 0.2))
    assert ask(max_concurrency=1) == [1, 2, 0]
