"""Everybody side by side, in one run: `make bench`, or `python -m benchmarks [WORK ...] [--quick]`.

Each measurement is a client in a process of its own against a stub in another. CPU is judged in user-space
instructions, which callgrind counts and which repeat to 1 or 2 %; everything else as ratios within the run. The results
go to `benchmarks/results/`: `results.json`, `table.md`, plots. What falls short of its goal is printed, and marked.
"""

import argparse
import json
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.clients import CLIENTS, ON_AIOHTTP, OURS

RESULTS = Path(__file__).parent / "results"
PEERS = tuple(name for name in CLIENTS if name not in ("floor", "httpx", "aiohttp", *OURS))
PACKAGES = (
    *("hosted-rerank", "httpx", "aiohttp", "orjson", "langchain-core", "llama-index-core", "langchain-fireworks"),
    *("langchain-cohere", "langchain-voyageai", "langchain-nvidia-ai-endpoints", "langchain-community", "litellm"),
    *("llama-index-postprocessor-cohere-rerank", "llama-index-postprocessor-jinaai-rerank"),
)


@dataclass
class Finding:
    """One figure."""

    group: str
    """What was run for it."""
    work: str
    who: str
    says: str
    value: float
    goal: float | None = None
    """What it should not exceed; `None` where it only stands beside others."""
    at_least: bool = False
    """Whether the goal is a floor instead."""

    @property
    def holds(self) -> bool:
        """Whether the goal is reached."""
        return self.goal is None or (self.value >= self.goal if self.at_least else self.value <= self.goal)


FOUND: list[Finding] = []
RUNNING = [""]
"""What is run."""


def found(work: str, who: str, says: str, value: float, goal: float | None = None, *, at_least: bool = False) -> None:
    """Take note of a figure."""
    finding = Finding(RUNNING[0], work, who, says, value, goal, at_least)
    FOUND.append(finding)
    mark = "" if finding.holds else "   FALLS SHORT"
    bound = "" if goal is None else f"  (goal: {'at least' if at_least else 'at most'} {goal:g})"
    print(f"{work:32} {who:22} {value:10.3g} {says}{bound}{mark}", flush=True)


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


def instructions(quick: bool) -> None:
    """Count what one blocking call takes, against plain httpx and against peers."""
    if shutil.which("valgrind") is None:
        print("instructions: valgrind is not installed", file=sys.stderr)
        return
    goals = {"langchain": {10: 1.5, 100: 1.5, 1000: 1.4}}
    with stub() as url:
        for documents in (10, 100) if quick else (10, 100, 1000):
            left_out = ("aiohttp", "langchain on httpx-aiohttp")  # they differ only where one awaits
            counts = {who: count_instructions(who, url, documents, 10) for who in CLIENTS if who not in left_out}
            plain, ours = counts["httpx"], counts["langchain"]
            assert plain is not None
            assert ours is not None
            work = f"instructions, {documents} documents"
            for who, count in counts.items():
                if count is None:
                    continue
                found(work, who, "million instructions a call", count)
                if who in goals:
                    found(work, who, "times plain httpx", count / plain, goals[who][documents])
                elif who in PEERS:
                    found(work, who, "times ours", count / ours, 1.0, at_least=True)
        if not quick:
            ours, theirs = (count_instructions(who, url, 1000, 0) for who in ("langchain", "langchain-fireworks"))
            if ours and theirs:
                found("instructions, 1000, all returned", "langchain", "million instructions a call", ours)
                found(
                    "instructions, 1000, all returned",
                    "langchain-fireworks",
                    "times ours",
                    theirs / ours,
                    2.0,
                    at_least=True,
                )
        awaiting = {who: count_instructions(who, url, 10, 10, awaiting=True) for who in CLIENTS}
        for who, count in awaiting.items():
            if count is not None:
                found("instructions, awaiting, 10", who, "million instructions a call", count)
        ours, plain, fast = (awaiting[who] for who in ("langchain", "httpx", "langchain on httpx-aiohttp"))
        peers = [count for who, count in awaiting.items() if count is not None and who in PEERS]
        if ours and plain:
            found("instructions, awaiting, 10", "langchain", "times plain httpx", ours / plain, 1.4)
        if fast and peers:
            found(
                "instructions, awaiting, 10",
                "langchain on httpx-aiohttp",
                "times the best peer",
                fast / min(peers),
                1.0,
            )


