"""A server that counts what it is asked, and drivers that are ended midway."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from time import sleep

import orjson

from tests.bounded import patience
from tests.hostile import eventually


class CountingServer:
    """Answers each request after a pause, with scores that depend on the texts alone, and counts the queries."""

    def __init__(self, pause: float) -> None:
        self.pause, self.queries, self._lock = pause, Counter[str](), Lock()
        self.most_at_once = self._at_once = 0
        counting = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with counting._lock:
                    counting.queries[body["query"]] += 1
                    counting._at_once += 1
                    counting.most_at_once = max(counting.most_at_once, counting._at_once)
                sleep(counting.pause)
                with counting._lock:
                    counting._at_once -= 1
                results = [
                    {"index": index, "relevance_score": sum(text.encode()) % 997 / 997}
                    for index, text in enumerate(body["documents"])
                ]
                content = orjson.dumps({"results": results, "usage": {"total_tokens": len(results)}})
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
                self.wfile.write(head.encode() + content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def total(self) -> int:
        return self.queries.total()

    @property
    def repeated(self) -> int:
        """How many requests were for a query that had been asked before."""
        return self.total - len(self.queries)


@contextmanager
def counting(pause: float = 0.02) -> Iterator[CountingServer]:
    server = CountingServer(pause)
    thread = Thread(target=server._server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server._server.shutdown()
        server._server.server_close()
        thread.join()


def command(source: Path | str, output: Path | str, server: CountingServer, *more: str) -> list[str]:
    options = ["--provider", "vllm", "--model", "m", "--base-url", server.url, "--concurrency", "8", *more]
    return [sys.executable, "-m", "hosted_rerank.cli", "bulk", str(source), str(output), *options]


def end_midway(
    line: list[str], server: CountingServer, how: signal.Signals, times: int, rows: int, check: Callable[[], None]
) -> list[tuple[int, str]]:
    """Start a driver some times, and end it each time after some more requests; the statuses and what it said."""
    ends: list[tuple[int, str]] = []
    for _ in range(times):
        before = server.total
        with subprocess.Popen([*line, "--resume"], stderr=subprocess.PIPE, text=True) as driver:
            assert eventually(lambda: server.total >= before + rows, 60)  # noqa: B023 - it is called at once
            driver.send_signal(how)
            _, said = driver.communicate(timeout=patience(60))
            ends.append((driver.returncode, said))
        check()
    return ends
