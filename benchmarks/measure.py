"""One measurement of one client, in a process of its own: prints a JSON object.

python -m benchmarks.measure storm langchain http://127.0.0.1:9000 --documents 10 --count 500
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.client import QUERY, Client, texts
from benchmarks.clients import CLIENTS, make
from benchmarks.embedded import embedded


def instructions(client: Client, count: int, *, awaiting: bool) -> dict[str, Any]:
    """Wait until callgrind counts, make calls, and wait until it has stopped."""

    def counted() -> None:
        print("ready", flush=True)
        sys.stdin.readline()

    def done() -> None:
        print("done", flush=True)
        sys.stdin.readline()

    async def main(call: Callable[[], Awaitable[Any]]) -> None:
        for _ in range(3):
            await call()
        counted()
        for _ in range(count):
            await call()
        done()

    if awaiting:
        assert client.awaiting is not None
        asyncio.run(main(client.awaiting))
    else:
        assert client.blocking is not None
        for _ in range(3):
            client.blocking()
        counted()
        for _ in range(count):
            client.blocking()
        done()
    return {}


def storm(client: Client, count: int, waves: int) -> dict[str, Any]:
    """Make calls at once, wave after wave, in one event loop; each of a wave with a query of its own."""
    call, times, failed = client.awaiting, list[float](), Counter[str]()
    assert call is not None

    async def one(number: int) -> None:
        try:
            await call(f"{QUERY} {number}")
        except Exception as error:
            failed[type(error).__name__] += 1

    async def main() -> None:
        for _ in range(waves):
            began = time.perf_counter()
            await asyncio.gather(*(one(number) for number in range(count)))
            times.append(time.perf_counter() - began)

    cpu = time.process_time()
    asyncio.run(main())
    return {"seconds": times, "cpu": (time.process_time() - cpu) / waves, "failed": dict(failed)}


def threads(client: Client, count: int, waves: int) -> dict[str, Any]:
    """Make calls from 64 threads."""
    call, times, failed = client.blocking, list[float](), Counter[str]()
    assert call is not None

    def one(_: int) -> None:
        try:
            call()
        except Exception as error:
            failed[type(error).__name__] += 1

    with ThreadPoolExecutor(64) as pool:
        for _ in range(waves):
            began = time.perf_counter()
            list(pool.map(one, range(count)))
            times.append(time.perf_counter() - began)
    return {"seconds": times, "failed": dict(failed)}


def calls(client: Client, count: int, pause: float) -> dict[str, Any]:
    """Make blocking calls one after the other, with a pause between them."""
    times: list[float] = []
    assert client.blocking is not None
    for number in range(count):
        if number:
            time.sleep(pause)
        began = time.perf_counter()
        try:
            client.blocking()
        except Exception as error:
            return {"seconds": times, "failed": {type(error).__name__: 1}}
        times.append(time.perf_counter() - began)
    return {"seconds": times, "failed": {}}


def memory(client: Client, documents: list[str]) -> dict[str, Any]:
    """Measure the most memory that one call takes, the texts included, as a multiple of the texts."""
    size = sum(sys.getsizeof(text) for text in documents)
    assert client.blocking is not None
    tracemalloc.start()
    client.blocking()
    return {"times": 1 + tracemalloc.get_traced_memory()[1] / size}


def soak(client: Client, count: int) -> dict[str, Any]:
    """Make many calls, 50 at once, and see what stays."""
    call = client.awaiting
    assert call is not None

    async def worker(share: int) -> None:
        for _ in range(share):
            await call()

    async def main() -> list[float]:
        sizes: list[float] = []
        for _ in range(10):
            await asyncio.gather(*(worker(count // 500) for _ in range(50)))
            sizes.append(_resident())
        return sizes

    sizes = asyncio.run(main())
    return {"megabytes": sizes, "sockets": len([fd for fd in os.listdir("/proc/self/fd") if _is_socket(fd)])}


def _resident() -> float:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 2**20


def _is_socket(fd: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
    except OSError:
        return False


def bulk(url: str, documents: int, workers: int) -> dict[str, Any]:
    """Rerank rows with actors on Ray, eight requests of each in flight; measured once all of them work."""
    from hosted_rerank.bulk import Job, run_job
    from hosted_rerank.bulk.on_ray import RayEngine, ray

    each, parts = 80, 15
    texts_of_a_row = texts(documents, 200)
    seen: list[tuple[float, int]] = []
    os.environ["FIREWORKS_API_KEY"] = "k"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl"
        row = {"query": "Which animal sleeps through the winter?", "documents": texts_of_a_row}
        rows.write_text((json.dumps(row) + "\n") * (each * parts * workers))
        settings = {"base_url": url}
        job = Job(
            input=str(rows),
            output=str(Path(folder) / "out"),
            concurrency=8,
            part_rows=each,
            settings=settings,
        )
        run_job(job, engine=RayEngine(workers), on_progress=lambda now: seen.append((time.monotonic(), now.rows)))
    ray.shutdown()
    (begun, first), (ended, last) = next(now for now in seen if now[1] >= each * workers), seen[-1]
    return {"rate": (last - first) / (ended - begun)}


def construct() -> dict[str, Any]:
    """Measure how long a reranker takes to make, and what importing the package costs."""
    from hosted_rerank import Reranker

    Reranker("fireworks", api_key="k")
    began = time.perf_counter()
    for _ in range(1000):
        Reranker("fireworks", api_key="k")
    made = (time.perf_counter() - began) / 1000

    def run(code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        subprocess.run([sys.executable, "-c", code], check=True)
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before

    bare = min(run("pass") for _ in range(9))
    loaded = min(run("import hosted_rerank") for _ in range(9))
    return {"construct": made, "import": loaded - bare}


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("work")
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("url")
    parser.add_argument("--documents", type=int, default=10)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--top-n", type=int, default=10)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--waves", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--nofile", type=int, help="the most file descriptors (ulimit -n)")
    parser.add_argument("--settings", type=json.loads, default={})
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    if asked.work == "construct":
        print(json.dumps(construct()))
        return
    if asked.work == "bulk":
        print(json.dumps(bulk(asked.url, asked.documents, asked.workers)))
        return
    if asked.work == "embedded":
        print(json.dumps(embedded(asked.documents, asked.size)))
        return
    if asked.nofile:
        resource.setrlimit(resource.RLIMIT_NOFILE, (asked.nofile, asked.nofile))
    documents = texts(asked.documents, asked.size)
    client = make(asked.client, asked.url, documents, asked.top_n or None, **asked.settings)
    works: dict[str, Callable[[], dict[str, Any]]] = {
        "instructions": lambda: instructions(client, asked.count, awaiting=False),
        "awaiting-instructions": lambda: instructions(client, asked.count, awaiting=True),
        "storm": lambda: storm(client, asked.count, asked.waves),
        "threads": lambda: threads(client, asked.count, asked.waves),
        "calls": lambda: calls(client, asked.count, asked.pause),
        "memory": lambda: memory(client, documents),
        "soak": lambda: soak(client, asked.count),
    }
    print(json.dumps(works[asked.work]()), flush=True)


if __name__ == "__main__":
    main()
