"""The processes of a measurement: the stub that answers, and the client that is measured."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx


@contextmanager
def stub(**settings: Any) -> Generator[str]:
    """A server, and its address."""
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items() if value is not True]
    options += [f"--{name.replace('_', '-')}" for name, value in settings.items() if value is True]
    command = [sys.executable, "-m", "benchmarks.stub", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        try:
            yield f"{'https' if 'tls' in settings else 'http'}://127.0.0.1:{port}"
        finally:
            server.kill()


def measure(
    work: str, who: str, url: str, *options: str, env: Mapping[str, str] | None = None
) -> dict[str, Any] | None:
    """Run one measurement; `None` if the client cannot do it."""
    command = [sys.executable, "-m", "benchmarks.measure", work, who, url, *options]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=600, env={**os.environ, **(env or {})}, check=False
        )
    except subprocess.TimeoutExpired:
        print(f"{work} {who}: not done after 600 s", file=sys.stderr)
        return None
    if done.returncode:
        print(f"{work} {who}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def count_instructions(who: str, url: str, documents: int, top_n: int, *, awaiting: bool = False) -> float | None:
    """Return the millions of instructions of one call."""
    calls = max(10, 200 // max(1, documents // 10))
    work = "awaiting-instructions" if awaiting else "instructions"
    command = [
        *("valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null"),
        *(sys.executable, "-m", "benchmarks.measure", work, who, url),
        *(f"--documents={documents}", f"--top-n={top_n}", f"--count={calls}"),
    ]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env={**os.environ, "PYTHONHASHSEED": "0"}, **pipes) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        for state, line in (("on", "ready"), ("off", "done")):
            while (said := client.stdout.readline()) and said.strip() != line:
                pass
            if not said:
                break
            subprocess.run(["callgrind_control", "-i", state, str(client.pid)], capture_output=True, check=False)
            client.stdin.write("\n")
            client.stdin.flush()
        _, log = client.communicate(timeout=600)
    collected = re.search(r"Collected : (\d+)", log)
    return int(collected[1]) / calls / 1e6 if collected and client.returncode == 0 else None


def get_counts(url: str) -> dict[str, float]:
    counts: dict[str, float] = httpx.post(f"{url}/counts").json()
    return counts
