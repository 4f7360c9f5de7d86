"""Small limits, met by many calls at once, in simulated time."""

import math

import pytest

from hosted_rerank.limits.adaptive_rate import AdaptiveRate
from hosted_rerank.limits.rate_controller import Ticket
from hosted_rerank.limits.request_queue import RequestQueue
from hosted_rerank.limits.retry import Quota
from tests.core.rate_simulation import Bucket, Caller, Latency, Simulation


def run(requests: int, bucket: Bucket, latency: Latency) -> Caller:
    caller = Caller(RequestQueue(AdaptiveRate()), requests)
    Simulation(bucket, [caller], latency, until=300).run()
    assert caller.served == requests
    return caller


@pytest.mark.parametrize("refused_after", [0.01, 0.05, 0.15, 0.3])
@pytest.mark.parametrize(("requests", "rate"), [(200, 50), (100, 20), (120, 40)])
def test_small_burst(requests: int, rate: float, refused_after: float) -> None:
    """All are served in 1.4 times of what is ideal and half a second, and at most 16 % are refused.

    Where refusals are slower than responses, two of them delay all by that time again.
    """
    caller = run(requests, Bucket(rate, 10), Latency(0.1, refused_after))
    late = 3.3 * refused_after if refused_after > 0.1 else 0.0
    assert caller.finished <= 1.4 * (requests - 10) / rate + 0.5 + late
    assert caller.refused <= 0.16 * requests


@pytest.mark.parametrize("refused_after", [0.01, 0.3])
def test_small_burst_without_retry_after(refused_after: float) -> None:
    """A rate of which the first estimate is far too low is found as fast."""
    caller = run(120, Bucket(40, 10, retry_after=False), Latency(0.1, refused_after))
    assert caller.finished <= 1.4 * (120 - 10) / 40 + 0.5
    assert caller.refused <= 0.16 * 120


@pytest.mark.parametrize(("requests", "rate", "burst"), [(40, 1, 1), (15, 1 / 3, 5)])
def test_limit_without_retry_after(requests: int, rate: float, burst: float) -> None:
    """All are served near the rate, although no refusal says how long to wait, with some refusals for each."""
    caller = run(requests, Bucket(rate, burst, retry_after=False), Latency(0.1, 0.01))
    assert caller.finished <= 1.4 * (requests - burst) / rate + 0.5
    assert caller.refused <= 2.5 * requests


@pytest.mark.parametrize(("requests", "rate", "burst"), [(40, 1, 1), (15, 1 / 3, 5), (120, 5, 50), (120, 1, 50)])
def test_rate_limit_of_503s(requests: int, rate: float, burst: float) -> None:
    """A limit that refuses with 503 and no wait, as nginx does, is met as one that refuses with 429."""
    caller = run(requests, Bucket(rate, burst, retry_after=False, overloaded=True), Latency(0.02, 0.005))
    assert caller.finished <= 1.4 * (requests - burst) / rate + 0.5
    assert caller.refused <= 5 * requests


@pytest.mark.parametrize("overloaded", [False, True], ids=["429", "503"])
@pytest.mark.parametrize("retry_after", [False, True])
@pytest.mark.parametrize(("requests", "seconds"), [(30, 12), (200, 12), (600, 12), (100, 0)])
@pytest.mark.parametrize("down", [1, 4, 20])
def test_recovery(requests: int, seconds: float, down: float, *, retry_after: bool, overloaded: bool) -> None:
    """After a time in which a service refused everything, all calls are soon answered."""
    queue = RequestQueue(AdaptiveRate())
    callers = [Caller(queue, 1, number * seconds / requests) for number in range(requests)]
    bucket = Bucket(1e9, 1e9, retry_after, overloaded, down=(0.5, 0.5 + down) if seconds else (0.0, down))
    Simulation(bucket, callers, until=300).run()
    assert all(caller.served for caller in callers)
    assert max(caller.finished for caller in callers) <= max(seconds, 0.5 + 2 * down) + 25


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
def test_503_by_chance(share: float) -> None:
    """Refusals that do not depend on the rate delay the others little."""
    caller = run(120, Bucket(1e9, 1e9, retry_after=False, overloaded=True, chance=share), Latency(0.1, 0.02))
    assert caller.finished <= 30


@pytest.mark.parametrize("latency", [0.05, 0.1, 0.2, 0.3, 0.5])
def test_service_without_a_limit(latency: float) -> None:
    """500 calls at once are admitted in a few round trips."""
    caller = run(500, Bucket(1e9, 1e9), Latency(latency, latency))
    assert caller.finished <= 4 * latency + 0.1


def share_ratio(burst: float, begins: float, seed: int, *, retry_after: bool) -> float:
    """Two callers at 20/s, of which one begins later: the ratio of what they are served in the 20 s after that."""
    callers = [Caller(RequestQueue(AdaptiveRate()), 600, at) for at in (0.0, begins)]
    simulation = Simulation(Bucket(20, burst, retry_after), callers, seed=seed, until=begins)
    simulation.run()
    before = callers[0].served
    simulation.until = begins + 20
    simulation.resume()
    served = sorted((callers[0].served - before, callers[1].served))
    return served[1] / max(1, served[0])


@pytest.mark.parametrize(("refusal", "most", "worst"), [("Retry-After", 1.5, 1.7), ("nothing", 1.6, 2.2)])
def test_two_processes_share_a_limit(refusal: str, most: float, worst: float) -> None:
    """Two processes with one key get similar shares, whatever a refusal says: within 1.5 times in nearly all runs."""
    cases = [(burst, begins, seed) for burst in (5, 10, 20) for begins in (0, 2, 5, 10) for seed in (1, 2, 3)]
    ratios = sorted(share_ratio(*case, retry_after=refusal == "Retry-After") for case in cases)
    assert ratios[len(ratios) * 9 // 10] <= most
    assert ratios[-1] <= worst


def test_estimate_is_what_a_request_waits() -> None:
    """A used-up quota and a scarce rate count in the estimate as in the wait."""
    rate = AdaptiveRate()
    ticket = Ticket()
    rate.on_sent(ticket, 0.0)
    rate.on_success(ticket, 0.1, Quota(0, 60.0))
    assert rate.wait(0.1) == rate.estimated_wait(0.1, 0) == pytest.approx(60.0)
    caller = run(100, Bucket(20, 10), Latency())
    now, learned = caller.finished, caller.queue.controller
    waits = [learned.estimated_wait(now, ahead) for ahead in (0, 100, 200)]
    assert waits[2] - waits[1] == pytest.approx(100 / learned.rate)
    assert waits[0] < math.inf


def test_hold_is_bounded_and_one_request_tries() -> None:
    """After a minute of a longer hold, one request is sent, and the others wait for its response."""
    queue = RequestQueue(AdaptiveRate())
    refused, other = Ticket(), Ticket()
    assert queue.admit(refused, 0.0) == 0
    queue.on_throttled(refused, 0.1, 86400.0, overloaded=True)
    assert queue.admit(refused, 0.2) == pytest.approx(59.9)
    assert queue.admit(refused, 60.2) == 0
    assert queue.admit(other, 60.2) == math.inf
    queue.on_success(refused, 60.3)
    assert queue.admit(other, 60.3) == 0