def _counts(url: str) -> dict[str, float]:
    counts: dict[str, float] = httpx.post(f"{url}/counts").json()
    return counts


def storms(quick: bool) -> None:
    """500 calls at once, awaiting, against a server that takes 100 ms."""
    work, walls, firsts = "500 at once, awaiting", dict[str, list[float]](), dict[str, float]()
    most, failed, cpu = dict[str, float](), dict[str, int](), dict[str, list[float]]()
    beside = ("floor", "aiohttp", *OURS)
    with stub(latency=0.1) as url:
        for who in (
            *beside * (1 if quick else 3),
            "httpx",
            *(() if quick else PEERS),
        ):  # in turn: the machine's pace changes
            _counts(url)
            result = measure("storm", who, url, "--count=500", f"--waves={6 if who in beside else 2}")
            if result is None:
                continue
            first, *later = result["seconds"]
            walls.setdefault(who, []).extend(later)
            firsts.setdefault(who, first)
            cpu.setdefault(who, []).append(result["cpu"])
            most[who] = max(most.get(who, 0.0), _counts(url)["most"])
            failed[who] = failed.get(who, 0) + sum(result["failed"].values())
    for who in OURS:
        found(work, who, "connections for each call in flight", most[who] / 500, 1.05)
        found(work, who, "calls failed", failed[who], 0)
    wall = {who: median(times) for who, times in walls.items()}
    for who, seconds in wall.items():
        found(work, who, "s a wave", seconds)
        found(work, who, "s of the first wave", firsts[who])
        found(work, who, "CPU s a wave", median(cpu[who]))
    if not quick:
        peers = [wall[who] for who in PEERS if who in wall and who not in ON_AIOHTTP]
        fast = [wall[who] for who in PEERS if who in wall and who in ON_AIOHTTP]
        theirs = median(cpu["langchain-fireworks"])
        found(work, "langchain", "times the CPU of langchain-fireworks", median(cpu["langchain"]) / theirs, 0.35)
        found(work, "langchain", "times the wall time of the best peer on httpx", wall["langchain"] / min(peers), 1.0)
        found(work, "langchain", "times the wall time of the best peer on aiohttp", wall["langchain"] / min(fast), 1.2)
        own = wall["langchain on httpx-aiohttp"]
        found(work, "langchain on httpx-aiohttp", "times the wall time of the best peer", own / min(*peers, *fast), 1.0)
    work, ideal = "500 at once, from 64 threads", 500 / 64 * 0.1
    with stub(latency=0.1) as url:
        for who in ("httpx", *OURS, *(() if quick else PEERS)):
            result = measure("threads", who, url, "--count=500", f"--waves={1 if who in PEERS else 3}")
            if result is not None:
                goal = 1.3 if who in ("core", "langchain") else None
                found(work, who, "times the ideal", median(result["seconds"]) / ideal, goal)


def far(quick: bool) -> None:
    """One call every 6 s, over TLS, 50 ms away."""
    import trustme

    with tempfile.TemporaryDirectory() as folder:
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        pem, trusted = f"{folder}/server.pem", f"{folder}/ca.pem"
        issued.private_key_and_cert_chain_pem.write_to_path(pem)
        authority.cert_pem.write_to_path(trusted)
        with stub(latency=0.02, round_trip=0.05, tls=pem) as url:
            for who in ("httpx", "core", "langchain", *(() if quick else ("langchain-fireworks", "litellm"))):
                env = {"SSL_CERT_FILE": trusted, "REQUESTS_CA_BUNDLE": trusted}
                result = measure("calls", who, url, "--count=4", "--pause=6", env=env)
                if result is not None and len(result["seconds"]) > 1:
                    times = median(result["seconds"][1:]) / 0.07
                    found(
                        "TLS, 50 ms away, every 6 s",
                        who,
                        "times round trip + server",
                        times,
                        1.1 if who in OURS else None,
                    )


