"""The constants of the adaptive rate.

"Chosen by simulation" means that no standard gives the value: `tests/core/rate_simulation.py` simulates limits and
measures how much of them is used. `tests/core/test_adaptive_rate.py` fails where a value is halved or doubled.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RateSettings:
    """The constants of `AdaptiveRate`; times in seconds."""

    initial_burst: int = 6
    """Requests that may be sent together before anything is learned; chosen by simulation."""
    initial_window: int = 13
    """Requests that may be in flight before anything is learned; chosen by simulation."""
    window_growth: float = 8.0
    """Factor by which the window grows when a full window of requests succeeded; chosen by simulation."""
    spread: float = 0.05
    """Seconds over which the requests that a wider window admits are spread; chosen by simulation."""
    response_timeout: float = 0.35
    """Seconds without a response after which the window grows all the same; refusals come faster than that."""
    max_window: int = 1000
    """Maximum number of requests in flight; the default of `max_concurrency`."""
    burst_interval: float = 0.005
    """Seconds of requests that may be sent together; half of it is the shortest sleep. Chosen by simulation."""
    estimate_excess: float = 22.0
    """Requests by which the first estimate of the rate exceeds the burst that was accepted; chosen by simulation."""
    fast_growth: float = 2.0
    """Factor per second of fast growth: of a first estimate without `Retry-After`, and after a service was down."""
    min_rate: float = 0.2
    """The lowest rate: a service that refused all requests is asked again every five seconds."""
    lone_refusals: int = 3
    """503s in a row, with no other request in flight, that mean a limit on the rate; nginx (`limit_req`) answers so.
    Chosen by simulation."""
    burst_share: float = 0.25
    """Share of the accepted burst that is used; the rest lets a rate that is too high show late and few refusals."""
    decrease: float = 0.75
    """Share of a limit that a throttled request leaves; chosen by simulation (CUBIC, RFC 9438: 0.7)."""
    max_decrease: float = 0.5
    """That share where the limit was far too high, and that of the burst (Reno, RFC 5681)."""
    measured_bursts: float = 1.5
    """Bursts that are sent after a hold until the requests beyond the burst measure the rate; chosen by simulation."""
    growth: float = 2.2
    """Growth per second, one second after the last decrease, rising with time; chosen by simulation."""
    small_limit: float = 6.0
    """The limit below which the growth is less, by the fourth power of the share; chosen by simulation."""
    large_limit: float = 50.0
    """The limit above which the growth is more, in proportion; chosen by simulation."""
    tolerated_share: float = 0.15
    """Share of throttled requests without `Retry-After` that are taken for chance; chosen by simulation."""
    decrease_interval: float = 1.0
    """Seconds in which several 429s without `Retry-After` lower a limit only once. Else a process that meets more of
    them than others would lose its share of a common limit; chosen by simulation."""
    max_hold: float = 60.0
    """Maximum seconds for which the API can stop all requests; the default of `RetryPolicy.backoff_max`."""


RATE_SETTINGS = RateSettings()
