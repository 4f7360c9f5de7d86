"""Promise 8: when to ask again, and after how long, as a pure decision."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosted_rerank.limits.retry import RetryPolicy, is_retryable, retry_after
from tests.byhand import NOON, answered, lost

RETRYABLE_STATUSES = (408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529)
LASTING = sorted({*range(300, 600)} - {*RETRYABLE_STATUSES})


@pytest.mark.parametrize("status", RETRYABLE_STATUSES)
def test_what_may_pass_is_asked_again(status: int) -> None:
    """Statuses that may pass are retried."""
    assert RetryPolicy().delay(answered(status), 0, 0.5) is not None


def test_what_lasts_is_not_asked_again() -> None:
    """No other status is."""
    assert [status for status in LASTING if RetryPolicy().delay(answered(status), 0, 0.5) is not None] == []


def test_no_reply_is_asked_again() -> None:
    """Neither a broken connection nor a timeout need be the last word; a reply too long to read is."""
    assert is_retryable(lost())
    assert is_retryable(lost(timed_out=True))
    assert is_retryable(lost(dead_connection=True))
    assert not is_retryable(lost(retryable=False))


@pytest.mark.parametrize("verdict", ["true", "True", " TRUE "])
def test_server_may_ask_for_a_retry(verdict: str) -> None:
    """`x-should-retry: true` counts more than the status."""
    assert RetryPolicy().delay(answered(400, x_should_retry=verdict), 0, 0.5) is not None


@pytest.mark.parametrize("verdict", ["false", "False", " FALSE "])
def test_server_may_forbid_a_retry(verdict: str) -> None:
    """`x-should-retry: false` counts more than the status and than a hint to wait."""
    assert RetryPolicy().delay(answered(503, x_should_retry=verdict, retry_after="1"), 0, 0.5) is None


@pytest.mark.parametrize("verdict", ["", "1", "yes", "maybe"])
def test_other_verdicts_count_nothing(verdict: str) -> None:
    """Another value of `x-should-retry` leaves it to the status."""
    assert is_retryable(answered(503, x_should_retry=verdict))
    assert not is_retryable(answered(400, x_should_retry=verdict))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "NaN"}, None),
        ({"retry-after": "Infinity"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": "1, 2"}, None),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "7"}, 7.0),
        ({"retry-after-ms": "-1", "retry-after": "7"}, 7.0),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sat, 21 Nov 2026 13:00:30 +0100"}, 30.0),
        ({"retry-after": "Saturday, 21-Nov-26 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sat Nov 21 12:00:30 2026"}, 30.0),
        ({"retry-after": "Sat, 21 Nov 2026 11:59:00 GMT"}, 0.0),
        ({"retry-after": "Sat, 31 Feb 2026 12:00:00 GMT"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT", "date": "long ago"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """Milliseconds before seconds before a date, which counts from the reply's own; what makes no sense is no hint."""
    assert retry_after({"date": NOON} | headers) == seconds


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text() | st.just(NOON)))
def test_no_header_breaks_the_reading(headers: dict[str, str]) -> None:
    """Whatever the headers hold, the answer is none or a number of seconds to wait."""
    seconds = retry_after({"date": NOON} | headers)
    assert seconds is None or 0 <= seconds < float("inf")


@given(st.from_regex(r"(Mon, )?[0-9]{1,3} (Jan|Feb) [0-9]{1,5} [0-9:]{0,9} ?([+-][0-9]{2,6}|GMT|)", fullmatch=True))
def test_no_date_breaks_the_reading(date: str) -> None:
    """Nor does what almost is a date."""
    for headers in ({"date": NOON, "retry-after": date}, {"date": date, "retry-after": NOON}):
        seconds = retry_after(headers)
        assert seconds is None or 0 <= seconds < float("inf")


def test_hint_is_waited_for() -> None:
    """A wait is never shorter than the server asked for."""
    assert RetryPolicy().delay(answered(429, retry_after="3"), 0, 0.0) == 3.0
    assert RetryPolicy().delay(answered(429, retry_after="3"), 0, 1.0) >= 3.0
    assert RetryPolicy().delay(answered(429, retry_after="0"), 0, 1.0) == 0.0


def test_hint_beyond_the_bound_is_not_waited_for() -> None:
    """A server that asks for more than the longest wait is not asked again."""
    assert RetryPolicy(backoff_max=60).delay(answered(429, retry_after="61"), 0, 0.0) is None
    assert RetryPolicy(backoff_max=60).delay(answered(429, retry_after="9" * 300), 0, 0.0) is None


def test_waits_grow_where_there_is_no_hint() -> None:
    """Without a hint waits double, with a jitter of at most half."""
    retry = RetryPolicy(max_retries=10, backoff_initial=0.5, backoff_max=60)
    assert [retry.delay(lost(), retries, 1.0) for retries in range(4)] == [0.5, 1.0, 2.0, 4.0]
    assert [retry.delay(lost(), retries, 0.0) for retries in range(4)] == [0.25, 0.5, 1.0, 2.0]


@pytest.mark.parametrize("retries", [0, 1, 2, 3])
def test_retries_are_counted(retries: int) -> None:
    """No more than `max_retries` requests follow the first."""
    assert RetryPolicy(max_retries=0).delay(lost(), retries, 0.5) is None
    assert (RetryPolicy(max_retries=2).delay(lost(), retries, 0.5) is not None) is (retries < 2)


def test_longest_wait_is_the_longest() -> None:
    """No wait is longer than the bound on one wait, jitter included."""
    wait = RetryPolicy(backoff_max=60).delay(answered(429, retry_after="60"), 0, 1.0)
    assert wait == 60


def test_any_number_of_retries() -> None:
    """Who allows thousands of retries, each asked for without a wait, gets a wait for the next as well."""
    wait = RetryPolicy(max_retries=5000, backoff_max=60).delay(lost(), 2000, 1.0)
    assert wait == 60


@given(st.none() | st.floats(0, 200), st.integers(0, 40), st.floats(0.01, 5), st.floats(1, 80), st.floats(0, 1))
def test_waits_stay_within_their_bounds(
    hint: float | None, retries: int, first: float, longest: float, chance: float
) -> None:
    """A wait is as long as a server asks for, and never longer than the bound; what exceeds it is not waited for."""
    retry = RetryPolicy(max_retries=30, backoff_initial=first, backoff_max=longest)
    outcome = answered(503) if hint is None else answered(429, retry_after=str(hint))
    wait = retry.delay(outcome, retries, chance)
    if retries >= 30 or (hint or 0.0) > longest:
        assert wait is None
    else:
        assert wait is not None
        assert (hint or 0.0) <= wait <= longest


def test_hints_that_are_too_short_are_not_trusted() -> None:
    """A server that refuses again and again, and each time asks for no wait, is asked after a backoff."""
    retry, refusal = RetryPolicy(max_retries=1, backoff_initial=0.5), answered(429, retry_after="0")
    assert [retry.delay(refusal, 0, 1.0, refusals=number) for number in range(5)] == [0.0, 0.0, 0.0, 2.0, 2.0]
    assert retry.delay(answered(429, retry_after="20"), 0, 0.0, refusals=9) == 20


def test_refusals_slow_the_next_attempt() -> None:
    """Throttled attempts that cost no retry lengthen the wait as well, up to four times the first one."""
    retry = RetryPolicy(max_retries=1, backoff_initial=0.5)
    assert [retry.delay(answered(429), 0, 1.0, refusals=number) for number in range(4)] == [0.5, 1.0, 2.0, 2.0]