def split(quick: bool) -> None:
    """10,000 documents, 100 a request, 50 ms a request."""
    settings = '{"batch_size": 100, "max_concurrency": 100}'
    with stub(latency=0.05, max_documents=100) as url:
        for who in ("core", "langchain", *(() if quick else PEERS)):
            own = [f"--settings={settings}"] if who in OURS else []
            result = measure("calls", who, url, "--documents=10000", "--count=4", *own)
            if result is None:
                continue
            if result["failed"]:
                found("10,000 documents", who, f"calls failed: {', '.join(result['failed'])}", 1)
            else:
                first, *later = result["seconds"]
                found("10,000 documents", who, "times one request", median(later) / 0.05, 4.0 if who in OURS else None)
                found("10,000 documents", who, "times one request, first call", first / 0.05)


def limits(quick: bool) -> None:
    """Many calls at once, more than are allowed."""
    tries = [(300, 20.0, False), (300, 50.0, False), (300, 200.0, False), (1500, 200.0, False), (1500, 50.0, True)]
    tries = tries[1:3] if quick else [*tries, (1500, 20.0, False), (1500, 50.0, False)]
    for count, rate, growing in tries:
        work = f"{count} calls at {rate:g}/s{', growing' if growing else ''}"
        for who in ("langchain", *(PEERS if count == 300 and rate == 50 and not quick else ())):
            with stub(latency=0.1, rate=rate, **({"growing": True} if growing else {})) as url:
                result = measure("storm", who, url, f"--count={count}")
                if result is None:
                    continue
                counts, goal = _counts(url), who == "langchain"
                served = counts["answered"] / count
                found(work, who, "of the calls served", served, 1.0 if goal else None, at_least=True)
                speed = counts["answered"] / counts["allowed"]
                found(work, who, "of what was allowed", speed, 0.9 if goal else None, at_least=True)
                sent = (counts["answered"] + counts["refused"]) / max(1, counts["answered"])
                found(work, who, "requests an answer", sent, 1.1 if goal else None)


def footprint(quick: bool) -> None:
    """Memory, sockets, construction, import."""
    with stub() as url:
        for who in ("core", "langchain", "httpx", *(() if quick else ("langchain-fireworks", "langchain-cohere"))):
            own = ['--settings={"batch_size": 1000}'] if who in OURS else []
            result = measure("memory", who, url, "--documents=10000", "--size=4096", *own)
            if result is not None:
                found(
                    "10,000 documents of 4 KB",
                    who,
                    "times the texts, at most",
                    result["times"],
                    2.5 if who in OURS else None,
                )
        result = measure("soak", "langchain", url, f"--count={2000 if quick else 20000}")
        if result is not None:
            _, *later = result["megabytes"]
            found("20,000 reranks", "langchain", "times the memory of the first tenth", later[-1] / later[0], 1.05)
            found("20,000 reranks", "langchain", "sockets after it, 50 at once", result["sockets"], 50 * 1.05)
        result = measure("construct", "core", url)
        if result is not None:
            found("a reranker", "core", "ms to make", result["construct"] * 1000, 0.5)
            found("import hosted_rerank", "core", "ms CPU over bare Python", result["import"] * 1000, 20)


def bulk(quick: bool) -> None:
    """A job on Ray with more and more actors, each with eight requests under way, against a server that takes 100 ms."""
    rates = dict[int, float]()
    for workers in (1, 2) if quick else (1, 2, 4):
        with stub(latency=0.1) as url:
            result = measure("bulk", "core", url, "--documents=20", f"--workers={workers}")
        if result is None:
            continue
        rates[workers] = result["rate"]
        work = f"bulk on Ray, {workers} actor{'s' if workers > 1 else ''}"
        found(work, "core", "rows a second", rates[workers])
        if workers > 1:
            found(work, "core", "times one actor's", rates[workers] / rates[1], 0.9 * workers, at_least=True)


