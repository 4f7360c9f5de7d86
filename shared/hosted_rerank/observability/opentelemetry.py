"""Reports a call to OpenTelemetry: a span, a span below it for each of several requests, and metrics.

Names are those of the GenAI conventions, if they have one
(https://github.com/open-telemetry/semantic-conventions-genai); other names begin with `hosted_rerank`. The query is
recorded only with `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true`; documents and keys never are. This module
uses only OpenTelemetry's API, not its SDK.
"""

import os
import time
from collections.abc import Generator, Mapping, Sized
from contextlib import contextmanager
from contextvars import Token
from functools import cache
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from opentelemetry import context, metrics, trace
from opentelemetry.propagate import inject
from opentelemetry.trace import Span, SpanKind, StatusCode

from hosted_rerank.errors import RerankError
from hosted_rerank.observability.events import CallObserver
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.response import RerankResponse
from hosted_rerank.wire import Call, Outcome

_PROVIDER_NAMES = {
    "azure": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "vertex": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
}
"""The names of providers in the conventions, if they differ from the provider's name here."""
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = tuple(4.0**power for power in range(14))


_LENT_SPAN = context.create_key("hosted_rerank.lent_span")


@contextmanager
def recording_on(span: Span) -> Generator[None]:
    """Lets the calls of the body record on a span that another instrumentation made for them, in place of their own.

    Args:
        span: The span. Its maker ends it.
    """
    token = context.attach(context.set_value(_LENT_SPAN, span))
    try:
        yield
    finally:
        context.detach(token)


class _BatchSpan(NamedTuple):
    """The span of one of several requests."""

    span: Span
    token: Token[context.Context]
    """Restores the context before it."""


