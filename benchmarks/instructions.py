"""Instructions of one call, against plain httpx and against peers."""

import shutil
import sys

from benchmarks.clients import CLIENTS
from benchmarks.findings import found
from benchmarks.peers import PEERS
from benchmarks.processes import count_instructions, stub


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