WORKS: dict[str, Callable[[bool], None]] = {
    "storms": storms,
    "split": split,
    "limits": limits,
    "footprint": footprint,
    "far": far,
    "bulk": bulk,
    "instructions": instructions,
}


def plots() -> None:
    """Draw what is worth seeing."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    def bars(name: str, title: str, chosen: Sequence[Finding], *, log: bool = False) -> None:
        if not chosen:
            return
        chosen = sorted(chosen, key=lambda finding: -finding.value)
        figure, axes = pyplot.subplots(figsize=(8, 0.35 * len(chosen) + 1.2), layout="constrained")
        hatches = ["//" if finding.who in OURS else "" for finding in chosen]
        colours = ["#2b6cb0" if finding.who in OURS else "#a0aec0" for finding in chosen]
        drawn = axes.barh([finding.who for finding in chosen], [finding.value for finding in chosen], color=colours)
        for bar, hatch in zip(drawn, hatches, strict=True):
            bar.set_hatch(hatch)
        axes.bar_label(drawn, [f"{finding.value:.3g}" for finding in chosen], padding=3)
        axes.set_title(title)
        axes.spines[["top", "right"]].set_visible(False)
        if log:
            axes.set_xscale("log")
        figure.savefig(RESULTS / f"{name}.svg", metadata={"Date": None})
        pyplot.close(figure)

    def of(work: str, says: str) -> list[Finding]:
        return [finding for finding in FOUND if finding.work == work and finding.says == says]

    million = "million instructions a call"
    bars(
        "instructions",
        "Million instructions of one blocking call, 100 documents",
        of("instructions, 100 documents", million),
    )
    bars(
        "storm",
        "Seconds for 500 awaiting calls at once, 100 ms server",
        of("500 at once, awaiting", "s a wave"),
        log=True,
    )
    bars(
        "limit",
        "Share of 300 calls at once that is served, 50/s allowed",
        of("300 calls at 50/s", "of the calls served"),
    )


def write() -> None:
    """Write the results, and what they were measured with."""
    versions: dict[str, str] = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    machine = {"python": platform.python_version(), "system": platform.system(), "cores": os.cpu_count()}
    RESULTS.mkdir(exist_ok=True)
    new = {finding.group for finding in FOUND}
    if (RESULTS / "results.json").exists():
        old = json.loads((RESULTS / "results.json").read_text())["findings"]
        FOUND.extend(Finding(**finding) for finding in old if finding["group"] not in new)
    FOUND.sort(key=lambda finding: list(WORKS).index(finding.group))
    results = {"machine": machine, "versions": versions, "findings": [asdict(finding) for finding in FOUND]}
    (RESULTS / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    lines = [f"Python {machine['python']}, {machine['system']}, {machine['cores']} shared cores. Versions: "]
    lines[0] += ", ".join(f"{name} {number}" for name, number in versions.items()) + "."
    lines += ["", "| work | who | figure | | goal |", "|---|---|---|---|---|"]
    for finding in FOUND:
        goal = "" if finding.goal is None else f"{'≥' if finding.at_least else '≤'} {finding.goal:g}"
        value = f"{finding.value:.3g}" if finding.holds else f"**{finding.value:.3g}**"
        figure = "inf" if math.isinf(finding.value) else value
        lines.append(f"| {finding.work} | {finding.who} | {figure} | {finding.says} | {goal} |")
    (RESULTS / "table.md").write_text("\n".join(lines) + "\n")
    plots()


def main() -> None:
    """Measure, and say what falls short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", nargs="*", help=f"of {', '.join(WORKS)}; the others' results stay")
    parser.add_argument("--quick", action="store_true", help="fewer peers and sizes; nothing is written")
    asked = parser.parse_args()
    for name in asked.work or WORKS:
        RUNNING[0] = name
        WORKS[name](asked.quick)
    if not asked.quick:
        write()
    short = [finding for finding in FOUND if not finding.holds]
    print(f"{len(FOUND)} figures, {len(short)} of them short of their goals")
    for finding in short:
        print(f"  {finding.work}, {finding.who}: {finding.value:.3g} {finding.says}, goal {finding.goal:g}")


if __name__ == "__main__":
    main()
