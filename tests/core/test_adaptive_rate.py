"""The effect of each constant of the adaptive rate."""

import math
from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from hosted_rerank.limits.adaptive_rate import AdaptiveRate
from hosted_rerank.limits.learned_limit import LearnedLimit
from hosted_rerank.limits.rate_controller import Ticket
from hosted_rerank.limits.rate_settings import RATE_SETTINGS, RateSettings
from hosted_rerank.limits.retry import Quota
from hosted_rerank.limits.token_bucket import TokenBucket


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
    """Has the rate learned at 0 from 100 successes in the second before, and returns it: 100 a second."""
    succeed(rate, 100, -0.6)
    throttle(rate, 0.0)
    return rate.rate


def measure_initial_burst(rate: AdaptiveRate) -> float:
    """The requests that are sent together, before the others of the first window follow one by one."""
    return send_all(rate, 0.0)


def fill_window(rate: AdaptiveRate, now: float) -> int:
    """Sends all requests of a window, which are spread over a short time, and returns their number."""
    return sum(send_all(rate, now + step / 1000) for step in range(201))


def measure_initial_window(rate: AdaptiveRate) -> float:
    return fill_window(rate, 0.0)


def answer_window(rate: AdaptiveRate) -> None:
    """Has all requests of the first window answered at 0.3 s."""
    tickets: list[Ticket] = []
    for step in range(201):
        while rate.wait(step / 1000) == 0:
            tickets.append(send(rate, step / 1000))
    for ticket in tickets:
        rate.on_success(ticket, 0.3)


def measure_window_growth(rate: AdaptiveRate) -> float:
    """The next window after one that succeeded, as a multiple of it."""
    answer_window(rate)
    return fill_window(rate, 0.3) / RATE_SETTINGS.initial_window


def measure_spread(rate: AdaptiveRate) -> float:
    """The seconds until all requests of a wider window are sent, without the first ones, which are sent together."""
    answer_window(rate)
    together, last, count = send_all(rate, 0.3), 0, 0
    for step in range(1, 2001):
        if sent := send_all(rate, 0.3 + step / 10_000):
            last, count = step, count + sent
    return last / 10_000 * (together + count) / count


def measure_response_timeout(rate: AdaptiveRate) -> float:
    """The milliseconds without a response after the first request until the window grows."""
    fill_window(rate, 0.0)
    return next(step / 1000 for step in range(201, 2000) if rate.wait(step / 1000) == 0)


def measure_max_window(rate: AdaptiveRate) -> float:
    """Without a response, the window grows to its maximum."""
    return sum(send_all(rate, step / 1000) for step in range(3000))


def measure_burst_interval(rate: AdaptiveRate) -> float:
    """Half of it is the shortest sleep."""
    throttle(rate, 0.0, 10.0)
    return 2 * rate.wait(10.0 - 1e-6)


def measure_estimate_excess(rate: AdaptiveRate) -> float:
    """A hundred requests at once are accepted before the first one is throttled."""
    succeed(rate, 100, 0.0)
    throttle(rate, 0.0, 1.0)
    return rate.rate - 100


def throttled_bucket(settings: RateSettings, hold: float) -> TokenBucket:
    """Returns a bucket after a hundred requests at once were accepted, and the next one throttled."""
    bucket = TokenBucket(settings)
    for _ in range(101):
        bucket.on_sent(0.0)
    bucket.on_throttled(0.0, 0.0, hold)
    return bucket


def measure_burst_share(settings: RateSettings) -> float:
    """A hundred requests at once are accepted, so many of them are sent together from then on."""
    return throttled_bucket(settings, 1.0).capacity / 100


def measure_fast_growth(settings: RateSettings) -> float:
    """By how much a first estimate grows in a second in which it delays requests."""
    bucket = throttled_bucket(settings, 0.0)
    bucket.on_success()
    before = bucket.rate
    for step in range(1, 11):
        for _ in range(round(bucket.rate / 10)):
            bucket.on_sent(step / 10)
        bucket.refill(step / 10, growing=True)
    return bucket.rate / before


