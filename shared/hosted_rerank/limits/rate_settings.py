"""The constants of the adaptive rate.

"Chosen by simulation" means that no standard gives the value: `tests/core/rate_simulation.py` simulates limits and
measures how much of them is used. `tests/core/test_adaptive_rate.py` fails where a value is halved or doubled.
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
    estimate_excess: float = 25.0
    """Requests by which the first estimate of the rate exceeds the burst that was accepted; chosen by simulation."""
    pause_burst: float = 0.1
    """Seconds of requests that may be sent together after a hold; chosen by simulation."""
    growth: float = 3.0
    """Growth per second, one second after the last decrease, rising with time; chosen by simulation."""
    small_limit: float = 6.0
    """The limit below which the growth is less, by the cube of the share; chosen by simulation."""
    large_limit: float = 50.0
    """The limit above which the growth is more, in proportion; chosen by simulation."""
    tolerated_share: float = 0.15
    """Share of throttled requests without `Retry-After` that are taken for chance; chosen by simulation."""
    max_hold: float = 60.0
    """Maximum seconds for which the API can stop all requests; the default of `RetryPolicy.backoff_max`."""


RATE_SETTINGS = RateSettings()
