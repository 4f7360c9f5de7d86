"""The trace of a rerank in LlamaIndex, in a real consumer: OpenInference."""

from typing import Any

import pytest

pytest.importorskip("llama_index.core")
pytest.importorskip("openinference.instrumentation.llama_index")

from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hosted_rerank import Reranker, RerankError
from llamaindex_hosted_rerank import NebiusRerank
from tests.adapters.fixtures import Asking, Do
from tests.conftest import QUERY
from tests.hostile import HostileServer, ranked, reply
from tests.llamaindex.shelf import engine_with
from tests.tracing import provider


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
    assert seen["llm.token_count.total"] == 42


def reranker_span(spans: InMemorySpanExporter) -> dict[str, Any]:
    """The attributes of the one span of a reranker."""
    kinds = [dict(span.attributes or {}) for span in spans.get_finished_spans()]
    (seen,) = [each for each in kinds if each.get("openinference.span.kind") == "RERANKER"]
    return seen


def test_openinference_after_a_fallback(
    asking: Asking, do: Do, server: HostileServer, spans: InMemorySpanExporter
) -> None:
    """The reranker's span has the model that answered, tokens, other units and request ids."""
    usage = {"prompt_tokens": 40, "total_tokens": 42, "search_units": 1}
    server.play(reply(503), reply(200, ranked(0.25, 0.75, 0.5, 0.125, usage=usage, model="m-2"), x_request_id="req-1"))
    spare = Reranker("fireworks", "m-2", base_url=server.url, api_key="k", max_retries=0)
    do(engine_with(asking(NebiusRerank, model="m-1", fallbacks=[spare])), "query", QUERY)
    seen = reranker_span(spans)
    assert seen["reranker.model_name"] == "m-2"
    assert (seen["llm.token_count.prompt"], seen["llm.token_count.total"]) == (40, 42)
    assert (seen["hosted_rerank.usage.search_units"], seen["hosted_rerank.request_ids"]) == (1, ("req-1",))
    assert (seen["hosted_rerank.answered_by"], seen["hosted_rerank.fallback_errors"]) == ("fireworks", ("ServerError",))


def test_one_span(asking: Asking, do: Do, server: HostileServer, spans: InMemorySpanExporter) -> None:
    """Where OpenInference makes the span of a rerank, ours has its attributes and no span of its own."""
    own = InMemorySpanExporter()
    processor = SimpleSpanProcessor(own)
    provider().add_span_processor(processor)
    server.play(reply(200, ranked(0.25, 0.75, 0.5, 0.125)))
    do(engine_with(asking(NebiusRerank, model="m-1")), "query", QUERY)
    provider().force_flush()
    processor.shutdown()
    seen = reranker_span(spans)
    assert (seen["gen_ai.operation.name"], seen["hosted_rerank.sent"]) == ("rerank", 4)
    assert not [span for span in own.get_finished_spans() if span.name.startswith("rerank")]


def test_openinference_of_a_failure(asking: Asking, do: Do, server: HostileServer, spans: InMemorySpanExporter) -> None:
    """The span of a failed rerank has the number of its requests, and the requested model."""
    server.play(reply(503, retry_after="0"))
    with pytest.raises(RerankError):
        do(engine_with(asking(NebiusRerank, model="m-1", max_retries=1)), "query", QUERY)
    seen = reranker_span(spans)
    assert (seen["hosted_rerank.requests"], seen["reranker.model_name"]) == (2, "m-1")
