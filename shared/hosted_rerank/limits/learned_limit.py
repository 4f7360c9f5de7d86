"""One learned limit: a number that falls when the API refuses requests, and grows again."""

from hosted_rerank.limits.rate_settings import RateSettings


class LearnedLimit:
    """A number that is halved when it proves too high, and grows by about the same amount whatever its value.

    Decreases in proportion and increases in absolute terms bring those who share one limit to equal shares (Chiu and
    Jain 1989). The growth gets faster with time, so that a large limit is found too.

    Args:
        value: The first value.
        settings: How fast the number grows.
    """

    def __init__(self, value: float, settings: RateSettings) -> None:
        self.value = value
        self._settings = settings
        self._growing_for = 0.0
        """Seconds of growth since the last decrease."""

    def lower(self, value: float) -> None:
        """Lowers the limit to a value."""
        self.value = value
        self._growing_for = 0.0

    def grow(self, seconds: float) -> None:
        """Raises the limit by the growth of so many seconds: a small limit slowly, a large one faster."""
        settings, seconds = self._settings, min(seconds, 1.0)
        self._growing_for += seconds
        factor = min((self.value / settings.small_limit) ** 3, max(1.0, self.value / settings.large_limit))
        self.value += settings.growth * factor * self._growing_for * seconds
