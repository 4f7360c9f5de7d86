"""The constants of the adaptive rate.

"Chosen by simulation" means that no standard gives the value: `tests/core/rate_simulation.py` simulates limits and
measures how much of them is used. `tests/core/test_adaptive_rate.py` fails where a value that it measures is
halved or doubled.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RateSettings:
    """The constants of `AdaptiveRate`; times in seconds."""

    initial_burst: int = 4
    """Requests that may be sent together before anything is learned; chosen by simulation."""
    initial_window: int = 13
    """Requests in flight before anything is learned; chosen by simulation."""
    initial_interval: float = 0.004
    """Seconds between two requests after the initial burst, until a response comes; chosen by simulation."""
    typical_latency: float = 0.1
    """Seconds that a response takes while it is unknown; a longer latency widens the window faster."""
    spread: float = 0.6
    """Share of the latency over which the requests that a wider window admits are spread; chosen by simulation."""
    max_spread: float = 0.075
    """Maximum seconds over which they are spread; chosen by simulation."""
    window_growth: float = 5.0
    """Factor by which the window grows when a full window of requests succeeded; chosen by simulation."""
    max_window_growth: float = 16.0
    """The maximum of that factor, if the latency is long or unknown; chosen by simulation."""
    response_timeout: float = 0.35
    """Seconds without a response after which the window grows all the same; refusals come faster than that."""
    max_window: int = 1000
    """Maximum number of requests in flight; the default of `max_concurrency`."""
    burst_interval: float = 0.005
    """Seconds of requests that may be sent together; half of it is the shortest sleep. Chosen by simulation."""
    measurement_window: float = 1.0
    """Seconds over which requests are counted to measure the rate; chosen by simulation."""
    estimate_factor: float = 3.5
    """First estimate of the rate per second, as a multiple of the burst that was accepted; chosen by simulation."""
    estimate_excess: float = 25.0
    """Maximum requests per second by which that estimate exceeds the burst; chosen by simulation."""
    estimate_weight: float = 0.15
    """Seconds of measurement that outweigh the estimate; chosen by simulation."""
    estimate_decrease: float = 0.5
    """Minimum share of an estimated rate that one throttled request leaves; chosen by simulation."""
    burst_share: float = 0.5
    """Share of the accepted burst that is used; the rest lets a rate that is too high show late and few refusals."""
    safety_factor: float = 0.95
    """Share of a measured rate that is used; chosen by simulation."""
    rate_decrease: float = 0.5
    """Minimum share of the rate and the burst that one throttled request leaves; that of TCP Reno (RFC 5681)."""
    window_decrease: float = 0.5
    """Minimum share of the window that one throttled request leaves; the factor of TCP Reno (RFC 5681)."""
    initial_growth: float = 0.1
    """Growth per second, as a share of the limit, while the limit is an estimate; chosen by simulation."""
    max_growth: float = 1.5
    """Maximum growth per second, as a share of the limit; chosen by simulation."""
    growth_delay: float = 4.0
    """Seconds after which the growth of an estimate begins to double; chosen by simulation."""
    min_growth: float = 0.02
    """Growth per second, as a share of the limit, just above the value that was refused; chosen by simulation."""
    recovery_time: float = 5.0
    """Seconds in which a limit grows back to the value that was refused; chosen by simulation."""
    growth_doubling: float = 1.25
    """Seconds after which the growth doubles; chosen by simulation (CUBIC: a cube)."""
    growth_pause: float = 8.0
    """Seconds without growth for each second of waiting that a throttled request costs; chosen by simulation."""
    max_growth_pause: float = 30.0
    """Maximum seconds without growth after a throttled request; chosen by simulation."""
    tolerated_share: float = 0.15
    """Share of throttled requests without `Retry-After` that are taken for chance; chosen by simulation."""
    max_hold: float = 60.0
    """Maximum seconds for which the API can stop all requests; the default of `RetryPolicy.backoff_max`."""


RATE_SETTINGS = RateSettings()
