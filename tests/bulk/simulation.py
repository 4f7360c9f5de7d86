"""A simulation of many workers at one limit: real `SharedRate`, simulated time, requests that cost nothing."""

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from hosted_rerank.bulk.shared_rate import SharedRate, UsageReport


@dataclass(frozen=True)
class SimulationResult:
    """The result of a simulation."""

    share: float
    """Of the rate that was allowed, after the first `warm` seconds."""
    refused: float
    """Share of all requests that were refused."""
    leases: int
    requests: int


def simulate(  # noqa: C901 - a world in one function
    workers: int, rate: float, seconds: float, *, latency: float = 0.3, batch: int = 32, warm: float = 20.0
) -> SimulationResult:
    """Let workers without end to their work ask a token bucket, through one shared rate."""
    now, ticks, chance = [0.0], count(), random.Random(1)
    shared_rate = SharedRate(lambda: now[0])
    events: list[tuple[float, int, Callable[[], None]]] = []
    tokens, counted, most = [rate], [0.0], rate
    answered: deque[float] = deque()
    sent, refused, leases = [0], [0], [0]
    reports: list[list[UsageReport]] = [[] for _ in range(workers)]
    under_way = [0] * workers
    asking = [False] * workers
    rests = [0.0] * workers

    def at(time: float, what: Callable[[], None]) -> None:
        heapq.heappush(events, (time, next(ticks), what))

    def ask(worker: int) -> None:
        asking[worker] = False
        room = batch - under_way[worker]
        if room <= 0:
            return
        leases[0] += 1
        reported, reports[worker] = reports[worker], []
        grant = shared_rate.lease(room, reported)
        for number, delay in grant.starts:
            under_way[worker] += 1
            at(now[0] + delay + 0.001, lambda number=number: send(worker, number))
        rests[worker] = now[0] + grant.poll_after
        if len(grant.starts) < room:
            ask_later(worker, grant.poll_after)

    def ask_later(worker: int, wait: float) -> None:
        if not asking[worker]:
            asking[worker] = True
            at(max(rests[worker], now[0] + wait) + 0.002, lambda: ask(worker))

    def send(worker: int, number: int) -> None:
        sent[0] += 1
        tokens[0] = min(most, tokens[0] + (now[0] - counted[0]) * rate)
        counted[0] = now[0]
        if tokens[0] >= 1:
            tokens[0] -= 1
            at(now[0] + latency * chance.uniform(0.8, 1.2), lambda: finish(worker, UsageReport(number, answered=True)))
        else:
            refused[0] += 1
            wait = max(1.0, float(-(-(1 - tokens[0]) // rate)))
            at(now[0] + 0.01, lambda: finish(worker, UsageReport(number, refused=True, retry_after=wait)))

    def finish(worker: int, report: UsageReport) -> None:
        under_way[worker] -= 1
        reports[worker].append(report)
        if report.answered:
            answered.append(now[0])
        else:
            rests[worker] = 0.0
        ask_later(worker, 0.0)

    for worker in range(workers):
        at(chance.uniform(0, 1), lambda worker=worker: ask(worker))
    while events and events[0][0] < seconds:
        now[0], _, what = heapq.heappop(events)
        what()
    late = sum(time > warm for time in answered)
    return SimulationResult(late / ((seconds - warm) * rate), refused[0] / sent[0], leases[0], sent[0])


if __name__ == "__main__":
    for workers, rate in ((4, 20), (4, 50), (4, 200), (100, 100), (1000, 100), (1000, 1000)):
        print(workers, rate, simulate(workers, rate, 60))
