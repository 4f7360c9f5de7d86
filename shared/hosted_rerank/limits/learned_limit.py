"""One learned limit: a number that falls when the API refuses requests, and grows again."""

import math

from hosted_rerank.limits.rate_settings import RateSettings


class LearnedLimit:
    """A number that falls by a factor when it proves too high, and grows by the same amount whatever its value.

    A decrease in proportion and an increase in absolute terms bring those who share one limit to equal shares (Chiu
    and Jain 1989). The growth gets faster with time, so that a limit that was raised is followed. A limit of few
    requests a second grows less, because there are fewer requests that could show that it is too high, and one of many
    grows more.

    Args:
        value: The first value.
        settings: By how much the number falls, and how fast it grows.
    """

    def __init__(self, value: float, settings: RateSettings) -> None:
        self.value = value
        self._settings = settings
        self._growing_for = 0.0
        """Seconds of growth since the last decrease."""

    def start(self, value: float) -> None:
        """Sets the limit to a value from which it grows."""
        self.value, self._growing_for = value, 0.0

    def lower(self, measured: float = math.inf) -> None:
        """Lowers the limit by a factor, or to a measured value that is less, but not by more than `max_decrease`."""
        settings = self._settings
        self.start(max(self.value * settings.max_decrease, min(self.value * settings.decrease, measured)))

    def grow(self, seconds: float) -> None:
        """Raises the limit by the growth of so many seconds."""
        settings, seconds = self._settings, min(seconds, 1.0)
        self._growing_for += seconds
        factor = min((self.value / settings.small_limit) ** 4, max(1.0, self.value / settings.large_limit))
        self.value += settings.growth * factor * self._growing_for * seconds
