"""The measurements beside instructions: storms, distance, splitting, rate limits, memory, bulk jobs."""

import tempfile
from collections.abc import Callable
from statistics import median

from benchmarks.clients import OURS
from benchmarks.faults import faults
from benchmarks.findings import found
from benchmarks.instructions import instructions
from benchmarks.peers import ON_AIOHTTP, PEERS
from benchmarks.processes import get_counts, measure, stub


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
            get_counts(url)
            result = measure("storm", who, url, "--count=500", f"--waves={6 if who in beside else 2}")
            if result is None:
                continue
            first, *later = result["seconds"]
            walls.setdefault(who, []).extend(later)
            firsts.setdefault(who, first)
            cpu.setdefault(who, []).append(result["cpu"])
            most[who] = max(most.get(who, 0.0), get_counts(url)["most"])
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
                counts, goal = get_counts(url), who == "langchain"
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
    """A job on Ray with more and more actors, each with eight requests in flight, against a server that takes 100 ms."""
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


def embedded(quick: bool) -> None:
    """The embedded model on 100 documents of 38 words, and of 90, against the best way to run onnxruntime."""
    for words in (38,) if quick else (38, 90):
        result = measure("embedded", "core", "", "--documents=100", f"--size={words}")
        if result is None:
            continue
        (cpu, wall), work = result.pop("ours"), f"embedded model, {words} words"
        for says, mine, place in (("CPU", cpu, 0), ("wall", wall, 1)):
            best = min(result, key=lambda way: result[way][place])
            found(work, "onnxruntime", f"s {says}, {best}", result[best][place])
            found(work, "core", f"s {says}", mine)
            found(work, "core", f"times the {says} of onnxruntime at its best", mine / result[best][place], 1.2)


WORKS: dict[str, Callable[[bool], None]] = {
    "storms": storms,
    "split": split,
    "limits": limits,
    "faults": faults,
    "footprint": footprint,
    "far": far,
    "bulk": bulk,
    "embedded": embedded,
    "instructions": instructions,
}
