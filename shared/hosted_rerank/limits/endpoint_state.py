"""What this process has learned of the services that it asks: one `EndpointState` for each host, key and model.

All rerankers share them, however they were made, so what one call learns the next one knows.
"""

import os
import threading
from collections.abc import Callable

from hosted_rerank.limits.adaptive_rate import AdaptiveRate
from hosted_rerank.limits.circuit_breaker import Health
from hosted_rerank.limits.request_queue import RequestQueue
from hosted_rerank.providers.endpoint import Endpoint

_MOST = 1000
"""EndpointRegistry that are remembered."""


class EndpointState:
    """A model at a host, as one account may use it."""

    def __init__(self, pacer: RequestQueue | None = None) -> None:
        self.pacer = pacer or RequestQueue(AdaptiveRate())
        self.health = Health()
        self.largest: int | None = None
        """Documents of the largest batch that may still be taken; `None` if none was refused."""

    def refused_batch(self, documents: int) -> None:
        """Take note that so many documents were too many for one request."""
        self.largest = max(1, min(self.largest or documents, documents // 2))


class EndpointRegistry:
    """EndpointRegistry by host, key and model.

    Args:
        make: Makes what is known of a service when it is met first.
    """

    def __init__(self, make: Callable[[], EndpointState] = EndpointState) -> None:
        self._make = make
        self.begin()

    def begin(self) -> None:
        """Begin knowing nothing: new, or in a forked child, whose parent's locks may be held for ever."""
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int, str | None], EndpointState] = {}

    def find(self, endpoint: Endpoint, key: str | None) -> EndpointState:
        """Return what is known of the service that an endpoint asks with a key."""
        name = (endpoint.host, hash((key, *endpoint.secrets(None))), endpoint.model)
        found = self._known.get(name)
        if found is None:
            with self._lock:
                found = self._known.setdefault(name, self._make())
                if len(self._known) > _MOST:
                    del self._known[next(iter(self._known))]
        return found


ENDPOINTS = EndpointRegistry()
"""Those of the process."""
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=ENDPOINTS.begin)
