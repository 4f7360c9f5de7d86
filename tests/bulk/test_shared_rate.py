"""One limit for all workers: close to it, hardly over it, while workers come and go. Simulated time."""

import pytest

from hosted_rerank.bulk.shared_rate import LEASE_TIMEOUT, SharedRate, UsageReport
from tests.bulk.simulation import simulate


@pytest.mark.parametrize("rate", [20, 50, 200])
def test_four_workers(rate: float) -> None:
    """They use 90 % of the limit or more, at most 5 % of the requests are refused, the start included."""
    found = simulate(4, rate, 60)
    assert found.share >= 0.9
    assert found.refused <= 0.05


@pytest.mark.parametrize(("rate", "seconds"), [(100, 60), pytest.param(1000, 40, marks=pytest.mark.slow)])
def test_a_thousand_workers(rate: float, seconds: float) -> None:
    """`docs/bulk.md` counts on this: 1,000 workers at one limit; the actor is asked less than 2,500 times a second."""
    found = simulate(1000, rate, seconds)
    assert found.share >= 0.9
    assert found.refused <= 0.06
    assert found.leases / seconds < 2500


def test_it_is_asked_per_batch() -> None:
    """Once the rate is known, a worker asks some ten times a second, however many requests it makes."""
    found = simulate(4, 200, 60)
    assert found.requests > 10_000
    assert found.leases < 60 * 4 * 12


def test_grants_of_a_lost_worker_come_back() -> None:
    """The grants of a killed worker are taken back after a while; else the window would fill up for good."""
    now = [0.0]
    shared_rate = SharedRate(lambda: now[0])
    granted = shared_rate.lease(10_000, [])
    assert len(granted.starts) > 0
    assert not shared_rate.lease(1, []).starts
    now[0] = LEASE_TIMEOUT + 1
    assert shared_rate.lease(1, []).starts
    assert not shared_rate.lease(
        0, [UsageReport(granted.starts[0][0], answered=True)]
    ).starts  # its news comes too late, and is no matter
