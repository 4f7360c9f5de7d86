"""A stack of idle clients for each origin."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

C = TypeVar("C")


class ClientPool(Generic[C]):
    """Idle clients of one connection each, by origin; the most recently used one is taken first. Thread-safe.

    Args:
        make: Makes a client for requests to a URL.
        keep_alive: Seconds that an idle client is kept.
    """

    def __init__(self, make: Callable[[str], C], keep_alive: float) -> None:
        self._make = make
        self._keep_alive = keep_alive
        self._lock = threading.Lock()
        self._idle: dict[str, deque[tuple[float, C]]] = {}
        self._closed = False

    def take(self, url: str) -> tuple[C, bool]:
        """Takes a client for a URL out of the pool, or makes one.

        Returns:
            The client, and whether it may hold a connection of an earlier request.
        """
        with self._lock:
            idle = self._idle.get(_origin(url))
            if idle:
                return idle.pop()[1], True
        return self._make(url), False

    def give_back(self, url: str, client: C) -> list[C]:
        """Puts a client back, and returns the clients that the caller has to close, for their time is over."""
        now = time.monotonic()
        with self._lock:
            if self._closed:
                return [client]
            self._idle.setdefault(_origin(url), deque()).append((now, client))
            expired: list[C] = []
            for origin, idle in list(self._idle.items()):
                while idle and idle[0][0] + self._keep_alive < now:
                    expired.append(idle.popleft()[1])
                if not idle:
                    del self._idle[origin]
        return expired

    def empty(self) -> list[C]:
        """Returns all idle clients, which the caller has to close; clients that come back later are not kept."""
        with self._lock:
            self._closed = True
            idle = [client for clients in self._idle.values() for _, client in clients]
            self._idle.clear()
        return idle


def _origin(url: str) -> str:
    """Returns the scheme, host and port of a URL."""
    return "/".join(url.split("/", 3)[:3])
