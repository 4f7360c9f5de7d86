"""The limits on the size of a request that the process learned from an endpoint's refusals."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from hosted_rerank.errors import SizeUnit

EXPIRY = 600.0
"""Seconds after which a learned limit is forgotten, because the API's limit may have changed."""


class SizeChange(NamedTuple):
    """The change of a learned limit, for the log."""

    unit: SizeUnit
    old: int | None
    new: int | None
    """`None` if the limit is forgotten."""


@dataclass(frozen=True, slots=True)
class SizeLimit:
    """A limit on the size of a request."""

    unit: SizeUnit
    value: int
    """The largest size that is sent."""
    refused: int
    """The smallest size that the API refused."""
    learned_at: float = 0.0


class LearnedSizes:
    """The learned limits of one endpoint. A limit is learned when a smaller request succeeds after a refused one."""

    def __init__(self) -> None:
        self._limits: dict[SizeUnit, SizeLimit] = {}

    def current(self) -> Mapping[SizeUnit, int]:
        """Returns the limits by unit; empty if none is learned."""
        return {limit.unit: limit.value for limit in self._limits.values()} if self._limits else {}

    def learn(self, limit: SizeLimit, now: float) -> list[SizeChange]:
        """Records a limit, unless a known one explains the refusal too.

        Args:
            limit: The limit.
            now: The time, in seconds.
        """
        known = self._limits.get(limit.unit)
        if known is not None and known.value < limit.refused:
            return []
        return self._set(limit.unit, replace(limit, learned_at=now))

    def record_accepted(self, unit: SizeUnit, size: int) -> list[SizeChange]:
        """Raises a limit to the size of a larger request that succeeded; forgets it if such a size was refused before.

        Args:
            unit: The unit of the limit.
            size: The size of the request.
        """
        known = self._limits.get(unit)
        if known is None or size <= known.value:
            return []
        return self._set(unit, replace(known, value=size) if size < known.refused else None)

    def expire(self, now: float) -> list[SizeChange]:
        """Forgets the limits that were learned `EXPIRY` seconds ago.

        Args:
            now: The time, in seconds.
        """
        expired: list[SizeUnit] = [limit.unit for limit in self._limits.values() if now - limit.learned_at >= EXPIRY]
        return [change for unit in expired for change in self._set(unit, None)]

    def _set(self, unit: SizeUnit, limit: SizeLimit | None) -> list[SizeChange]:
        """Replaces a limit; the limits are copied, because other threads read them."""
        known = self._limits.get(unit)
        limits = [each for each in self._limits.values() if each.unit != unit]
        limits += [] if limit is None else [limit]
        self._limits = {each.unit: each for each in limits}
        old, new = (None if each is None else each.value for each in (known, limit))
        return [SizeChange(unit, old, new)]
