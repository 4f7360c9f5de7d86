"""A call as OpenTelemetry sees it: spans, events and metrics, without a text and without a key; and the log's lines."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hosted_rerank import RerankError, ServerError
from tests.bounded import patience
from tests.conftest import DOCUMENTS, KEY, QUERY, Acme, Rerank
from tests.crowd import alarmed
from tests.hostile import HostileServer, ranked, ranking, reply
from tests.tracing import provider


@pytest.fixture(scope="module")
def exporters() -> tuple[InMemorySpanExporter, InMemoryMetricReader]:
    """The process has one provider of each for good."""
    spans, readings = InMemorySpanExporter(), InMemoryMetricReader()
    provider().add_span_processor(SimpleSpanProcessor(spans))
    metrics.set_meter_provider(MeterProvider([readings]))
    return spans, readings


@pytest.fixture
def spans(exporters: tuple[InMemorySpanExporter, InMemoryMetricReader]) -> Iterator[InMemorySpanExporter]:
    exporters[0].clear()
    yield exporters[0]
    told = "".join(map(ReadableSpan.to_json, exporters[0].get_finished_spans()))
    assert KEY not in told
    assert not [text for text in (QUERY, *DOCUMENTS) if text in told]


def points(readings: InMemoryMetricReader) -> dict[str, list[Any]]:
    """The data points by instrument."""
    data = readings.get_metrics_data()
    return {
        metric.name: list(metric.data.data_points)
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_span_with_the_model_of_a_call(acme: Acme, rerank: Rerank, spans: InMemorySpanExporter) -> None:
    """The span names the model that the call asks for."""
    rerank(acme(model="m-1"), model="m-2")
    (span,) = spans.get_finished_spans()
    assert (span.name, (span.attributes or {})["gen_ai.request.model"]) == ("rerank m-2", "m-2")


def test_span_of_what_is_no_list(acme: Acme, rerank: Rerank, spans: InMemorySpanExporter) -> None:
    """Documents that are no list fail with the same words as without OpenTelemetry, and with a span."""
    with pytest.raises(TypeError, match=r"not generator: pass list\(\.\.\.\)"):
        rerank(acme(), documents=(text for text in DOCUMENTS))
    (span,) = spans.get_finished_spans()
    assert not span.status.is_ok


def test_switched_off(acme: Acme, rerank: Rerank, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenTelemetry's variable for instrumentations that are off switches ours off."""
    monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "redis, hosted_rerank")
    rerank(acme())
    assert spans.get_finished_spans() == ()
    monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "redis")
    rerank(acme())
    assert len(spans.get_finished_spans()) == 1


def test_span(server: HostileServer, acme: Acme, rerank: Rerank, spans: InMemorySpanExporter) -> None:
    """One client span for a rerank, below the caller's, under the conventions' names; usage and model are on it."""
    answer = ranked(0.25, 0.75, 0.5, usage={"prompt_tokens": 40, "total_tokens": 42}, model="as-served")
    server.play(reply(200, answer, x_request_id="req-1"))
    with trace.get_tracer("test").start_as_current_span("caller"):
        rerank(acme(model="m-1"), top_n=2)
    span, caller = spans.get_finished_spans()
    assert (span.name, span.kind, caller.name) == ("rerank m-1", trace.SpanKind.CLIENT, "caller")
    assert span.parent is not None
    assert span.parent.span_id == caller.get_span_context().span_id
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "rerank",
        "gen_ai.provider.name": "acme",
        "gen_ai.request.model": "m-1",
        "gen_ai.response.model": "as-served",
        "gen_ai.retrieval.top_k": 2,
        "gen_ai.usage.input_tokens": 42,
        "server.address": "127.0.0.1",
        "server.port": int(server.url.rpartition(":")[2]),
        "hosted_rerank.answered_by": "acme",
        "hosted_rerank.documents": 3,
        "hosted_rerank.results": 2,
        "hosted_rerank.sent": 3,
        "hosted_rerank.deduplicated": 0,
        "hosted_rerank.cached": 0,
        "hosted_rerank.requests": 1,
        "hosted_rerank.request_ids": ("req-1",),
    }


def test_several_requests(server: HostileServer, acme: Acme, rerank: Rerank, spans: InMemorySpanExporter) -> None:
    """Each of several requests has a span below the rerank's; one alone has none."""
    rerank(acme(batch_size=1))
    *requests, whole = spans.get_finished_spans()
    assert [span.name for span in requests] == ["rerank request"] * 3
    assert all(span.parent and span.parent.span_id == whole.get_span_context().span_id for span in requests)
    assert all((span.attributes or {})["hosted_rerank.requests"] == 1 for span in requests)


