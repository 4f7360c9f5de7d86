"""Many calls at once, blocking or awaiting, servers that fail some of them, and a breaker that opens soon."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from hosted_rerank import Reranker, RerankError, RerankResponse
from hosted_rerank.limits.circuit_breaker import BreakerSettings
from hosted_rerank.limits.endpoint_state import EndpointRegistry, EndpointState
from tests.conftest import DOCUMENTS
from tests.hostile import Act, Peer, ranking

Answer: TypeAlias = RerankResponse | BaseException


def at_once(reranker: Reranker, queries: Sequence[str], way: str) -> list[Answer]:
    """What comes of a call for each query, all at once."""
    if way == "awaiting":

        async def main() -> list[Answer]:
            calls = (reranker.arerank(query, DOCUMENTS) for query in queries)
            return await asyncio.gather(*calls, return_exceptions=True)

        return asyncio.run(main())

    def call(query: str) -> Answer:
        try:
            return reranker.rerank(query, DOCUMENTS)
        except RerankError as error:
            return error

    with ThreadPoolExecutor(len(queries)) as pool:
        return list(pool.map(call, queries))


def answered(answers: Sequence[Answer]) -> int:
    """How many calls were answered with all scores."""
    return sum(isinstance(answer, RerankResponse) and answer.error is None for answer in answers)


def by_attempt(act: Callable[[str, int], Act]) -> Act:
    """An act that is chosen by the query and by how often it was asked before."""
    asked: Counter[str] = Counter()

    async def choose(peer: Peer) -> None:
        query = peer.seen.body["query"]
        asked[query] += 1
        await act(query, asked[query] - 1)(peer)

    return choose


def once(failure: Act, after: float = 0.02) -> Act:
    """Fails the first attempt of each query, and ranks all others."""
    return by_attempt(lambda _, attempt: ranking(after=after) if attempt else failure)


def names(count: int) -> list[str]:
    """So many queries."""
    return [f"query {number}" for number in range(count)]


def alarmed(reranker: Reranker, **settings: float) -> Reranker:
    """A reranker with a circuit breaker of its own, which opens after five failures however short the time."""
    settings_ = BreakerSettings(**{"min_outage": 0.0} | settings)  # type: ignore[arg-type]
    registry = EndpointRegistry(lambda: EndpointState(breaker_settings=settings_))
    for each in (reranker, *reranker._fallbacks):
        each._endpoints = registry
    return reranker
