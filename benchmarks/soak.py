"""Rerank for minutes in every way at once, and count what must not happen: `make soak`.

Threads, event loops of one call and of many, both frameworks, cancellations and deadlines, against a server that fails
by chance. Prints wrong scores, late calls, unexpected errors, and what is left over at the end; ends with status 1
unless all are 0.
"""

import argparse
import asyncio
import gc
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks.processes import stub
from benchmarks.stub import text_score
from hosted_rerank import Reranker, RerankError
from hosted_rerank.transport.pool_manager import POOLS

GRACE = 0.5
"""Seconds by which a call may exceed its deadline."""


class Soak:
    """The workers of a soak, and what they count."""

    def __init__(self, urls: Sequence[str], until: float) -> None:
        self.counts: Counter[str] = Counter()
        self._urls, self._until = urls, until

    def _make_reranker(self, chance: random.Random, deadline: float | None) -> Reranker:
        url, key = chance.choice(self._urls), f"sk-{chance.randint(1, 4)}"
        return Reranker(
            "fireworks", "m", api_key=key, base_url=url, deadline=deadline, batch_size=chance.choice((None, 5))
        )

    def _make_texts(self, chance: random.Random) -> list[str]:
        return [f"document {chance.random()}" for _ in range(chance.randint(1, 20))]

    def check(self, texts: Sequence[str], response: Any) -> None:
        """Count an answer, and its wrong scores."""
        self.counts["answered"] += 1
        scores = {result.index: result.relevance_score for result in response.results}
        self.counts["wrong scores"] += sum(scores.get(i) != text_score(text) for i, text in enumerate(texts))

    def _check_time(self, began: float, deadline: float | None) -> None:
        self.counts["late calls"] += deadline is not None and time.monotonic() - began > deadline + GRACE

    def block(self, seed: int) -> None:
        """Make blocking calls in a thread."""
        chance = random.Random(seed)
        while time.monotonic() < self._until:
            deadline, texts, began = chance.choice((None, 0.05, 1.0)), self._make_texts(chance), time.monotonic()
            try:
                self.check(texts, self._make_reranker(chance, deadline).rerank("q", texts))
            except RerankError as error:
                self.counts[type(error).__name__] += 1
            self._check_time(began, deadline)

    def loops(self, seed: int) -> None:
        """Run an event loop for each call."""
        chance = random.Random(seed)
        while time.monotonic() < self._until:
            asyncio.run(self._await(chance))

    def one_loop(self, seed: int) -> None:
        """Run many calls at once in one event loop."""
        chance = random.Random(seed)

        async def worker() -> None:
            while time.monotonic() < self._until:
                await self._await(chance)

        async def main() -> None:
            await asyncio.gather(*(worker() for _ in range(20)))
            self.counts["tasks left"] += len(asyncio.all_tasks()) - 1

        asyncio.run(main())

    async def _await(self, chance: random.Random) -> None:
        """Make one awaiting call, which may be cancelled."""
        deadline, texts, began = chance.choice((None, 0.05, 1.0)), self._make_texts(chance), time.monotonic()
        task = asyncio.create_task(self._make_reranker(chance, deadline).arerank("q", texts))
        if chance.random() < 0.2:
            asyncio.get_running_loop().call_later(chance.random() * 0.1, task.cancel)
        try:
            self.check(texts, await task)
        except asyncio.CancelledError:
            self.counts["cancelled"] += 1
        except RerankError as error:
            self.counts[type(error).__name__] += 1
        self._check_time(began, deadline)

    def frameworks(self, seed: int) -> None:
        """Make calls through both frameworks."""
        from langchain_core.documents import Document
        from llama_index.core.schema import NodeWithScore, TextNode

        from langchain_hosted_rerank import HostedRerank as LangChainRerank
        from llamaindex_hosted_rerank import HostedRerank as LlamaIndexRerank

        chance, settings = random.Random(seed), {"model": "m", "api_key": "sk-f", "top_n": 100}
        while time.monotonic() < self._until:
            url, texts = chance.choice(self._urls), self._make_texts(chance)
            try:
                compressed = LangChainRerank(base_url=url, **settings).compress_documents(
                    [Document(page_content=text) for text in texts], "q"
                )
                self.counts["wrong scores"] += sum(
                    document.metadata["relevance_score"] != text_score(document.page_content) for document in compressed
                )
                nodes = LlamaIndexRerank(base_url=url, **settings).postprocess_nodes(
                    [NodeWithScore(node=TextNode(text=text)) for text in texts], query_str="q"
                )
                self.counts["wrong scores"] += sum(node.score != text_score(node.get_content()) for node in nodes)
                self.counts["answered"] += 2
            except RerankError as error:
                self.counts[type(error).__name__] += 1


def run_guarded(soak: Soak, name: str, seed: int) -> None:
    """Run a worker; an error that is not the family's is counted and shown."""
    try:
        getattr(soak, name)(seed)
    except BaseException as error:
        soak.counts["unexpected errors"] += 1
        print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)


def count_descriptors() -> int:
    """Return the number of open file descriptors."""
    return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))


def main() -> None:
    """Soak, and print what was counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    asked = parser.parse_args()
    servers = (
        stub(by_text=True, latency=0.02),
        stub(by_text=True, latency=0.02, fault="500", share=0.2),
        stub(by_text=True, latency=0.02, fault="reset", share=0.2),
        stub(by_text=True, latency=0.02, rate=100, burst=20),
        stub(by_text=True, latency=0.3),
    )
    with servers[0] as a, servers[1] as b, servers[2] as c, servers[3] as d, servers[4] as e:
        before = count_descriptors()
        soak = Soak((a, b, c, d, e), time.monotonic() + 60 * asked.minutes)
        work = [*["block"] * 8, *["loops"] * 4, *["one_loop"] * 2, "frameworks"]
        threads = [threading.Thread(target=run_guarded, args=(soak, name, seed)) for seed, name in enumerate(work)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        POOLS.close()
        gc.collect()
        time.sleep(1)
        soak.counts["descriptors left"] = max(0, count_descriptors() - before)
        soak.counts["threads left"] = threading.active_count() - 1
    bad = ("wrong scores", "late calls", "unexpected errors", "descriptors left", "tasks left", "threads left")
    for name in (*bad, *sorted(soak.counts.keys() - set(bad))):
        print(f"{name:24} {soak.counts[name]:8}")
    sys.exit(any(soak.counts[name] for name in bad))


if __name__ == "__main__":
    main()
