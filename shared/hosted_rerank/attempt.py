"""The attempt that a thread or a task is making."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Attempt:
    """How long an attempt has, and what connection it uses."""

    ends: float
    """`time.monotonic()` when it has to be over."""
    connected: bool = False
    """Whether it made a connection of its own, rather than take a kept one."""


ATTEMPT: ContextVar[Attempt] = ContextVar("hosted_rerank_attempt")
