"""The local server's bad days, and the fixtures that users test with."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from hosted_rerank import RateLimitError, Reranker, RerankError
from hosted_rerank.local.conditions import (
    Conditions,
    RateLimit,
    parse_duration,
    parse_faults,
    parse_rate,
    score_by_hash,
)
from hosted_rerank.local.server import running
from hosted_rerank.testing import RerankServer

BODY = {"model": "rerank-v3.5", "query": "q", "documents": ["one", "two", "three"]}


@pytest.fixture
def bench() -> Iterator[RerankServer]:
    """What `rerank_server` gives."""
    with RerankServer().open() as server:
        yield server


def ask(url: str, **body: Any) -> httpx.Response:
    return httpx.post(f"{url}/cohere/v2/rerank", json=BODY | body, headers={"authorization": "Bearer k"}, timeout=10)


@pytest.mark.parametrize(
    ("text", "seconds"), [("100ms", 0.1), ("2s", 2.0), ("0.5", 0.5), ("1min", 60.0), ("1.5 s", 1.5), ("0s", 0.0)]
)
def test_duration(text: str, seconds: float) -> None:
    """A duration has a unit, or is in seconds."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "-1s", "1 fortnight", "ms"])
def test_no_duration(text: str) -> None:
    """A text that is no condition is refused, with an example."""
    with pytest.raises(ValueError, match="100ms"):
        parse_duration(text)


def test_rate() -> None:
    """A rate is a count and a period."""
    assert (parse_rate("60/min"), parse_rate("50/s"), parse_rate("3600/h")) == (1.0, 50.0, 1.0)
    for text in ("", "50", "0/s", "x/s", "50/", "50/year"):
        with pytest.raises(ValueError, match="60/min"):
            parse_rate(text)


def test_faults() -> None:
    """Faults are statuses and two kinds of break, each with its chance."""
    assert parse_faults("429=0.05,reset=0.01, truncated=.2") == {429: 0.05, "reset": 0.01, "truncated": 0.2}
    assert parse_faults("") == {}
    for text in ("429", "200=0.1", "reset=2", "fire=0.1", "429=x"):
        with pytest.raises(ValueError, match="not a fault"):
            parse_faults(text)
    with pytest.raises(ValueError, match="more than 1"):
        parse_faults("429=0.6,500=0.6")


def test_limit_grows_with_use() -> None:
    """A limit that is used grows by a fifth each period, and falls back when it is not."""
    limit = RateLimit(10, growing=True)
    now = 0.0
    for _ in range(400):
        limit.take(now)
        now += 0.05
    assert limit.rate > 20
    for _ in range(4):
        now += 30
        limit.take(now)
    assert limit.rate == 10


def test_latency() -> None:
    """An answer takes its time."""
    with running(conditions=Conditions(latency=0.2, jitter=0.01, score=score_by_hash)) as url:
        began = time.monotonic()
        assert ask(url).status_code == 200
        assert time.monotonic() - began >= 0.2


def test_limit_refuses_in_the_apis_own_words() -> None:
    """More than the rate is refused with 429 and `Retry-After`."""
    with running(conditions=Conditions(limit=RateLimit(0.5, 2), score=score_by_hash)) as url:
        assert [ask(url).status_code for _ in range(4)] == [200, 200, 429, 429]
        refused = ask(url)
        assert int(refused.headers["retry-after"]) in (1, 2)
        assert "message" in refused.json()


def test_too_many_documents() -> None:
    """More documents than a request may have are refused, and our client then sends fewer."""
    with running(conditions=Conditions(max_documents=2, score=score_by_hash)) as url:
        assert ask(url).status_code == 413
        assert ask(url, documents=["one", "two"]).status_code == 200
        with Reranker("cohere", api_key="k", base_url=f"{url}/cohere") as reranker:
            assert len(reranker.rerank("q", BODY["documents"]).results) == 3  # type: ignore[arg-type]  # a list of str


