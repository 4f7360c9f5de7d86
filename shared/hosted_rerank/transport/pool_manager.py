"""The connections of the process: blocking clients, and the event loop that carries awaiting requests.

All rerankers share them, so a reranker that is made anew for each request, or copied by a framework, finds connections
that are already open. They are opened at the first request, and closed when the last reranker that used them is closed.
"""

import atexit
import os
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from hosted_rerank.transport.background_loop import BackgroundLoop
from hosted_rerank.transport.client_pool import ClientPool
from hosted_rerank.transport.http_clients import KEEP_ALIVE, make_client

if TYPE_CHECKING:
    import httpx


class PoolManager:
    """Opens, shares and closes the connections; used from any thread, any event loop and after a fork."""

    def __init__(self) -> None:
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Starts without connections. A forked child keeps its parent's alive, and neither uses nor closes them."""
        self._parents = dict(self.__dict__)
        self._lock = threading.Lock()
        self._users: WeakSet[Any] = WeakSet()
        self._clients: ClientPool[httpx.Client] | None = None
        self._background: BackgroundLoop | None = None

    def clients(self, user: object) -> "ClientPool[httpx.Client]":
        """Returns the blocking clients, and counts `user` among those who need them."""
        with self._lock:
            self._users.add(user)
            if self._clients is None:
                self._clients = ClientPool(make_client, KEEP_ALIVE)
            return self._clients

    def background(self, user: object) -> BackgroundLoop:
        """Returns the event loop of awaiting requests, and counts `user` among those who need it."""
        with self._lock:
            self._users.add(user)
            if self._background is None:
                self._background = BackgroundLoop()
            return self._background

    def run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs a coroutine in the event loop of awaiting requests and blocks until it ends; raises what it raises."""
        try:
            self.background(work).run(work)
        finally:
            self.release(work)

    def notify(self, wake: Callable[[], object]) -> None:
        """Wakes a caller whose turn may have come, behind the requests that the background loop is about to send.

        So no more requests are admitted than are sent, and the first refusal stops those that are not.

        Args:
            wake: Wakes the caller; called from any thread.

        Raises:
            RuntimeError: The caller's event loop is closed, and no background loop runs.
        """
        background = self._background
        if background is None or not background.call(wake):
            wake()

    def release(self, user: object) -> None:
        """Closes all connections if nobody but `user` needs them."""
        with self._lock:
            self._users.discard(user)
            if self._users:
                return
            clients, background = self._clients, self._background
            self._clients = self._background = None
        if clients is not None:
            for client in clients.empty():
                client.close()
        if background is not None:
            background.close()

    def close(self) -> None:
        """Closes all connections at the end of the process."""
        self._users.clear()
        self.release(self)


POOLS = PoolManager()
atexit.register(POOLS.close)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=POOLS.reset_after_fork)
