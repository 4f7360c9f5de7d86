"""The local server on a real socket."""

import asyncio
import json
import re
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from hosted_rerank.local import MODEL as EMBEDDED
from hosted_rerank.local.apis import MAX_BODY, ApiRequest
from hosted_rerank.local.conditions import Conditions, score_by_hash
from hosted_rerank.local.fireworks import SERVERLESS
from hosted_rerank.local.model import Model
from hosted_rerank.local.nebius import MODEL
from hosted_rerank.local.server import _listen, running
from tests.bounded import patience

QUERY = "What is Python?"
DOCUMENTS = ["Cats purr.", "Python is a programming language.", ""]
FIREWORKS = ("/inference/v1/rerank", {"query": QUERY, "documents": DOCUMENTS})
NEBIUS = ("/v1/rerank?ai_project_id=p-1", {"model": MODEL, "query": QUERY, "documents": DOCUMENTS})


def get_scores(response: httpx.Response) -> dict[int, float]:
    body: dict[str, Any] = response.json()
    return {item["index"]: item["relevance_score"] for item in body.get("data", body.get("results"))}


@pytest.mark.parametrize(("path", "body"), [FIREWORKS, NEBIUS], ids=["fireworks", "nebius"])
def test_both_apis_answer_with_the_scores_of_the_model(
    base_url: str, model: Model, path: str, body: dict[str, object]
) -> None:
    """A rerank over HTTP gives the very scores of the model, a request id of its own, and a date."""
    with httpx.Client(base_url=base_url) as client:
        first, second = client.post(path, json=body), client.post(path, json=body)
    assert get_scores(first) == get_scores(second) == dict(enumerate(model.score(QUERY, DOCUMENTS).relevance))
    assert first.headers["content-type"] == "application/json"
    assert parsedate_to_datetime(first.headers["date"])
    assert re.fullmatch("[0-9a-f]{32}", first.headers["x-request-id"])
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/v1/models", 200),
        ("GET", "/inference/v1/models", 200),
        ("GET", "/v1/rerank", 405),
        ("PUT", "/inference/v1/rerank", 405),
        ("GET", "/", 404),
        ("POST", "/rerank", 404),
        ("POST", "/inference/v1/embeddings", 404),
        ("POST", "/v1/rerank", 422),
        ("POST", "/inference/v1/rerank", 400),
    ],
)
def test_every_path_is_answered_in_json(base_url: str, method: str, path: str, status: int) -> None:
    """For any request the answer is JSON and the status is the right one."""
    response = httpx.request(method, base_url + path)
    assert response.status_code == status
    assert response.json()


def test_health_names_the_model_behind(base_url: str) -> None:
    """Both APIs claim their vendor's model; /health says what it really is."""
    assert httpx.get(base_url + "/health").json() == {"status": "ok", "model": EMBEDDED}


def test_a_key_is_asked_for_by_both_apis() -> None:
    """With a key, both APIs refuse others, each in its own words; /health stays open."""
    with running(api_key="sk-1") as url:
        for path, body in (FIREWORKS, NEBIUS):
            assert httpx.post(url + path, json=body).status_code == 401
            assert httpx.post(url + path, json=body, headers={"authorization": "Bearer sk-2"}).status_code == 401
            assert httpx.post(url + path, json=body, headers={"authorization": "Bearer sk-1"}).status_code == 200
        assert "error" in httpx.post(url + FIREWORKS[0]).json()
        assert "detail" in httpx.post(url + NEBIUS[0]).json()
        assert httpx.get(url + "/health").status_code == 200


def test_a_body_beyond_the_bound_is_refused(base_url: str) -> None:
    """A body of more than 64 MiB is a 413, whatever is in it, and is not read to its end."""
    response = httpx.post(base_url + "/v1/rerank", content=b" " * (MAX_BODY + 2**20))
    assert response.status_code == 413


async def test_many_requests_at_once(base_url: str, model: Model) -> None:
    """Concurrent requests do not mix, and each gets what it would get alone."""
    expected = {n: model.score(f"question {n}", DOCUMENTS).relevance for n in range(50)}
    async with httpx.AsyncClient(base_url=base_url, timeout=60) as client:
        bodies = [{"query": f"question {n}", "documents": DOCUMENTS, "model": SERVERLESS} for n in range(50)]
        responses = await asyncio.gather(*(client.post(FIREWORKS[0], json=body) for body in bodies))
    assert [get_scores(r) for r in responses] == [dict(enumerate(expected[n])) for n in range(50)]