def test_retry(
    server: HostileServer,
    acme: Acme,
    rerank: Rerank,
    spans: InMemorySpanExporter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A retry is an event of the span, and one line of the log at INFO."""
    server.play(reply(503, {"error": DOCUMENTS[0]}, retry_after="0"), ranking())
    with caplog.at_level(logging.INFO, "hosted_rerank"):
        rerank(acme(max_retries=1))
    (span,) = spans.get_finished_spans()
    (event,) = span.events
    assert (event.name, (event.attributes or {})["reason"]) == ("hosted_rerank.retry", "status 503")
    (line,) = [record for record in caplog.records if record.name == "hosted_rerank"]
    assert (line.levelname, "acme: attempt 1 failed (status 503)" in line.getMessage()) == ("INFO", True)


def test_fallback(
    server: HostileServer,
    acme: Acme,
    rerank: Rerank,
    spans: InMemorySpanExporter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A fallback is an event, a warning, and the name of who answered; the rerank itself did not fail."""
    server.play(reply(500, "no"), ranking())
    other = acme(row={"name": "other"}, api_key="sk-other")
    rerank(acme(fallbacks=[other]))
    (span,) = spans.get_finished_spans()
    assert [event.name for event in span.events] == ["hosted_rerank.fallback"]
    assert (span.attributes or {})["hosted_rerank.answered_by"] == "other"
    assert span.status.status_code is trace.StatusCode.UNSET
    assert [record.levelname for record in caplog.records if record.name == "hosted_rerank"] == ["WARNING"]


def test_failure(server: HostileServer, acme: Acme, rerank: Rerank, spans: InMemorySpanExporter) -> None:
    """A failure is the span's status and its `error.type`; what the server quotes of a text is not told."""
    server.play(reply(500, {"error": f"cannot rank {DOCUMENTS[0]} for {QUERY} with {KEY}"}))
    with pytest.raises(ServerError):
        rerank(acme())
    (span,) = spans.get_finished_spans()
    assert (span.attributes or {})["error.type"] == "ServerError"
    assert span.status.status_code is trace.StatusCode.ERROR


def test_open_circuit_is_told_once(
    server: HostileServer,
    acme: Acme,
    rerank: Rerank,
    spans: InMemorySpanExporter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The failure that opens the circuit says so, in an event and a warning; those after it do not repeat it."""
    server.play(*(reply(500, "no") for _ in range(20)))
    reranker = alarmed(acme())
    for _ in range(14):
        with pytest.raises(RerankError):
            rerank(reranker)
    events = [event.name for span in spans.get_finished_spans() for event in span.events]
    assert events == ["hosted_rerank.circuit_open"]
    warned = [r.getMessage() for r in caplog.records if r.name == "hosted_rerank" and r.levelname == "WARNING"]
    assert len(warned) == 1
    assert warned[0].startswith("Circuit breaker open for acme: requests failed 5 times in a row")


def test_metrics(
    server: HostileServer,
    acme: Acme,
    rerank: Rerank,
    exporters: tuple[InMemorySpanExporter, InMemoryMetricReader],
) -> None:
    """Time, tokens, requests in flight and failures are counted, each with its provider."""
    server.play(reply(200, ranked(0.25, 0.75, 0.5, usage={"total_tokens": 42})), reply(422, "no"))
    reranker, port = acme(), int(server.url.rpartition(":")[2])
    rerank(reranker)
    with pytest.raises(RerankError):
        rerank(reranker)
    found = {
        name: [point for point in each if point.attributes["server.port"] == port]
        for name, each in points(exporters[1]).items()
    }
    (tokens,) = found[TOKENS]
    assert (tokens.sum, tokens.count) == (42, 1)
    assert {point.attributes.get("error.type") for point in found[DURATION]} == {None, "InvalidRequestError"}
    assert [point.value for point in found["hosted_rerank.client.requests"]] == [0]


TOKENS, DURATION = "gen_ai.client.token.usage", "gen_ai.client.operation.duration"


def test_the_question_is_told_if_asked_for(
    acme: Acme,
    rerank: Rerank,
    exporters: tuple[InMemorySpanExporter, InMemoryMetricReader],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The switch of the GenAI conventions adds the question."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    exporters[0].clear()
    rerank(acme())
    (span,) = exporters[0].get_finished_spans()
    assert (span.attributes or {})["gen_ai.retrieval.query.text"] == QUERY


def test_not_imported_where_the_program_does_not(server: HostileServer) -> None:
    """A program without OpenTelemetry does not get it from a rerank, and hears nothing from the log."""
    server.play(reply(503, "no", retry_after="0"), ranking())
    code = (
        "import sys; from hosted_rerank import Reranker\n"
        f"Reranker('vllm', 'm', base_url='{server.url}', max_retries=1).rerank({QUERY!r}, {list(DOCUMENTS)!r})\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=patience(60)
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_nothing_is_asked_without_documents(acme: Acme, rerank: Rerank, spans: InMemorySpanExporter) -> None:
    """With no document there is a span, of a rerank without a request."""
    rerank(acme(), documents=[])
    (span,) = spans.get_finished_spans()
    assert (span.attributes or {})["hosted_rerank.requests"] == 0
