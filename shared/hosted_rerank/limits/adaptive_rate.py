"""The pace at which one account may ask one model: as fast as it is allowed to, which only its answers tell.

Two bounds are learned: the window, which is how many requests may be under way, and the rate, in requests a second. At
first the window doubles while all goes well, and the rate is unknown. A refusal tells of the bound that was reached
when it came, and lowers it to what was accepted; the first one tells of both. From there a bound grows only while it is
what holds requests up: slowly to where it was refused, then ever faster, as TCP's CUBIC does (RFC 9438). So a limit is
met with a few refusals, and one that moves is followed.

A refusal that says how long to wait holds everybody. One that does not may be by chance: it holds nobody else, and
tells nothing unless many are refused.
"""

import math
from collections import deque
from dataclasses import dataclass

from hosted_rerank.limits.request_queue import Ticket
from hosted_rerank.limits.retry import Quota

FIRST_WINDOW = 32
"""Requests under way before anything is known."""
LARGEST_WINDOW = 1000
BUNCH = 0.005
"""Seconds in which what would go one by one may go together: nobody sleeps for less than half of it."""
PATIENCE = 0.1
"""Seconds without an answer after which the window doubles all the same: refusals come fast, answers may not."""
SPAN = 1.0
"""Seconds over which answers are counted for the rate, at least."""
CAREFUL = 0.95
"""What is taken of a rate that was measured."""
LEAST_LEFT, LEAST_WINDOW = 0.7, 0.5
"""What one refusal leaves of the rate and the burst, and of the window, that were learned: it may be a chance one."""
FIRST_GROWTH, LEAST_GROWTH = 1.5, 0.02
"""How much of itself a bound grows by in a second: while it is a first guess, and just beyond where it was refused."""
RETURN = 5.0
"""Seconds in which it grows back to there."""
DOUBLING = 1.25
"""Seconds after which the growth beyond doubles."""
CALM, LONGEST_CALM = 8.0, 30.0
"""Seconds without growth after a refusal, for each second that it cost; and the most of them."""
TOLERATED = 0.15
"""Share of the last requests that may be refused without a word on how long to wait."""
LONGEST_RESET = 60.0
"""Seconds that an API's word of a used-up quota is trusted."""


