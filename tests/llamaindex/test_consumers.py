"""The trace of a rerank in LlamaIndex, in a real consumer: OpenInference."""

from typing import Any

import pytest

pytest.importorskip("llama_index.core")
pytest.importorskip("openinference.instrumentation.llama_index")

from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from llamaindex_hosted_rerank import NebiusRerank
from tests.adapters.fixtures import Asking, Do
from tests.conftest import QUERY
from tests.hostile import HostileServer, ranked, reply
from tests.llamaindex.shelf import engine_with


@pytest.fixture
def spans() -> Any:
    """The spans that OpenInference makes, and those that ours make below them."""
    found, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(found))
    instrumentor = LlamaIndexInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield found
    instrumentor.uninstrument()


def test_openinference(asking: Asking, do: Do, server: HostileServer, spans: InMemorySpanExporter) -> None:
    """A reranker's span below the query's: the question, documents in and out with their scores, model and top_k."""
    server.play(reply(200, ranked(0.25, 0.75, 0.5, 0.125, usage={"total_tokens": 42})))
    do(engine_with(asking(NebiusRerank, model="m-1", top_n=2)), "query", QUERY)
    (span,) = [
        span
        for span in spans.get_finished_spans()
        if (span.attributes or {}).get("openinference.span.kind") == "RERANKER"
    ]
    seen: dict[str, Any] = dict(span.attributes or {})
    above = {each.get_span_context().span_id: each for each in spans.get_finished_spans()}
    assert span.parent is not None
    assert "query" in above[span.parent.span_id].name
    assert (seen["reranker.query"], seen["reranker.model_name"], seen["reranker.top_k"]) == (QUERY, "m-1", 2)
    counts = [
        len({name for name in seen if name.startswith(f"reranker.{side}_documents") and name.endswith(".id")})
        for side in ("input", "output")
    ]
    assert counts == [4, 2]
    scores = [seen[f"reranker.output_documents.{place}.document.score"] for place in range(2)]
    assert scores == [0.75, 0.5]
