"""The effect of each constant of the adaptive rate, in simulated time."""

from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from hosted_rerank.limits.adaptive_rate import AdaptiveRate
from hosted_rerank.limits.rate_controller import Ticket
from hosted_rerank.limits.rate_settings import RATE_SETTINGS, RateSettings
from hosted_rerank.limits.retry import Quota

STEP = 0.01


def send(rate: AdaptiveRate, now: float) -> Ticket:
    ticket = Ticket()
    ticket.sent = now
    rate.on_sent(ticket, now)
    return ticket


def send_all(rate: AdaptiveRate, now: float) -> int:
    """Sends as many requests as are admitted, and returns their number."""
    count = 0
    while rate.wait(now) == 0:
        send(rate, now)
        count += 1
    return count


def succeed(rate: AdaptiveRate, count: int, now: float) -> None:
    for _ in range(count):
        rate.on_success(send(rate, now), now)


def throttle(rate: AdaptiveRate, now: float, retry_after: float | None = None, *, overloaded: bool = False) -> None:
    rate.on_throttled(send(rate, now), now, retry_after, overloaded=overloaded)


def learn(rate: AdaptiveRate) -> float:
    """Has the rate learned at 0 from 100 successes in the second before, and returns it: 95 a second."""
    succeed(rate, 100, -0.6)
    throttle(rate, 0.0)
    return rate.rate


def refuse(rate: AdaptiveRate, retry_after: float) -> float:
    """Has the learned rate refused at 100, although the API accepts as much, and returns the rate."""
    learn(rate)
    succeed(rate, round(100 * max(1.0, retry_after)), 99.4)
    throttle(rate, 100.0, retry_after)
    return rate.rate


def growth(rate: AdaptiveRate, now: float) -> float:
    """Returns the growth of the rate in one step, as a share of the rate per second."""
    before = rate.rate
    rate.wait(now)
    return (rate.rate / before - 1) / STEP


def growth_starts(rate: AdaptiveRate, now: float) -> float:
    """Returns the seconds from `now` until the rate grows."""
    steps = 1
    while growth(rate, now + steps * STEP) == 0:
        steps += 1
    return steps * STEP


def measure_initial_burst(rate: AdaptiveRate) -> float:
    return send_all(rate, 0.0)


def fill(rate: AdaptiveRate) -> int:
    """Sends requests one by one until the first window is full, and returns their number."""
    return sum(send_all(rate, step / 1000) for step in range(300))


def measure_initial_window(rate: AdaptiveRate) -> float:
    return fill(rate)


def measure_initial_interval(rate: AdaptiveRate) -> float:
    send_all(rate, 0.0)
    return rate.wait(0.0)


def measure_window_growth(rate: AdaptiveRate) -> float:
    """A round of 13 requests in flight for a short time lets five times as many be in flight."""
    tickets = [send(rate, 0.0) for _ in range(13)]
    for ticket in tickets:
        rate.on_success(ticket, 0.01)
    return sum(send_all(rate, 0.01 + step / 1000) for step in range(100)) / 13


def measure_estimate_excess(rate: AdaptiveRate) -> float:
    """A hundred requests at once are accepted before the first one is throttled."""
    succeed(rate, 100, 0.0)
    throttle(rate, 0.0, 1.0)
    return rate.rate / 0.95 - 100


def measure_burst_interval(rate: AdaptiveRate) -> float:
    """Half of it is the shortest sleep."""
    throttle(rate, 0.0, 10.0)
    return 2 * rate.wait(10.0 - 1e-6)


def measure_response_timeout(rate: AdaptiveRate) -> float:
    fill(rate)
    sent = (RATE_SETTINGS.initial_window - RATE_SETTINGS.initial_burst) * RATE_SETTINGS.initial_interval
    return 0.299 + rate.wait(0.299) if sent else 0.0


def measure_measurement_window(rate: AdaptiveRate) -> float:
    return 0.95 * 100 / learn(rate)


def measure_safety_factor(rate: AdaptiveRate) -> float:
    return learn(rate) / 100


def measure_initial_growth(rate: AdaptiveRate) -> float:
    learn(rate)
    return growth(rate, STEP)


def measure_max_growth_pause(rate: AdaptiveRate) -> float:
    refuse(rate, 60.0)
    return growth_starts(rate, 160.0)


def measure_tolerated_share(rate: AdaptiveRate) -> float:
    """Each throttled request in a row adds a twentieth of the rest to the share; the fourth one makes it 0.185."""
    before = learn(rate)
    succeed(rate, 500, 50.0)
    count = 0
    while rate.rate == before:
        throttle(rate, 100.0 + count)
        count += 1
    return 1 - 0.95**count


def measure_max_hold(rate: AdaptiveRate) -> float:
    rate.on_success(send(rate, 0.0), 0.0, Quota(0, 3600.0))
    return rate.wait(0.0)


MEASURED: dict[str, tuple[Callable[[AdaptiveRate], float], float]] = {
    "estimate_excess": (measure_estimate_excess, 25.0),
    "window_growth": (measure_window_growth, 5.0),
    "initial_interval": (measure_initial_interval, 0.004),
    "initial_burst": (measure_initial_burst, 4),
    "initial_window": (measure_initial_window, 13),
    "burst_interval": (measure_burst_interval, 0.005),
    "response_timeout": (measure_response_timeout, 0.35),
    "measurement_window": (measure_measurement_window, 1.0),
    "safety_factor": (measure_safety_factor, 0.95),
    "initial_growth": (measure_initial_growth, 0.1),
    "max_growth_pause": (measure_max_growth_pause, 30.0),
    "tolerated_share": (measure_tolerated_share, 0.185),
    "max_hold": (measure_max_hold, 60.0),
}
"""The effect of each setting, measured from outside, and the expected value."""


UNMEASURED = {
    "burst_share",
    "estimate_decrease",
    "estimate_factor",
    "estimate_weight",
    "growth_delay",
    "growth_doubling",
    "growth_pause",
    "max_growth",
    "max_spread",
    "max_window",
    "max_window_growth",
    "min_growth",
    "rate_decrease",
    "recovery_time",
    "spread",
    "typical_latency",
    "window_decrease",
}
"""Settings whose effect only the simulations show, so far."""


def test_every_setting_is_known() -> None:
    """A new setting is measured here, or is said not to be."""
    assert MEASURED.keys() | UNMEASURED == {field.name for field in fields(RateSettings)}
    assert not MEASURED.keys() & UNMEASURED


@pytest.mark.parametrize("name", MEASURED)
def test_setting(name: str) -> None:
    """Each constant does what it says; half or twice its value does not."""
    measure, expected = MEASURED[name]
    assert measure(AdaptiveRate()) == pytest.approx(expected, rel=0.05)
    for factor in (0.5, 2):
        value = type(getattr(RATE_SETTINGS, name))(factor * getattr(RATE_SETTINGS, name))
        changed = measure(AdaptiveRate(replace(RATE_SETTINGS, **{name: value})))
        assert changed != pytest.approx(expected, rel=0.1)
