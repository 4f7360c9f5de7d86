"""Bounds on time, for what might never end: the slower the machine, the longer they are."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

T = TypeVar("T")

LOOPS = 1_000_000
EXPECTED = 0.05
"""Seconds that so many empty loops take on a machine that is slow, but has nothing else to do."""


def patience(seconds: float) -> float:
    """What is "in time" on this machine now: so many seconds, or more where it is slow or has much to do."""
    load = os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 1.0  # Windows has none
    return seconds * max(1.0, load, _slowness())


@cache
def _slowness() -> float:
    """How much longer a loop takes than expected, as this process first asks."""
    began = time.monotonic()
    for _ in range(LOOPS):
        pass
    return (time.monotonic() - began) / EXPECTED


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return what work in a thread comes to, or raise what it raises; a test in which it does not end fails."""
    future = Future[T]()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised in the test
            future.set_exception(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(patience(seconds))
    assert not thread.is_alive(), f"not over after {patience(seconds):g} s"
    return future.result()


@contextmanager
def ends_within(seconds: float) -> Iterator[None]:
    """A block that ends in time; for work that surely ends, or that cannot be in a thread."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took < patience(seconds), f"took {took:g} s"
