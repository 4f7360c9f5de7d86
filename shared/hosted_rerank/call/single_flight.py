"""Single flight: of the calls of this process that need the same score at once, one requests it.

Of two calls that need the same key of the same cache, the first one is the leader and requests the score; the other
one is a follower and waits for it.
"""

import os
import threading
from concurrent.futures import Future


class SingleFlight:
    """The scores that calls of this process are requesting."""

    def __init__(self) -> None:
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Starts empty: in a forked child, no call waits for the requests of the parent."""
        self.lock = threading.RLock()  # the garbage collector may close a call while this thread holds the lock
        """Guards `futures`, and the caller's mappings, because few of them are thread-safe."""
        self.futures: dict[tuple[int, str], Future[float | None]] = {}
        """The requested scores, by the id of the cache and the key; the result is `None` if the leader got no score.

        A future with a score stays until the cache has the score, so that no call misses both.
        """

    def lead_or_follow(self, cache_id: int, key: str) -> tuple[bool, Future[float | None]]:
        """Returns the future of a score, and whether the caller is the leader that has to request it."""
        if (requested := self.futures.get((cache_id, key))) is not None:
            return False, requested
        self.futures[cache_id, key] = future = Future[float | None]()
        future.set_running_or_notify_cancel()  # so that no follower can cancel it
        return True, future


SINGLE_FLIGHT = SingleFlight()
"""The one of the process."""
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=SINGLE_FLIGHT.reset_after_fork)
