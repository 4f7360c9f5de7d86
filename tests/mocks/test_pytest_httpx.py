"""The `httpx_mock` of pytest-httpx stands for every provider: of own connections and of custom clients."""

import json

import httpx
import pytest
from pytest_httpx import HTTPXMock

from hosted_rerank import RerankTimeoutError
from tests.conftest import DOCUMENTS, QUERY
from tests.hostile import ranked
from tests.mocks.conftest import ADDRESS, Ask

pytestmark = pytest.mark.usefixtures("nothing_leaves")

UNEXPECTED = pytest.mark.httpx_mock(assert_all_requests_were_expected=False)
REUSED = pytest.mark.httpx_mock(can_send_already_matched_responses=True)


def test_response_is_used(ask: Ask, key: str, httpx_mock: HTTPXMock) -> None:
    """The mock sees the request, key and body, and its response is the ranking."""
    httpx_mock.add_response(url=ADDRESS, method="POST", json=ranked(0.1, 0.3, 0.2))
    assert ask() == [1, 2, 0]
    request = httpx_mock.get_request()
    assert request is not None
    assert request.headers["authorization"] == f"Bearer {key}"
    assert request.headers["content-length"] == str(len(request.content))
    body = json.loads(request.content)
    assert (body["query"], body["documents"]) == (QUERY, list(DOCUMENTS))


def test_match_of_headers(ask: Ask, key: str, httpx_mock: HTTPXMock) -> None:
    """A response may be for requests with certain headers alone."""
    httpx_mock.add_response(match_headers={"authorization": f"Bearer {key}"}, json=ranked(0.1, 0.3, 0.2))
    assert ask() == [1, 2, 0]


@REUSED
def test_several_requests(ask: Ask, httpx_mock: HTTPXMock) -> None:
    """Each of several requests of one call reaches the mock."""
    scores = dict(zip(DOCUMENTS, (0.1, 0.3, 0.2), strict=True))

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=ranked(*(scores[text] for text in json.loads(request.content)["documents"])))

    httpx_mock.add_callback(answer)
    assert ask(batch_size=1) == [1, 2, 0]
    assert len(httpx_mock.get_requests()) == 3


def test_retry(ask: Ask, httpx_mock: HTTPXMock) -> None:
    """The responses of a mock are retried like those of a server."""
    httpx_mock.add_response(503, headers={"retry-after": "0"})
    httpx_mock.add_response(json=ranked(0.1, 0.3, 0.2))
    assert ask(max_retries=1) == [1, 2, 0]


@UNEXPECTED
def test_unmatched_request(ask: Ask, httpx_mock: HTTPXMock) -> None:
    """The request that no response is for is a timeout, as pytest-httpx raises one, and does not leave."""
    with pytest.raises(RerankTimeoutError):
        ask(max_retries=0)
    assert [str(request.url) for request in httpx_mock.get_requests()] == [ADDRESS]


@UNEXPECTED
def test_unmatched_request_of_several(ask: Ask, httpx_mock: HTTPXMock) -> None:
    """So it is where several requests go out together."""
    with pytest.raises(RerankTimeoutError):
        ask(max_retries=0, batch_size=1)
    assert httpx_mock.get_requests()


def test_an_unmatched_request_fails_the_test(ask: Ask, httpx_mock: HTTPXMock) -> None:
    """Where the timeout is passed through, pytest-httpx itself still tells of the request that it did not expect."""
    assert ask(max_retries=0, on_error="passthrough") == [0, 1, 2]
    with pytest.raises(AssertionError, match=rf"(?s)requests were not expected:.*POST request on {ADDRESS}"):
        httpx_mock._assert_options()
    httpx_mock.reset()