def send_long_request(url: str) -> socket.socket:
    """A connection on which more is being scored than any test waits for."""
    documents = [f"{number} " * 120 for number in range(20_000)]
    content = json.dumps({"query": "a", "documents": documents}).encode()
    target = httpx.URL(url)
    connection = socket.create_connection((target.host, target.port or 80))
    head = f"POST {FIREWORKS[0]} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(content)}\r\n\r\n"
    connection.sendall(head.encode() + content)
    return connection


def test_a_client_that_leaves_stops_its_scoring(base_url: str, wait_for_scoring: Callable[[bool], None]) -> None:
    """When the connection closes, no thread goes on with the list, and the server answers others."""
    connection = send_long_request(base_url)
    wait_for_scoring(True)
    connection.close()
    wait_for_scoring(False)
    assert httpx.post(base_url + NEBIUS[0], json=NEBIUS[1]).status_code == 200


def test_a_client_that_leaves_in_the_middle_of_its_request_is_forgotten(base_url: str) -> None:
    """Half a request leaves nothing behind."""
    target = httpx.URL(base_url)
    with socket.create_connection((target.host, target.port or 80)) as connection:
        connection.sendall(b"POST /v1/rerank HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
    assert httpx.get(base_url + "/health").status_code == 200


def test_health_is_answered_while_lists_are_scored(base_url: str, wait_for_scoring: Callable[[bool], None]) -> None:
    """However many long lists are being scored, the event loop is free."""
    connections = [send_long_request(base_url) for _ in range(3)]
    wait_for_scoring(True)
    assert httpx.get(base_url + "/health", timeout=30).status_code == 200
    for connection in connections:
        connection.close()
    wait_for_scoring(False)


def test_a_server_in_the_background_leaves_nothing_behind(
    wait_for_scoring: Callable[[bool], None], caplog: pytest.LogCaptureFixture
) -> None:
    """After the context the port is closed, no thread is left, and a request in flight has got a 503."""
    with running() as url:
        connection = send_long_request(url)
        wait_for_scoring(True)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url + "/health")
    with connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 503")
    wait_for_scoring(False)
    assert sum(thread.name == "hosted-rerank server" for thread in threading.enumerate()) <= 1  # the fixture's
    assert not any(record.exc_info for record in caplog.records)


def test_a_server_may_be_closed_before_it_is_used() -> None:
    """Starting and stopping at once is clean."""
    with running() as url:
        assert url.startswith("http://127.0.0.1:")


def test_answers_are_not_held_back() -> None:
    """Connections come without Nagle's algorithm, which would hold each answer back for 40 ms."""
    with _listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"", b""),
        (b"POST /cohere/v2/rerank HTTP/1.1\r\nhost: localhost\r\n", b""),
        (b"POST /cohere/v2/rerank HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{", b"HTTP/1.1 408 "),
        (b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\nGET /hea", b"HTTP/1.1 200 "),
    ],
    ids=["nothing", "half a head", "half a body", "half of the second request"],
)
def test_a_half_sent_request_ends(sent: bytes, answered: bytes) -> None:
    """A request that is not complete in time is answered by a 408, or its connection is closed."""
    with (
        running(conditions=Conditions(read_timeout=0.2, score=score_by_hash)) as url,
        socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=patience(5)) as client,
    ):
        client.sendall(sent)
        received = b"".join(iter(lambda: client.recv(4096), b""))
    assert received.startswith(answered)
    assert bool(received) == bool(answered)


def test_an_instant_answer_to_many_documents_holds_nobody_up() -> None:
    """Other requests are answered while a request with many documents is scored by its hash."""
    arrived = threading.Event()

    def on_request(request: ApiRequest) -> None:
        if len(request.content) > 100_000:
            arrived.set()

    body = {"model": "m", "query": "q", "documents": ["x"] * 300_000, "top_n": 1}
    with (
        running(conditions=Conditions(score=score_by_hash, on_request=on_request)) as url,
        ThreadPoolExecutor() as pool,
    ):
        large = pool.submit(httpx.post, f"{url}/cohere/v2/rerank", json=body, timeout=patience(30))
        assert arrived.wait(patience(10))
        assert httpx.get(f"{url}/health").status_code == 200
        assert not large.done()
        assert large.result().status_code == 200
