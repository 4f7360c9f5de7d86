"""One learned limit: a number that falls when the API refuses requests, and grows again."""

import math

from hosted_rerank.limits.rate_settings import RateSettings


class LearnedLimit:
    """A number that falls by a factor when it proves too high, and grows by the same amount whatever its value.

    A decrease in proportion and an increase in absolute terms bring those who share one limit to equal shares (Chiu
    and Jain 1989). The growth gets faster with time, so that a limit that was raised is followed. A limit of few
    requests a second grows less, because there are fewer requests that could show that it is too high, and one of many
    grows more.

    Where nothing was accepted since the last decrease, the service may be down, which says nothing about the limit: it
    falls further, and grows fast up to where it was as soon as something is accepted.

    Args:
        value: The first value.
        minimum: The lowest value.
        settings: By how much the number falls, and how fast it grows.
    """

    def __init__(self, value: float, minimum: float, settings: RateSettings) -> None:
        self.value = value
        self.accepted = False
        """Whether a request was accepted since the last decrease."""
        self._minimum = minimum
        self._settings = settings
        self._threshold = value
        """The value up to which the number doubles each second, as TCP's slow-start threshold (RFC 5681)."""
        self._growing_for = 0.0
        """Seconds of growth since the last decrease."""

    def start(self, value: float, threshold: float | None = None) -> None:
        """Sets the limit to a value; it grows fast up to the threshold, infinite where the value is an estimate."""
        self.value, self.accepted, self._growing_for = value, False, 0.0
        self._threshold = value if threshold is None else threshold

    def lower(self, measured: float = math.inf) -> None:
        """Lowers the limit by a factor, or to a measured value that is less, but not by more than `max_decrease`."""
        settings = self._settings
        value = max(self.value * settings.max_decrease, min(self.value * settings.decrease, measured))
        before = self._threshold if self._threshold < math.inf else self.value
        self.start(max(value, min(self.value, self._minimum)), None if self.accepted else before)

    def grow(self, seconds: float) -> None:
        """Raises the limit by its growth in a number of seconds; more than one second counts as one."""
        settings, seconds = self._settings, min(seconds, 1.0)
        is_estimate = self._threshold == math.inf
        if (self.accepted or is_estimate) and self.value < self._threshold:
            self.value = min(self.value * settings.fast_growth**seconds, self._threshold)
            return
        self._growing_for += seconds
        factor = min((self.value / settings.small_limit) ** 4, max(1.0, self.value / settings.large_limit))
        self.value += settings.growth * factor * self._growing_for * seconds
