"""The instrumentations of httpx by OpenTelemetry and Sentry see the requests too, without a key."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from opentelemetry import trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.httpx import HttpxIntegration
from sentry_sdk.transport import Transport

from tests.bounded import patience
from tests.conftest import DOCUMENTS, QUERY
from tests.hostile import HostileServer, Seen
from tests.mocks.conftest import Ask
from tests.tracing import provider

EXPORTER = InMemorySpanExporter()
GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="session")
def exporter() -> InMemorySpanExporter:
    """Keeps the spans of the process; there is no way to remove it."""
    provider().add_span_processor(SimpleSpanProcessor(EXPORTER))
    return EXPORTER


@pytest.fixture
def spans(exporter: InMemorySpanExporter, key: str) -> Iterator[InMemorySpanExporter]:
    """The spans of a test, in which the key is not."""
    exporter.clear()
    yield exporter
    assert key not in "".join(map(ReadableSpan.to_json, exporter.get_finished_spans()))


@pytest.fixture
def instrumented(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """OpenTelemetry's instrumentation of httpx, with all headers that it can capture, cleaned as its manual says."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST", ".*")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS", "authorization")
    HTTPXClientInstrumentor().instrument(tracer_provider=provider())
    yield
    HTTPXClientInstrumentor().uninstrument()


def told(seen: Seen) -> tuple[int, int]:
    """The trace and the span that a request names: once, because repeated headers are joined."""
    version, trace_id, span_id, _ = seen.headers["traceparent"].split("-")
    assert version == "00"
    return int(trace_id, 16), int(span_id, 16)


def own(span: ReadableSpan) -> tuple[int, int]:
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def by_name(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name.startswith(name)]


def ancestors(span: ReadableSpan, spans: InMemorySpanExporter) -> list[str]:
    """The names of the spans above a span."""
    known, names = {own(each): each for each in spans.get_finished_spans()}, []
    while span.parent is not None:
        span = known[span.parent.trace_id, span.parent.span_id]
        names.append(span.name)
    return names


@pytest.mark.parametrize("batch_size", [None, 1])
@pytest.mark.usefixtures("instrumented")
def test_span_of_the_request(
    ask: Ask, server: HostileServer, spans: InMemorySpanExporter, batch_size: int | None
) -> None:
    """Each HTTP request has a client span below the rerank's, and tells the server of that span, once."""
    with trace.get_tracer("test").start_as_current_span("caller"):
        ask(base_url=server.url, model="m-1", batch_size=batch_size)
    requests = by_name(spans, "POST")
    assert sorted(map(own, requests)) == sorted(map(told, server.requests))
    assert len(requests) == (len(DOCUMENTS) if batch_size else 1)
    for span in requests:
        above = ancestors(span, spans)
        assert span.kind is trace.SpanKind.CLIENT
        assert above[0] == ("rerank request" if batch_size else "rerank m-1")
        assert "rerank m-1" in above
        assert above[-1] == "caller"


@pytest.mark.usefixtures("instrumented")
def test_without_a_caller_above(ask: Ask, server: HostileServer, spans: InMemorySpanExporter) -> None:
    """The rerank's span is the root without a span of the caller."""
    ask(base_url=server.url, model="m-1")
    (request,) = by_name(spans, "POST")
    assert "rerank m-1" in ancestors(request, spans)


@pytest.mark.parametrize("batch_size", [None, 1])
def test_trace_goes_on_without_instrumentation(
    ask: Ask, server: HostileServer, spans: InMemorySpanExporter, batch_size: int | None
) -> None:
    """Where nothing instruments httpx, the server is told of our own span: of several requests each of its own."""
    ask(base_url=server.url, model="m-1", batch_size=batch_size)
    ours = by_name(spans, "rerank request" if batch_size else "rerank m-1")
    assert sorted(map(own, ours)) == sorted(map(told, server.requests))


def test_own_traceparent_is_left_alone(ask: Ask, server: HostileServer, spans: InMemorySpanExporter) -> None:
    """A `traceparent` among the caller's headers is what the server is told."""
    ask(base_url=server.url, headers={"Traceparent": GIVEN})
    assert server.requests[0].headers["traceparent"] == GIVEN


@pytest.mark.parametrize("loaded", ["", "import opentelemetry.trace, opentelemetry.propagate"])
def test_nothing_is_injected_without_a_trace(server: HostileServer, loaded: str, way: str) -> None:
    """Without OpenTelemetry, and with its API alone, no header speaks of a trace."""
    call = "reranker.rerank" if way == "blocking" else "asyncio.run(reranker.arerank"
    code = (
        f"{loaded}\nimport asyncio\nfrom hosted_rerank import Reranker\n"
        f"reranker = Reranker('vllm', 'm', base_url={server.url!r})\n"
        f"{call}({QUERY!r}, {list(DOCUMENTS)!r}){')' if way == 'awaiting' else ''}"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=patience(60))
    assert not {"traceparent", "tracestate", "baggage"} & set(server.requests[0].headers)


class Kept(Transport):
    """Keeps what Sentry would be sent."""

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        super().__init__(options)
        self.envelopes: list[Envelope] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.envelopes.append(envelope)

    def payloads(self, kind: str) -> list[dict[str, Any]]:
        """The recorded items of a kind."""
        items = [item for envelope in self.envelopes for item in envelope.items if item.type == kind]
        return [json.loads(item.payload.get_bytes()) for item in items]


@pytest.fixture
def sentry(key: str) -> Iterator[Kept]:
    """Sentry with its integration of httpx alone; what it patches stays, and does nothing when the test is over."""
    kept = Kept()
    sentry_sdk.init(
        dsn="https://public@sentry.example/1",
        transport=kept,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[HttpxIntegration()],
        traces_sample_rate=1.0,
    )
    with sentry_sdk.isolation_scope():
        yield kept
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)
    assert key not in "".join(envelope.serialize().decode() for envelope in kept.envelopes)


def test_sentry(ask: Ask, server: HostileServer, sentry: Kept) -> None:
    """Sentry has a span and a breadcrumb of the request, and its trace reaches the server."""
    with sentry_sdk.start_transaction(name="search"):
        ask(base_url=server.url)
        sentry_sdk.capture_message("ranked")
    (transaction,) = sentry.payloads("transaction")
    (span,) = [span for span in transaction["spans"] if span["op"] == "http.client"]
    assert span["description"] == f"POST {server.url}{server.requests[0].target}"
    (event,) = sentry.payloads("event")
    (crumb,) = [crumb for crumb in event["breadcrumbs"]["values"] if crumb["type"] == "http"]
    assert (crumb["data"]["http.method"] if "http.method" in crumb["data"] else crumb["data"]["method"]) == "POST"
    trace_id = transaction["contexts"]["trace"]["trace_id"]
    assert server.requests[0].headers["sentry-trace"].startswith(f"{trace_id}-{span['span_id']}")


def test_sentry_of_several_requests(ask: Ask, server: HostileServer, sentry: Kept) -> None:
    """Each of several requests of a call has a span in the caller's transaction."""
    with sentry_sdk.start_transaction(name="search"):
        ask(base_url=server.url, batch_size=1)
    (transaction,) = sentry.payloads("transaction")
    spans = [span for span in transaction["spans"] if span["op"] == "http.client"]
    assert len(spans) == len(server.requests) == len(DOCUMENTS)
