"""LlamaIndex runs event loops for one call each: a reranker keeps its connection from one to the next."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import QueryFusionRetriever

from llamaindex_hosted_rerank import HostedRerank, RerankRetriever
from tests.adapters.fixtures import Asking
from tests.conftest import QUERY
from tests.hostile import HostileServer
from tests.llamaindex.shelf import TEXTS, Shelf, nodes


def by_itself(call: Callable[[], int]) -> int:
    """LlamaIndex runs the thread's event loop, and would leave one of its own unclosed."""
    asyncio.set_event_loop(loop := asyncio.new_event_loop())
    try:
        return call()
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def in_a_thread(call: Callable[[], int]) -> int:
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(call).result()


def within_a_loop(call: Callable[[], int]) -> int:
    async def cell() -> int:
        return call()

    return asyncio.run(cell())


PLACES = {"by itself": by_itself, "in a thread": in_a_thread, "within a loop": within_a_loop}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_fusion_of_retrievers(place: Callable[[Callable[[], int]], int], asking: Asking, server: HostileServer) -> None:
    """Ten queries of `QueryFusionRetriever`, which runs an event loop for each, open at most two connections."""
    reranker = asking(HostedRerank, provider="vllm", model="m", top_n=2)
    shelf = Shelf(nodes())
    fusion = QueryFusionRetriever(
        [RerankRetriever(shelf, reranker)], llm=MockLLM(), mode="simple", num_queries=1, use_async=True
    )
    for _ in range(10):
        assert place(lambda: len(fusion.retrieve(QUERY))) == 2
    assert set(shelf.asked) == {"awaiting"}
    assert len(server.requests[0].body["documents"]) == len(TEXTS)
    assert len(server.requests) == 10
    assert server.connections <= 2
