"""Learned limits on the size of a request, as plain values."""

import logging
import time

import pytest

from hosted_rerank.call.batch_sizes import RequestSizes, split
from hosted_rerank.call.batching import Batch
from hosted_rerank.call.call_state import CallState
from hosted_rerank.errors import SizeRefusal, SizeUnit
from hosted_rerank.limits.endpoint_state import EndpointRegistry, EndpointState
from hosted_rerank.limits.learned_sizes import EXPIRY, LearnedSizes, SizeChange, SizeLimit
from tests.byhand import planned


def limit(value: int, refused: int, unit: SizeUnit = "bytes") -> SizeLimit:
    return SizeLimit(unit, value, refused)


def test_learned_limit_expires() -> None:
    """It is gone after ten minutes, and that is a change."""
    learned = LearnedSizes()
    assert learned.learn(limit(50, 100), 5.0) == [SizeChange("bytes", None, 50)]
    assert learned.expire(EXPIRY + 4.9) == []
    assert learned.expire(EXPIRY + 5.0) == [SizeChange("bytes", 50, None)]
    assert learned.current() == {}


def test_call_after_the_limit_expired(caplog: pytest.LogCaptureFixture) -> None:
    """A call sends what it has to, and the log says that the limit is gone."""
    state, todo = EndpointState(), planned(documents=["a", "b", "c"])
    state.sizes.learn(limit(2, 3, "documents"), time.monotonic() - EXPIRY + 60)
    registry = EndpointRegistry(lambda: state)
    assert len(CallState(todo, 0.0, endpoints=registry).start_batches({})) == 2
    state.sizes = LearnedSizes()
    state.sizes.learn(limit(2, 3, "documents"), time.monotonic() - EXPIRY)
    with caplog.at_level(logging.INFO, "hosted_rerank"):
        assert len(CallState(todo, 0.0, endpoints=registry).start_batches({})) == 1
    assert "acme: the largest request is now no limit, it was 2 documents" in caplog.text


def split_by(refusal: SizeRefusal, learned: dict[SizeUnit, float] | None = None) -> list[int]:
    """The documents of the part that is sent first, and of those that wait, of ten that were refused."""
    todo = planned(documents=[f"text {number}" for number in range(10)])
    part = split(RequestSizes(todo), Batch(todo.all_texts), refusal, learned or {})
    assert part is not None
    return [len(part.text_indices), len(part.deferred)]


@pytest.mark.parametrize(
    ("refusal", "learned", "expected"),
    [
        (SizeRefusal("documents"), {}, [5, 5]),
        (SizeRefusal("documents"), {"documents": 7}, [7, 3]),
        (SizeRefusal("documents"), {"documents": 10}, [5, 5]),
        (SizeRefusal("documents", 4), {"documents": 7}, [4, 6]),
        (SizeRefusal("documents", 8, 20), {}, [4, 6]),  # it counts two for one
        (SizeRefusal("documents", 99), {}, [5, 5]),
        (SizeRefusal("documents", 1), {}, [1, 9]),
        (SizeRefusal("tokens", 1_100, 5_000), {}, [2, 8]),
        (SizeRefusal("bytes"), {}, [5, 5]),
    ],
)
def test_first_part_of_a_refused_request(
    refusal: SizeRefusal, learned: dict[SizeUnit, float], expected: list[int]
) -> None:
    """It is as large as the API says in its own count, or as is known to be accepted, or half."""
    assert split_by(refusal, learned) == expected


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
