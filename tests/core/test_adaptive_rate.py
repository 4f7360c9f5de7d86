"""The effect of each constant of the adaptive rate, in simulated time."""

from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from hosted_rerank.limits.adaptive_rate import AdaptiveRate
from hosted_rerank.limits.concurrency_window import ConcurrencyWindow
from hosted_rerank.limits.learned_limit import LearnedLimit
from hosted_rerank.limits.rate_controller import Ticket
from hosted_rerank.limits.rate_settings import RATE_SETTINGS, RateSettings
from hosted_rerank.limits.retry import Quota


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
    """Has the rate learned at 0 from 100 successes in the second before, and returns it."""
    succeed(rate, 100, -0.6)
    throttle(rate, 0.0)
    return rate.rate


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


def measure_burst_interval(rate: AdaptiveRate) -> float:
    """Half of it is the shortest sleep."""
    throttle(rate, 0.0, 10.0)
    return 2 * rate.wait(10.0 - 1e-6)


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


def measure_response_timeout(rate: AdaptiveRate) -> float:
    fill(rate)
    return 0.299 + rate.wait(0.299)


def measure_estimate_excess(rate: AdaptiveRate) -> float:
    """A hundred requests at once are accepted before the first one is throttled."""
    succeed(rate, 100, 0.0)
    throttle(rate, 0.0, 1.0)
    return rate.rate - 100


def measure_max_window(rate: AdaptiveRate) -> float:
    """Without a response, the window grows to its maximum."""
    return sum(send_all(rate, step / 1000) for step in range(3000))


def measure_pause_burst(rate: AdaptiveRate) -> float:
    """After a hold, a rate of 50 a second starts with so many requests."""
    learn(rate)
    throttle(rate, 100.0, 1.0)
    return send_all(rate, 101.001) / 50


def succeeded(settings: RateSettings, latency: float) -> ConcurrencyWindow:
    """Returns a window of which a round succeeded after a latency."""
    window = ConcurrencyWindow(settings)
    for _ in range(RATE_SETTINGS.initial_window):
        window.on_sent(0.0)
    for _ in range(RATE_SETTINGS.initial_window):
        window.on_success(0.0, latency)
    return window


def widening(settings: RateSettings, latency: float) -> float:
    """Returns the factor by which a window grows after a round with a latency."""
    return succeeded(settings, latency).value / RATE_SETTINGS.initial_window


def spread(settings: RateSettings, latency: float) -> float:
    """Returns the seconds over which the requests of a wider window are spread."""
    window = succeeded(settings, latency)
    for _ in range(60):
        window.on_sent(latency)
    return (window.wait(latency) + settings.burst_interval) / 60 * window.value


def growth(settings: RateSettings, value: float) -> float:
    """Returns the growth of a limit in its first second."""
    limit = LearnedLimit(value, settings)
    limit.grow(1.0)
    return limit.value - value


def of_rate(measure: Callable[[AdaptiveRate], float]) -> Callable[[RateSettings], float]:
    """Returns a measure of an adaptive rate as a measure of its settings."""
    return lambda settings: measure(AdaptiveRate(settings))


MEASURED: dict[str, tuple[Callable[[RateSettings], float], float]] = {
    "initial_burst": (of_rate(measure_initial_burst), 4),
    "initial_window": (of_rate(measure_initial_window), 13),
    "initial_interval": (of_rate(measure_initial_interval), 0.004),
    "typical_latency": (lambda settings: widening(settings, 0.2), 10.0),
    "spread": (lambda settings: spread(settings, 0.05), 0.03),
    "max_spread": (lambda settings: spread(settings, 1.0), 0.075),
    "window_growth": (lambda settings: widening(settings, 0.01), 5.0),
    "max_window_growth": (lambda settings: widening(settings, 1.0), 16.0),
    "response_timeout": (of_rate(measure_response_timeout), 0.35),
    "max_window": (of_rate(measure_max_window), 1000),
    "burst_interval": (of_rate(measure_burst_interval), 0.005),
    "estimate_excess": (of_rate(measure_estimate_excess), 25.0),
    "pause_burst": (of_rate(measure_pause_burst), 0.1),
    "growth": (lambda settings: growth(settings, 20.0), 3.0),
    "small_limit": (lambda settings: growth(settings, 3.0), 0.375),
    "large_limit": (lambda settings: growth(settings, 100.0), 6.0),
    "tolerated_share": (of_rate(measure_tolerated_share), 0.185),
    "max_hold": (of_rate(measure_max_hold), 60.0),
}
"""The effect of each setting, measured from outside, and the expected value."""


def test_every_setting_is_measured() -> None:
    """A new setting is measured here."""
    assert MEASURED.keys() == {field.name for field in fields(RateSettings)}


@pytest.mark.parametrize("name", MEASURED)
def test_setting(name: str) -> None:
    """Each constant does what it says; half or twice its value does not."""
    measure, expected = MEASURED[name]
    assert measure(RATE_SETTINGS) == pytest.approx(expected, rel=0.05)
    for factor in (0.5, 2):
        value = type(getattr(RATE_SETTINGS, name))(factor * getattr(RATE_SETTINGS, name))
        changed = measure(replace(RATE_SETTINGS, **{name: value}))
        assert changed != pytest.approx(expected, rel=0.1)
