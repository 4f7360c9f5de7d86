"""Pytest fixtures for tests of code that reranks: a real server on localhost, and the embedded model.

# conftest.py, after `pip install 'hosted-rerank[testing]'`
pytest_plugins = ["hosted_rerank.testing"]

def test_outage(rerank_server):
rerank_server.scores = {"A language.": 0.9}
rerank_server.fail(503, times=2)
reranker = Reranker("cohere", base_url=rerank_server.base_url("cohere"))
assert reranker.rerank("What is Python?", ["A snake.", "A language."]).results[0].index == 1
assert len(rerank_server.requests) == 3
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import orjson
import pytest

from hosted_rerank.local.apis import ApiRequest
from hosted_rerank.local.conditions import Conditions, Fault, RateLimit, score_by_hash
from hosted_rerank.local.model import Scores
from hosted_rerank.local.server import running
from hosted_rerank.reranker import Reranker

Scoring: TypeAlias = Mapping[str, float] | Callable[[str, Sequence[str]], Sequence[float]]
"""Scores from 0 to 1 by text, 0 for any other text; or a function of a query and texts that returns their scores."""


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request that the server received.

    Args:
        path: The path of the URL, without the query string.
        headers: The headers, with names in lower case.
        body: The JSON value of the body; `None` if the body is not JSON.
    """

    path: str
    headers: Mapping[str, str]
    body: object


class RerankServer:
    """A local server that speaks every rerank API in `PROVIDERS`, each at `base_url(provider)`.

    Attributes:
        url: The URL of the server, such as "http://127.0.0.1:40000".
        requests: The requests that the server received, in order.
        scores: The scores that it returns; `None` for scores by a hash of the texts.
        conditions: Latency, jitter, faults and the largest number of documents in a request.
    """

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[RecordedRequest] = []
        self.scores: Scoring | None = None
        self.conditions = Conditions(score=self._score, on_request=self._record)

    def base_url(self, provider: str) -> str:
        """Returns the `base_url` for a reranker.

        Args:
            provider: The name of a provider.
        """
        return f"{self.url}/{provider}"

    def fail(self, *faults: Fault, times: int = 1, retry_after: float | None = None) -> None:
        """Makes the next requests fail.

        Args:
            *faults: The faults of the next requests, in order: an HTTP status, "reset" (the connection breaks without a
                response) or "truncated" (the connection breaks in the middle of the response).
            times: The number of times to repeat the faults.
            retry_after: Seconds in the `Retry-After` header of a response with an error status; `None` for no header.
        """
        self.conditions.next_faults.extend((fault, retry_after) for _ in range(times) for fault in faults)

    def allow(self, rate: float, burst: float | None = None) -> None:
        """Limits the rate of requests from now on; the server answers 429 to more.

        Args:
            rate: Requests per second.
            burst: Requests at once; `None` for as many as `rate`, at least 1.
        """
        self.conditions.limit = RateLimit(rate, burst)

    def _score(self, query: str, texts: Sequence[str]) -> Scores:
        scores = self.scores
        if scores is None:
            return score_by_hash(query, texts)
        values = scores(query, texts) if callable(scores) else [scores.get(text, 0.0) for text in texts]
        return Scores(tuple(values), sum(map(len, texts)) // 4)

    def _record(self, request: ApiRequest) -> None:
        try:
            body: object = orjson.loads(request.content)
        except orjson.JSONDecodeError:
            body = None
        self.requests.append(RecordedRequest(request.path, request.headers, body))

    @contextmanager
    def open(self) -> Generator["RerankServer"]:
        """Runs the server while the context is open.

        Yields:
            This object, with its `url`.
        """
        with running(conditions=self.conditions) as self.url:
            yield self


@pytest.fixture
def rerank_server() -> Iterator[RerankServer]:
    """Yields a local server for one test."""
    with RerankServer().open() as server:
        yield server


@pytest.fixture
def local_reranker() -> Iterator[Reranker]:
    """Yields a reranker with the embedded model for one test."""
    with Reranker("local") as reranker:
        yield reranker
