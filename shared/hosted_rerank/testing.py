"""For tests of code that reranks: pytest fixtures with a real server on loopback, and with the embedded model.

pytest_plugins = ["hosted_rerank.testing"]  # in conftest.py; `pip install 'hosted-rerank[testing]'`

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

from hosted_rerank.local.apis import Call
from hosted_rerank.local.conditions import Conditions, Fault, Limit, instant
from hosted_rerank.local.model import Scores
from hosted_rerank.local.server import running
from hosted_rerank.reranker import Reranker

Scoring: TypeAlias = Mapping[str, float] | Callable[[str, Sequence[str]], Sequence[float]]
"""Scores by text, 0 for others; or what gives a query and texts their scores, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request that the server got."""

    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: object
    """The JSON, `None` if it is none."""


class RerankServer:
    """A local server with every rerank API of the table, in a test's hands.

    Its scores are a hash's until `scores` is set. Each API is at `base_url(provider)`.
    """

    def __init__(self) -> None:
        self.url = ""
        """Where it listens."""
        self.requests: list[SeenRequest] = []
        """What came, in order."""
        self.scores: Scoring | None = None
        """What it answers."""
        self.conditions = Conditions(score=self._score, watch=self._see)
        """What it is like; latency, chances of faults and documents of a request may be set."""

    def base_url(self, provider: str) -> str:
        """Return what to pass as a reranker's `base_url`."""
        return f"{self.url}/{provider}"

    def fail(self, *faults: Fault, times: int = 1, retry_after: float | None = None) -> None:
        """Have the next requests fail: with a status, with "reset" or "truncated".

        Args:
            *faults: What the next requests come to, in order.
            times: How often that is repeated.
            retry_after: Seconds of a `Retry-After` header, for statuses.
        """
        self.conditions.next.extend((fault, retry_after) for _ in range(times) for fault in faults)

    def allow(self, rate: float, burst: float | None = None) -> None:
        """Take `rate` requests a second from now on, and `burst` at once; refuse more with 429."""
        self.conditions.limit = Limit(rate, burst)

    def _score(self, query: str, texts: Sequence[str]) -> Scores:
        scores = self.scores
        if scores is None:
            return instant(query, texts)
        given = scores(query, texts) if callable(scores) else [scores.get(text, 0.0) for text in texts]
        return Scores(tuple(given), sum(map(len, texts)) // 4)

    def _see(self, call: Call) -> None:
        try:
            body: object = orjson.loads(call.content)
        except orjson.JSONDecodeError:
            body = None
        self.requests.append(SeenRequest(call.path, call.headers, body))

    @contextmanager
    def open(self) -> Generator["RerankServer"]:
        """Serve for as long as the context is open."""
        with running(conditions=self.conditions) as self.url:
            yield self


@pytest.fixture
def rerank_server() -> Iterator[RerankServer]:
    """Give a test a server of its own."""
    with RerankServer().open() as server:
        yield server


@pytest.fixture
def local_reranker() -> Iterator[Reranker]:
    """Give a test the embedded model."""
    with Reranker("local") as reranker:
        yield reranker
