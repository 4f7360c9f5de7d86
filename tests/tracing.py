"""The tracer provider of the process: OpenTelemetry lets a program set it once."""

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider


def provider() -> TracerProvider:
    """The one that is set, by whichever test came first."""
    known = trace.get_tracer_provider()
    if not isinstance(known, TracerProvider):
        known = TracerProvider()
        trace.set_tracer_provider(known)
    return known