class Bound:
    """A number that is cut when it proves too much, and grows again."""

    def __init__(self, value: float) -> None:
        self.value = value
        self.guessed = False
        """Whether it is a first guess."""
        self._cut = self._refused = self._grown = 0.0
        """What it was cut to, what had proved too much, and the seconds that it has grown for since then."""

    def cut(self, value: float, refused: float) -> None:
        """Lower it; `refused` is what it was."""
        self.value = self._cut = value
        self._refused, self._grown = refused, 0.0

    def grow(self, seconds: float) -> None:
        """Let it grow for so many seconds."""
        self._grown += seconds
        if self.guessed:
            self.value *= 1 + FIRST_GROWTH * min(seconds, 1.0)
        elif self.value < self._refused:
            self.value = min(self._refused, self.value + (self._refused - self._cut) * seconds / RETURN)
        else:
            growth = min(FIRST_GROWTH, LEAST_GROWTH * 2 ** min(self._grown / DOUBLING, 10.0))
            self.value *= 1 + growth * min(seconds, 1.0)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A refusal that is no echo of the one before it, and what was when it came."""

    at: float
    rate: float
    burst: float
    window: float
    full: bool
    """Whether as many were under way as might be."""
    early: int | None
    """Answers since the last pause, where it came right after that."""
    answers: int
    """Answers in the time that the rate is judged by; and that time."""
    span: float


class AdaptiveRate:
    """Learns how fast one may go; a `RateController`. Callers say what time it is, and retry_after a lock."""

    def __init__(self, largest_window: int = LARGEST_WINDOW) -> None:
        self.in_flight = 0
        self.blocked_until = -math.inf
        self._largest = largest_window
        self._window = Bound(FIRST_WINDOW)
        self._rate = Bound(math.inf)
        self._burst = math.inf
        """Requests that may go at once after a pause."""
        self._tokens = math.inf
        """Requests that may go now."""
        self._counted = -math.inf
        """Up to when tokens and growth are counted."""
        self._grows = -math.inf
        """When bounds may grow again."""
        self._moved = -math.inf
        """When the first request went or the last answer came."""
        self._latency = 0.0
        """Seconds that an answer takes, about."""
        self._spread = -math.inf
        """When the next request goes while nothing was refused: what a wider window lets go is spread over half of the
        time that an answer takes, so that a refusal of the first of them stops the last."""
        self._answers: deque[float] = deque(maxlen=20_000)
        """When they came."""
        self._share = 0.0
        """Of the last requests, how much was refused."""
        self._last: _Refusal | None = None
        self._left: int | None = None
        """Requests that the API says are left until `_reset`."""
        self._reset = -math.inf

    @property
    def rate(self) -> float:
        """Requests a second that are allowed, as far as it is known; else infinite."""
        return self._rate.value

    def wait(self, now: float) -> float:
        """Return 0 if a request may go, else the seconds after which to ask again; infinite if only news tells."""
        at = max(self.blocked_until, self._spread)
        if self._last is None:
            if self.in_flight >= self._window.value:
                if (patience := self._moved + PATIENCE - now) > 0:
                    return patience
                self._window.value, self._moved = min(self._window.value * 2, self._largest), now
        else:
            self._count(now)
            if self.in_flight >= self._window.value:
                return math.inf
            if self._tokens < 1:
                at = max(at, now + (1 - self._tokens) / self.rate)
        if self._left is not None and self._left <= 0:
            at = max(at, self._reset)
        return max(at - now, BUNCH / 2) if at > now else 0.0

    def on_sent(self, ticket: Ticket, now: float) -> None:  # noqa: ARG002 - a pace's
        """Take note that a request goes."""
        if not self.in_flight:
            self._moved = now
        self.in_flight += 1
        self._tokens -= 1
        if self._last is None:
            self._spread = max(self._spread, now - BUNCH) + self._latency / (2 * self._window.value)
        if self._left is not None:
            self._left -= 1

    def _count(self, now: float) -> None:
        """Count what the time since the last count has brought: tokens, and growth of what holds requests up."""
        past = now - self._counted
        if past < BUNCH / 5:
            return
        self._counted = now
        spare = self._tokens + past * self.rate - self._burst
        self._tokens = self._burst + min(spare, 0.0)
        growing = min(past, now - self._grows)
        if growing <= 0:
            return
        if self.in_flight >= self._window.value:
            self._window.grow(growing)
            self._window.value = min(self._window.value, self._largest)
        elif spare < 1 + 2 * BUNCH * self.rate:
            self._rate.grow(growing)

    def estimated_wait(self, now: float, waiting: int) -> float:
        """Return the seconds that the last of so many waiting requests has to wait at least, as far as it is known."""
        turns = (waiting - self._tokens) / self.rate if self.rate < math.inf else 0.0
        return max(0.0, self.blocked_until - now, turns)

    def on_success(self, ticket: Ticket, now: float, quota: Quota | None = None) -> None:
        """Take note of an answer, and of what the API says may follow it."""
        self.in_flight -= 1
        self._latency += (now - ticket.sent - self._latency) / 8
        self._share -= self._share / 20
        self._answers.append(now)
        if self._last is None:
            self._moved = now
            self._window.value = min(self._window.value + 1, self._largest)
        self._allow(quota, now)

    def _allow(self, quota: Quota | None, now: float) -> None:
        """Take note of what the API says may follow."""
        if quota is not None:
            self._left, self._reset = quota.left - self.in_flight, now + min(quota.reset, LONGEST_RESET)
        elif now >= self._reset:
            self._left = None

    def on_dropped(self, ticket: Ticket) -> None:  # noqa: ARG002 - a pace's
        """Take note that a request came to nothing that tells of the pace."""
        self.in_flight -= 1

    def on_throttled(
        self,
        ticket: Ticket,
        now: float,
        retry_after: float | None,
        quota: Quota | None = None,
        *,
        overloaded: bool = False,
    ) -> None:
        """Take note of a refusal: nobody goes for `retry_after` seconds, and all more slowly after it."""
        self.in_flight -= 1
        self._allow(quota, now)
        self._share += (1 - self._share) / 20
        first = self._last is None
        if self._last is None or ticket.sent >= self._last.at:
            self._last = self._refusal(now, retry_after or 0.0)
        if retry_after is not None:
            self.blocked_until = max(self.blocked_until, now + retry_after)
        elif not first and self._share < TOLERATED:
            return
        self._learn(self._last, retry_after or 0.0, overloaded=overloaded)

    def _refusal(self, now: float, retry_after: float) -> _Refusal:
        span, since = max(SPAN, retry_after), self._since(self.blocked_until)
        early = now - self.blocked_until < 0.5 * span and since + self.in_flight < self._burst and self.rate < math.inf
        full = self.in_flight + 1 >= 0.8 * self._window.value
        answers = self._since(now - span)
        kept = since if early else None
        return _Refusal(now, self.rate, self._burst, self._window.value, full, kept, answers, span + self._latency)

    def _learn(self, last: _Refusal, retry_after: float, *, overloaded: bool) -> None:
        """Learn from a refusal and its echoes so far, which tell how much of what was under way is accepted."""
        first = last.rate == math.inf
        if first or last.full or overloaded or self._share > 2 * TOLERATED:
            least = 1.0 if first else max(1.0, last.window * LEAST_WINDOW)
            self._window.cut(max(least, min(self._window.value, self.in_flight)), last.window)
        if not overloaded:
            self._learn_rate(last, retry_after)
            self._tokens, self._counted = 0.0, last.at
        if self.rate < math.inf:  # one may go when the pause is over
            self._tokens = max(self._tokens, 1.0 - retry_after * self.rate)

    def _learn_rate(self, last: _Refusal, retry_after: float) -> None:
        if last.rate == math.inf:
            self._rate.value = CAREFUL * max(last.answers + self.in_flight, 1) / last.span
            self._burst = max(1.0, self.rate * SPAN)
            self._rate.guessed = True
        elif last.early is not None:  # too many at once after a pause tells nothing of the rate
            accepted = last.early + self.in_flight
            self._burst = max(1.0, last.burst * LEAST_LEFT, min(last.burst, accepted))
        else:
            measured = CAREFUL * (last.answers + self.in_flight) / last.span
            self._rate.cut(max(LEAST_LEFT * last.rate, min(measured, last.rate)), last.rate)
            self._rate.guessed = False
        cost = max(0.0, retry_after - self._burst / self.rate)
        self._grows = self.blocked_until + (0.0 if self._rate.guessed else min(CALM * cost, LONGEST_CALM))

    def _since(self, start: float) -> int:
        """How many answers have come since then."""
        done = 0
        for at in reversed(self._answers):
            if at < start:
                break
            done += 1
        return done
