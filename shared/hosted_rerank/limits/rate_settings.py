"""The constants of the adaptive rate.

"Chosen by simulation" means that no standard gives the value: `tests/core/test_pacing.py` simulates limits and measures
how much of them is used. `tests/core/test_adaptive_rate.py` fails where a value is halved or doubled.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RateSettings:
    """The constants of `AdaptiveRate`; times in seconds."""

    initial_window: int = 32
    """Requests in flight before anything is learned; chosen by simulation."""
    max_window: int = 1000
    """Maximum number of requests in flight; the default of `max_concurrency`."""
    burst_interval: float = 0.005
    """Seconds of requests that may be sent together; half of it is the shortest sleep. Chosen by simulation."""
    doubling_timeout: float = 0.1
    """Seconds without a response after which the window doubles; refusals come faster. Chosen by simulation."""
    measurement_window: float = 1.0
    """Minimum seconds over which successes are counted to measure the rate; chosen by simulation."""
    safety_factor: float = 0.95
    """Share of a measured rate that is used; chosen by simulation."""
    rate_decrease: float = 0.7
    """Minimum share of the rate and the burst that one throttled request leaves; CUBIC's factor (RFC 9438, 4.6)."""
    window_decrease: float = 0.5
    """Minimum share of the window that one throttled request leaves; the factor of TCP Reno (RFC 5681)."""
    initial_growth: float = 1.5
    """Growth per second, as a share of the limit, while the limit is an estimate; the maximum of any growth."""
    min_growth: float = 0.02
    """Growth per second, as a share of the limit, just above the value that was refused; chosen by simulation."""
    recovery_time: float = 5.0
    """Seconds in which a limit grows back to the value that was refused; chosen by simulation."""
    growth_doubling: float = 1.25
    """Seconds after which the growth above the refused value doubles; chosen by simulation (CUBIC: a cube)."""
    growth_pause: float = 8.0
    """Seconds without growth for each second of waiting that a throttled request costs; chosen by simulation."""
    max_growth_pause: float = 30.0
    """Maximum seconds without growth after a throttled request; chosen by simulation."""
    tolerated_share: float = 0.15
    """Share of throttled requests without `Retry-After` that are taken for chance; chosen by simulation."""
    max_quota_reset: float = 60.0
    """Maximum seconds for which a used-up quota stops requests; the default of `RetryPolicy.backoff_max`."""


RATE_SETTINGS = RateSettings()
