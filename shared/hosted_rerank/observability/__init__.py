"""Reports what happens during a call: log events and OpenTelemetry."""

import os
import sys
from collections.abc import Callable

from hosted_rerank.observability.events import NULL_OBSERVER, CallObserver
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.wire import Call


def observer_for(endpoint: Endpoint, call: Call) -> CallObserver:
    """Returns the observer of a call: one for OpenTelemetry if the process has imported it, else one for the log.

    `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`, a list with commas, switches OpenTelemetry off if it names `hosted_rerank`.

    Args:
        endpoint: Where the call is sent.
        call: The query and the documents.
    """
    if "opentelemetry.trace" not in sys.modules or _is_switched_off():
        return NULL_OBSERVER
    from hosted_rerank.observability.opentelemetry import TracedCall  # noqa: PLC0415 - its package is an extra

    make: Callable[[Endpoint, Call], CallObserver] = TracedCall
    return make(endpoint, call)


def _is_switched_off() -> bool:
    disabled = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "")
    return "hosted_rerank" in map(str.strip, disabled.split(","))
