"""One learned limit: a number that falls when the API refuses requests, and grows again."""

from hosted_rerank.limits.rate_settings import RateSettings


class LearnedLimit:
    """A number that falls when it proves too high, and grows again, as the window of TCP's CUBIC does (RFC 9438).

    Args:
        value: The first value.
        settings: How fast the number grows.
    """

    def __init__(self, value: float, settings: RateSettings) -> None:
        self.value = value
        self.is_estimate = False
        """Whether the value is a first estimate, which grows fast."""
        self._settings = settings
        self._lowered_to = self._refused = 0.0
        """The value after the last decrease, and the value before it, which was too high."""
        self._growing_for = 0.0
        """Seconds of growth since the last decrease."""

    def lower(self, value: float, refused: float) -> None:
        """Lowers the limit.

        Args:
            value: The new value.
            refused: The value that proved too high.
        """
        self.value = self._lowered_to = value
        self._refused, self._growing_for = refused, 0.0

    def grow(self, seconds: float) -> None:
        """Raises the limit by the growth of so many seconds: slowly to the refused value, then ever faster."""
        settings = self._settings
        self._growing_for += seconds
        if self.value < self._refused and not self.is_estimate:
            recovered = (self._refused - self._lowered_to) * seconds / settings.recovery_time
            self.value = min(self._refused, self.value + recovered)
            return
        start, delay = settings.min_growth, 0.0
        if self.is_estimate:
            start, delay = settings.initial_growth, settings.growth_delay
        doublings = min(max(0.0, self._growing_for - delay) / settings.growth_doubling, 10.0)
        self.value *= 1 + min(settings.max_growth, start * 2**doublings) * min(seconds, 1.0)