def measure_lone_refusals(rate: AdaptiveRate) -> float:
    """The 503s in a row after which the rate is limited."""
    for count in range(10):
        if rate.rate < math.inf:
            return count
        throttle(rate, 10.0 * count, 0.0, overloaded=True)
    return math.inf


def measure_measured_bursts(settings: RateSettings) -> float:
    """The bursts that are sent in ten seconds after a hold until the rate falls to what was accepted in them."""
    for count in range(50, 400):
        bucket = throttled_bucket(settings, 1.0)
        before = bucket.rate
        for _ in range(count):
            bucket.on_sent(1.0)
        bucket.on_success()
        bucket.on_throttled(11.0, 11.0, 1.0)
        if bucket.rate < 0.6 * before:
            return count / 100
    return math.inf


def measure_tolerated_share(rate: AdaptiveRate) -> float:
    """Each throttled request in a row adds a twentieth of the rest to the share; the fourth one makes it 0.185."""
    before = learn(rate)
    succeed(rate, 500, 50.0)
    count = 0
    while rate.rate == before:
        throttle(rate, 100.0 + count)
        count += 1
    return 1 - 0.95**count


def measure_decrease_interval(rate: AdaptiveRate) -> float:
    """The seconds after a decrease until throttled requests without `Retry-After` lower the rate again."""
    learn(rate)
    lowered: list[int] = []
    for step in range(1, 600):
        before = rate.rate
        throttle(rate, 10.0 + step / 100)
        if rate.rate < before:
            lowered.append(step)
    return (lowered[1] - lowered[0]) / 100


def measure_max_hold(rate: AdaptiveRate) -> float:
    rate.on_success(send(rate, 0.0), 0.0, Quota(0, 3600.0))
    return rate.wait(0.0)


def measure_min_rate(rate: AdaptiveRate) -> float:
    """The rate after many decreases."""
    for number in range(100):
        throttle(rate, 100.0 * number, 0.0)
    return rate.rate


def decrease(settings: RateSettings, measured: float) -> float:
    """Returns the share that is left of a limit."""
    limit = LearnedLimit(100.0, 1.0, settings)
    limit.lower(measured)
    return limit.value / 100.0


def growth(settings: RateSettings, value: float) -> float:
    """Returns the growth of a limit in its first second."""
    limit = LearnedLimit(value, 1.0, settings)
    limit.grow(1.0)
    return limit.value - value


def of_rate(measure: Callable[[AdaptiveRate], float]) -> Callable[[RateSettings], float]:
    """Returns a measure of an adaptive rate as a measure of its settings."""
    return lambda settings: measure(AdaptiveRate(settings))


MEASURED: dict[str, tuple[Callable[[RateSettings], float], float]] = {
    "initial_burst": (of_rate(measure_initial_burst), 6),
    "initial_window": (of_rate(measure_initial_window), 13),
    "window_growth": (of_rate(measure_window_growth), 8.0),
    "spread": (of_rate(measure_spread), 0.05),
    "response_timeout": (of_rate(measure_response_timeout), 0.35),
    "max_window": (of_rate(measure_max_window), 1000),
    "burst_interval": (of_rate(measure_burst_interval), 0.005),
    "estimate_excess": (of_rate(measure_estimate_excess), 22.0),
    "fast_growth": (measure_fast_growth, 2.0),
    "min_rate": (of_rate(measure_min_rate), 0.2),
    "lone_refusals": (of_rate(measure_lone_refusals), 3),
    "burst_share": (measure_burst_share, 0.25),
    "decrease": (lambda settings: decrease(settings, math.inf), 0.75),
    "max_decrease": (lambda settings: decrease(settings, 0.0), 0.5),
    "measured_bursts": (measure_measured_bursts, 1.5),
    "growth": (lambda settings: growth(settings, 20.0), 2.2),
    "small_limit": (lambda settings: growth(settings, 3.0), 0.1375),
    "large_limit": (lambda settings: growth(settings, 100.0), 4.4),
    "tolerated_share": (of_rate(measure_tolerated_share), 0.185),
    "decrease_interval": (of_rate(measure_decrease_interval), 1.0),
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
