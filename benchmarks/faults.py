"""Short and partial trouble: who is answered, after how long, with how many requests.

Our package has to answer at least as many calls as httpx with two retries, and as each peer.
"""

from typing import Any, NamedTuple

from benchmarks.findings import found
from benchmarks.processes import get_counts, measure, stub

RIVALS = ("httpx, two retries", "langchain-fireworks", "langchain-cohere", "langchain-voyageai")


class Trouble(NamedTuple):
    """Calls at once, and what the server does to them."""

    work: str
    calls: int
    server: dict[str, Any]
    ideal: float | None = None
    """Seconds in which the server could serve all; `None` where that says nothing."""
    nofile: int | None = None
    """The most file descriptors of the client."""


TROUBLES = (
    Trouble("20 calls, 20 resets", 20, {"fault": "reset", "first": 20}),
    Trouble("20 calls, 20 times 500", 20, {"fault": "500", "first": 20}),
    Trouble("20 calls, 20 times 503", 20, {"fault": "503", "first": 20}),
    Trouble("300 calls, 16 taken at once, else 503", 300, {"fault": "503", "capacity": 16}),
    Trouble("200 calls, 30 % by chance 500", 200, {"fault": "500", "share": 0.3}),
    Trouble("200 calls, 50/s, burst 10", 200, {"rate": 50, "burst": 10}, 3.8),
    Trouble("100 calls, 20/s, burst 10", 100, {"rate": 20, "burst": 10}, 4.5),
    Trouble("120 calls, 40/s, without Retry-After", 120, {"rate": 40, "burst": 10, "silent": True}, 2.75),
    Trouble("40 calls, 1/s, without Retry-After", 40, {"rate": 1, "burst": 1, "silent": True}),
    Trouble("15 calls, 20 a minute, burst 5", 15, {"rate": 20 / 60, "burst": 5, "silent": True}),
    Trouble("500 calls, 256 file descriptors", 500, {}, nofile=256),
)


def faults(quick: bool) -> None:
    """Compare who is answered in each trouble."""
    for trouble in TROUBLES[:6] if quick else TROUBLES:
        served = {who: _served(trouble, who) for who in ("langchain", *RIVALS[: 1 if quick else None])}
        best = max((share for who, share in served.items() if who != "langchain" and share is not None), default=0.0)
        found(trouble.work, "langchain", "of the calls served", served["langchain"] or 0.0, best, at_least=True)


def _served(trouble: Trouble, who: str) -> float | None:
    """Return the share of the calls that are served, and record what it took; `None` if the client cannot do it."""
    limit = [] if trouble.nofile is None else [f"--nofile={trouble.nofile}"]
    with stub(latency=0.1, **trouble.server) as url:
        get_counts(url)
        result = measure("storm", who, url, f"--count={trouble.calls}", *limit)
        counts = get_counts(url)
    if result is None:
        return None
    share = 1 - sum(result["failed"].values()) / trouble.calls
    if who != "langchain":
        found(trouble.work, who, "of the calls served", share)
    requests = counts["answered"] + counts["refused"] + counts["faults"]
    found(trouble.work, who, "requests an answer", requests / max(1, counts["answered"]))
    ours = who == "langchain" and trouble.ideal is not None
    goal = 1.4 * trouble.ideal + 0.5 if ours and trouble.ideal is not None else None
    found(trouble.work, who, "s", sum(result["seconds"]), goal)
    return share