def test_chances_are_repeatable() -> None:
    """With a seed, what goes wrong does so again."""

    def day() -> list[Any]:
        conditions = Conditions(faults=parse_faults("429=0.2,reset=0.2,truncated=0.2"), seed=7)
        return [conditions.draw_fault() for _ in range(200)]

    first = day()
    assert first == day()
    assert set(Counter(first)) == {None, (429, None), ("reset", None), ("truncated", None)}


def test_breaks_on_the_wire() -> None:
    """A reset is one, and a truncated reply ends before its length."""
    conditions = Conditions(score=score_by_hash)
    with running(conditions=conditions) as url:
        conditions.next_faults.append(("reset", None))
        with pytest.raises(httpx.ReadError):
            ask(url)
        conditions.next_faults.append(("truncated", None))
        with pytest.raises(httpx.RemoteProtocolError):
            ask(url)
        assert ask(url).status_code == 200


def test_instant_scores_are_of_the_pair() -> None:
    """A hash gives the same pair the same score, from 0 to 1, whatever else is in the request."""
    one, two = score_by_hash("q", ["a", "b"]).relevance
    assert score_by_hash("q", ["b"]).relevance == (two,)
    assert 0 <= one < 1
    assert one != two
    assert score_by_hash("p", ["a"]).relevance != (one,)


def test_server_in_a_tests_hands(bench: RerankServer) -> None:
    """Scores, failures and limits are set; requests are seen; any API of the table is there."""
    bench.scores = {"two": 0.9, "three": 0.5}
    with Reranker("voyage", api_key="k", base_url=bench.base_url("voyage"), max_retries=0) as reranker:
        response = reranker.rerank("q", ["one", "two", "three"])
        assert [(result.index, result.relevance_score) for result in response.results] == [(1, 0.9), (2, 0.5), (0, 0.0)]
        bench.fail(503, "truncated")
        for _ in range(2):
            with pytest.raises(RerankError):
                reranker.rerank("q", ["one"])
        bench.fail(429, retry_after=30)
        with pytest.raises(RateLimitError) as caught:
            reranker.rerank("q", ["one"])
        assert caught.value.retry_after == 30
    assert [seen.path for seen in bench.requests] == ["/voyage/v1/rerank"] * 4
    assert bench.requests[0].body["query"] == "q"  # type: ignore[index]  # an object, as its status says
    bench.scores = lambda query, texts: [float(len(text)) / 10 for text in texts]
    bench.allow(0.1, burst=1)
    with Reranker("jina", api_key="k", base_url=bench.base_url("jina"), max_retries=0) as reranker:
        assert reranker.rerank("q", ["a", "abc"]).results[0].index == 1
        with pytest.raises(RateLimitError):
            reranker.rerank("q", ["a"])


PLUGIN = """
pytest_plugins = ["hosted_rerank.testing"]
"""
USED = """
from hosted_rerank import Reranker

def test_outage(rerank_server):
    rerank_server.scores = {"A language.": 0.9}
    rerank_server.fail(503, times=2)
    with Reranker("cohere", api_key="k", base_url=rerank_server.base_url("cohere")) as reranker:
        assert reranker.rerank("What is Python?", ["A snake.", "A language."]).results[0].index == 1
    assert len(rerank_server.requests) == 3

def test_model(local_reranker):
    best = local_reranker.rerank("Which animal sleeps in winter?", ["A language.", "The dormouse sleeps until May."])
    assert best.results[0].index == 1
"""

pytest_plugins = ["pytester"]


def test_plugin(pytester: pytest.Pytester) -> None:
    """The fixtures do what their documentation says, in somebody else's tests."""
    pytester.makeconftest(PLUGIN)
    pytester.makepyfile(USED)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


async def test_server_takes_many_at_once(bench: RerankServer) -> None:
    """A pipeline's load of calls at once is served."""
    with Reranker("cohere", api_key="k", base_url=bench.base_url("cohere")) as reranker:
        came = await asyncio.gather(*(reranker.arerank("q", ["a", "b"]) for _ in range(100)))
        assert len({tuple(result.index for result in response.results) for response in came}) == 1
        await reranker.aclose()