class TracedCall(CallObserver):
    """Reports one call to OpenTelemetry and to the log.

    Args:
        endpoint: Where the call is sent.
        call: The query and the documents.
    """

    def __init__(self, endpoint: Endpoint, call: Call) -> None:
        self._meters = _meters()
        target = urlsplit(endpoint.url)
        self._attributes: dict[str, Any] = {
            "gen_ai.operation.name": "rerank",
            "gen_ai.provider.name": _PROVIDER_NAMES.get(endpoint.provider.name, endpoint.provider.name),
        }
        if target.hostname:
            self._attributes["server.address"] = target.hostname
            self._attributes["server.port"] = target.port or (443 if target.scheme == "https" else 80)
        if endpoint.model:
            self._attributes["gen_ai.request.model"] = endpoint.model
        self._request_attributes: dict[str, Any] = {}
        if isinstance(call.documents, Sized):  # the arguments are not checked yet
            self._request_attributes["hosted_rerank.documents"] = len(call.documents)
        if call.top_n is not None:
            self._request_attributes["gen_ai.retrieval.top_k"] = call.top_n
        if os.environ.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "").lower() == "true":
            self._request_attributes["gen_ai.retrieval.query.text"] = call.query

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        lent = context.get_value(_LENT_SPAN)
        self._ends_span = not isinstance(lent, Span)
        self._span = lent if isinstance(lent, Span) else self._start_span()
        self._span.set_attributes({**self._attributes, **self._request_attributes})
        self._context = trace.set_span_in_context(self._span)
        self._token = context.attach(self._context)
        return self

    def _start_span(self) -> Span:
        name = f"rerank {self._attributes.get('gen_ai.request.model', '')}".rstrip()
        return _tracer().start_span(name, kind=SpanKind.CLIENT, attributes=self._attributes)

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        context.detach(self._token)
        if error is not None:
            self._attributes["error.type"] = type(error).__name__
            _record_error(self._span, error)
        self._meters.duration.record(time.monotonic() - self._started, self._attributes, context=self._context)
        if self._ends_span:
            self._span.end()

    def on_response(self, response: RerankResponse) -> None:
        """Sets the attributes of the response on the span, and counts its tokens."""
        usage = response.usage
        tokens = usage.tokens
        if response.model:
            self._attributes["gen_ai.response.model"] = response.model
        if response.error is not None:  # documents stay unscored
            self._attributes["error.type"] = type(response.error).__name__
        self._span.set_attributes(
            {
                **{
                    name: value
                    for name, value in self._attributes.items()
                    if name.startswith(("gen_ai.response", "error"))
                },
                "hosted_rerank.answered_by": response.provider,
                "hosted_rerank.results": len(response.results),
                "hosted_rerank.sent": response.sent,
                "hosted_rerank.deduplicated": response.deduplicated,
                "hosted_rerank.cached": response.cached,
                "hosted_rerank.requests": response.attempts,
                "hosted_rerank.request_ids": list(response.request_ids),
                **{f"hosted_rerank.usage.{name}": count for name, count in usage.units.items()},
                **({} if tokens is None else {"gen_ai.usage.input_tokens": tokens}),
            }
        )
        if tokens is not None:
            counted = {**self._attributes, "gen_ai.token.type": "input"}
            self._meters.tokens.record(tokens, counted, context=self._context)

    def on_batch_start(self, documents: int) -> _BatchSpan:
        """Starts a span below the call's, which is the current one until `on_batch_end`."""
        attributes = {**self._attributes, "hosted_rerank.documents": documents}
        span = _tracer().start_span("rerank request", self._context, SpanKind.CLIENT, attributes)
        return _BatchSpan(span, context.attach(trace.set_span_in_context(span, self._context)))

    def on_batch_end(self, span: _BatchSpan, attempts: int, error: RerankError | None) -> None:
        """Ends the span of one of several requests."""
        context.detach(span.token)
        span.span.set_attribute("hosted_rerank.requests", attempts)
        if error is not None:
            _record_error(span.span, error)
        span.span.end()

    def trace_headers(self) -> Mapping[str, str]:
        """Returns the headers of the propagators that are set up, `traceparent` by default."""
        headers: dict[str, str] = {}
        inject(headers)
        return headers

    def on_request_start(self) -> None:
        """Counts a request in flight."""
        self._meters.in_flight.add(1, self._attributes, context=self._context)

    def on_request_end(self, provider: str, documents: int, outcome: Outcome | None, seconds: float) -> None:
        """Counts requests in flight."""
        super().on_request_end(provider, documents, outcome, seconds)
        self._meters.in_flight.add(-1, self._attributes, context=self._context)

    def on_retry(self, provider: str, attempts: int, seconds: float, reason: str) -> None:
        """Adds an event to the span."""
        super().on_retry(provider, attempts, seconds, reason)
        event: dict[str, Any] = {
            "gen_ai.provider.name": provider,
            "attempt": attempts,
            "wait": seconds,
            "reason": reason,
        }
        self._span.add_event("hosted_rerank.retry", event)

    def on_circuit_open(self, provider: str, reason: str) -> None:
        """Adds an event to the span."""
        super().on_circuit_open(provider, reason)
        self._span.add_event("hosted_rerank.circuit_open", {"gen_ai.provider.name": provider, "reason": reason})

    def on_passthrough(self, error: RerankError) -> None:
        """Adds an event to the span."""
        super().on_passthrough(error)
        self._span.add_event("hosted_rerank.passthrough", {"error.type": type(error).__name__})

    def on_fallback(self, provider: str, error: RerankError) -> None:
        """Adds an event to the span."""
        super().on_fallback(provider, error)
        event = {"gen_ai.provider.name": provider, "error.type": type(error).__name__}
        self._span.add_event("hosted_rerank.fallback", event)


def _record_error(span: Span, error: BaseException) -> None:
    """Records an error on a span; the message of a `RerankError` has no key and no document in it."""
    span.set_attribute("error.type", type(error).__name__)
    span.set_status(StatusCode.ERROR, str(error) if isinstance(error, RerankError) else None)


class _Meters:
    """The instruments of the process."""

    def __init__(self) -> None:
        meter = metrics.get_meter("hosted_rerank")
        self.duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "Duration of a rerank; failed ones have error.type.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Input tokens of a rerank.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self.in_flight = meter.create_up_down_counter(
            "hosted_rerank.client.requests", "{request}", "HTTP requests in flight."
        )


@cache
def _meters() -> _Meters:
    return _Meters()


@cache
def _tracer() -> trace.Tracer:
    return trace.get_tracer("hosted_rerank")
