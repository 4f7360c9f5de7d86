"""Learned limits on the size of a request, as plain values."""

import pytest

from hosted_rerank.errors import SizeUnit
from hosted_rerank.limits.learned_sizes import EXPIRY, LearnedSizes, SizeChange, SizeLimit


def limit(value: int, refused: int, unit: SizeUnit = "bytes") -> SizeLimit:
    return SizeLimit(unit, value, refused)


def test_learned_limit_expires() -> None:
    """It is gone after ten minutes, and that is a change."""
    learned = LearnedSizes()
    assert learned.learn(limit(50, 100), 5.0) == [SizeChange("bytes", None, 50)]
    assert learned.expire(EXPIRY + 4.9) == []
    assert learned.expire(EXPIRY + 5.0) == [SizeChange("bytes", 50, None)]
    assert learned.current() == {}


@pytest.mark.parametrize(
    ("size", "changes", "left"),
    [
        (50, [], {"bytes": 50}),
        (70, [SizeChange("bytes", 50, 70)], {"bytes": 70}),
        (100, [SizeChange("bytes", 50, None)], {}),
    ],
)
def test_learned_limit_and_larger_requests(size: int, changes: list[SizeChange], left: dict[str, int]) -> None:
    """A larger request that succeeds raises it; one as large as was refused ends it."""
    learned = LearnedSizes()
    learned.learn(limit(50, 100), 0.0)
    assert learned.record_accepted("bytes", size) == changes
    assert learned.current() == left


@pytest.mark.parametrize(("refused", "value"), [(90, 50), (51, 50), (50, 20), (30, 20)])
def test_learned_limit_is_lowered_only_by_what_contradicts_it(refused: int, value: int) -> None:
    """A refusal that the limit explains changes nothing, however small the part was that went next."""
    learned = LearnedSizes()
    learned.learn(limit(50, 100), 0.0)
    learned.learn(limit(20, refused), 1.0)
    assert learned.current() == {"bytes": value}


def test_units_are_apart() -> None:
    """Documents say nothing of bytes."""
    learned = LearnedSizes()
    learned.learn(limit(50, 100), 0.0)
    learned.learn(limit(5, 10, "documents"), 300.0)
    assert learned.record_accepted("tokens", 9_999) == []
    learned.expire(EXPIRY)
    assert learned.current() == {"documents": 5}
