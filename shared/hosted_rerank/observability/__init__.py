"""Reports what happens during a call: log events and OpenTelemetry."""

import sys
from collections.abc import Callable

from hosted_rerank.observability.events import NULL_OBSERVER, CallObserver
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.wire import Call


def observer_for(endpoint: Endpoint, call: Call) -> CallObserver:
    """Return who watches a call. OpenTelemetry costs nothing where nothing has imported it."""
    if "opentelemetry.trace" not in sys.modules:
        return NULL_OBSERVER
    from hosted_rerank.observability.opentelemetry import TracedCall  # noqa: PLC0415 - its package is an extra

    make: Callable[[Endpoint, Call], CallObserver] = TracedCall
    return make(endpoint, call)
