"""A process that may open few files, as on macOS, with more calls at once than that."""

import subprocess
import sys

import pytest

from tests.bounded import patience
from tests.hostile import HostileServer, ranking

pytest.importorskip("resource", reason="Windows has no limit of open files")

PROGRAM = """
import asyncio, resource, sys, threading
resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96))
from hosted_rerank import Provider, Reranker
way, url = sys.argv[1:]
reranker = Reranker(Provider(name="acme", url=url), api_key="sk-test-1234", timeout=30.0)
served = []
async def main():
    served.extend(await asyncio.gather(*(reranker.arerank("q", ["a", "b", "c"]) for _ in range(200))))
if way == "awaiting":
    asyncio.run(main())
else:
    call = lambda: served.append(reranker.rerank("q", ["a", "b", "c"]))
    threads = [threading.Thread(target=call) for _ in range(200)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
print(len(served))
"""


def test_more_calls_than_open_files(server: HostileServer, way: str) -> None:
    """All of 200 calls at once are served by a process that may open 96 files."""
    server.play(ranking(0.1, 0.3, 0.2, after=0.02))
    command = [sys.executable, "-c", PROGRAM, way, f"{server.url}/v1/rerank"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=patience(60))
    assert ended.stdout.strip() == "200", ended.stderr[-2000:]
