"""The traces of a rerank in LangChain, in their real consumers: OpenInference, LangSmith's client, `astream_events`."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

pytest.importorskip("langchain_core")
pytest.importorskip("openinference.instrumentation.langchain")
pytest.importorskip("langchain_classic.retrievers")

from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.tracers import LangChainTracer
from langsmith import Client
from langsmith.run_trees import validate_extracted_usage_metadata
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from hosted_rerank import Reranker, ServerError
from langchain_hosted_rerank import FireworksRerank
from tests.adapters.fixtures import Asking, Do
from tests.conftest import KEY, QUERY
from tests.hostile import HostileServer, eventually, ranked, reply
from tests.langchain.shelf import Shelf, documents
from tests.tracing import provider

ANSWER = ranked(
    0.25, 0.75, 0.5, 0.125, usage={"prompt_tokens": 40, "total_tokens": 42, "search_units": 1}, model="as-served"
)


@pytest.fixture
def retriever(asking: Asking, server: HostileServer) -> Any:
    server.play(reply(200, ANSWER))
    reranker = asking(FireworksRerank, top_n=2)
    return ContextualCompressionRetriever(base_compressor=reranker, base_retriever=Shelf(documents=documents()))


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """The spans of OpenInference's instrumentation of LangChain, and of our own, which share the process' provider."""
    exporter, instrumentor = InMemorySpanExporter(), LangChainInstrumentor()
    processor = SimpleSpanProcessor(exporter)
    provider().add_span_processor(processor)
    instrumentor.instrument(tracer_provider=provider())
    yield exporter
    instrumentor.uninstrument()
    processor.shutdown()


def test_openinference(retriever: Any, do: Do, spans: InMemorySpanExporter) -> None:
    """Below the retriever's span a RERANKER: the question, top_k, the model that answered, tokens; no document."""
    do(retriever, "invoke", QUERY)
    found = {span.name: span for span in spans.get_finished_spans()}
    span, above = found["FireworksRerank"], found["ContextualCompressionRetriever"]
    assert span.parent is not None
    assert span.parent.span_id == above.get_span_context().span_id
    seen: dict[str, Any] = dict(span.attributes or {})
    assert seen["openinference.span.kind"] == "RERANKER"
    assert (seen["reranker.query"], seen["reranker.top_k"], seen["reranker.model_name"]) == (QUERY, 2, "as-served")
    assert json.loads(str(seen["input.value"])) == {"query": QUERY, "documents": 4, "top_n": 2}
    output = json.loads(str(seen["output.value"]))
    assert [result["relevance_score"] for result in output["results"]] == [0.75, 0.5]
    assert (seen["llm.token_count.prompt"], seen["llm.token_count.total"]) == (42, 42)
    assert not [text for text in ("heron", "dormouse") if text in span.to_json()]


def test_openinference_with_documents(retriever: Any, do: Do, spans: InMemorySpanExporter) -> None:
    """The span holds the documents where they are asked for: all of them in, and the best of them out, with scores."""
    retriever.base_compressor.trace_documents = True
    do(retriever, "invoke", QUERY)
    (span,) = [span for span in spans.get_finished_spans() if span.name == "FireworksRerank"]
    seen: dict[str, Any] = dict(span.attributes or {})
    contents = [seen[f"reranker.input_documents.{place}.document.content"] for place in range(4)]
    assert contents == ["swift", "salmon", "dormouse", "heron"]
    best = [
        [seen[f"reranker.output_documents.{place}.document.{name}"] for name in ("id", "content", "score", "metadata")]
        for place in range(2)
    ]
    assert best == [["id-1", "salmon", 0.75, '{"place": 1}'], ["id-2", "dormouse", 0.5, '{"place": 2}']]


def test_one_span(retriever: Any, do: Do, spans: InMemorySpanExporter) -> None:
    """Where OpenInference makes the span of a rerank, ours has its attributes and no span of its own."""
    do(retriever, "invoke", QUERY)
    assert [span.name for span in spans.get_finished_spans() if "rerank" in span.name.lower()] == ["FireworksRerank"]
    (span,) = [span for span in spans.get_finished_spans() if span.name == "FireworksRerank"]
    assert (span.attributes or {})["gen_ai.usage.input_tokens"] == 42


def test_failure_in_openinference(retriever: Any, do: Do, server: HostileServer, spans: InMemorySpanExporter) -> None:
    """A rerank that fails is a RERANKER with the error on it."""
    server.play(reply(503))
    with pytest.raises(ServerError):
        do(retriever, "invoke", QUERY)
    (span,) = [span for span in spans.get_finished_spans() if span.name == "FireworksRerank"]
    assert (span.attributes or {})["openinference.span.kind"] == "RERANKER"
    assert span.status.status_code is StatusCode.ERROR


def test_langfuse(retriever: Any, do: Do, way: str) -> None:
    """Langfuse's handler ends the observation of a rerank, below the retriever's, with what the run shows."""
    langfuse = pytest.importorskip("langfuse")
    handlers = pytest.importorskip("langfuse.langchain")
    exporter, key = InMemorySpanExporter(), f"pk-{way}"  # it keeps one client for each key
    client = langfuse.Langfuse(
        public_key=key, secret_key="sk-test", span_exporter=exporter, tracer_provider=TracerProvider()
    )
    do(retriever, "invoke", QUERY, {"callbacks": [handlers.CallbackHandler(public_key=key)]})
    client.flush()
    found = {span.name: span for span in exporter.get_finished_spans()}
    span, above = found["FireworksRerank"], found["ContextualCompressionRetriever"]
    assert span.parent is not None
    assert span.parent.span_id == above.get_span_context().span_id
    seen: dict[str, Any] = dict(span.attributes or {})
    assert seen["langfuse.observation.type"] == "chain"
    assert json.loads(seen["langfuse.observation.output"])["model"] == "as-served"


class Stub(BaseHTTPRequestHandler):
    """LangSmith's endpoint, as far as its client needs it."""

    runs: dict[str, dict[str, Any]]

    def _take(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"] or 0)) or b"{}")
        name = body.get("id") or self.path.rpartition("/")[2]
        known = self.runs.setdefault(str(name), {})
        known |= {key: value for key, value in body.items() if value is not None}
        self._answer()

    def _answer(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_PATCH = _take  # noqa: N815 - http.server's names
    do_GET = _answer  # noqa: N815 - likewise

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def langsmith() -> Iterator[tuple[Client, dict[str, dict[str, Any]]]]:
    runs: dict[str, dict[str, Any]] = {}
    stub = ThreadingHTTPServer(("127.0.0.1", 0), type("OneStub", (Stub,), {"runs": runs}))
    threading.Thread(target=stub.serve_forever, daemon=True).start()
    yield Client(f"http://127.0.0.1:{stub.server_port}", api_key="ls-test", auto_batch_tracing=False), runs
    stub.shutdown()
    stub.server_close()


def test_langsmith(retriever: Any, do: Do, langsmith: tuple[Client, dict[str, dict[str, Any]]]) -> None:
    """Its own client uploads the rerank below the retriever, with usage and model where LangSmith counts cost."""
    client, runs = langsmith
    do(retriever, "invoke", QUERY, {"callbacks": [LangChainTracer(client=client)]})
    assert eventually(lambda: len(runs) >= 3 and all("outputs" in run for run in runs.values()))
    by_name = {run["name"]: run for run in runs.values()}
    run = by_name["FireworksRerank"]
    assert run["parent_run_id"] == by_name["ContextualCompressionRetriever"]["id"]
    assert run["run_type"] == "chain"
    about = run["extra"]["metadata"]
    assert (about["ls_provider"], about["ls_model_type"]) == ("fireworks", "rerank")
    assert about["usage_metadata"] == {"input_tokens": 42, "output_tokens": 0, "total_tokens": 42}
    assert run["outputs"]["usage_metadata"] == validate_extracted_usage_metadata(about["usage_metadata"])
    assert about["usage_units"] == {"search_units": 1}


def test_langsmith_after_a_fallback(
    asking: Asking, do: Do, server: HostileServer, langsmith: tuple[Client, dict[str, dict[str, Any]]]
) -> None:
    """The metadata that LangSmith counts cost by names the provider and the model that answered."""
    client, runs = langsmith
    server.play(reply(503), reply(200, ANSWER))
    fallback = Reranker("vllm", "m-2", api_key=KEY, base_url=server.url)
    reranker = asking(FireworksRerank, max_retries=0, fallbacks=[fallback])
    do(reranker, "compress_documents", documents(), QUERY, [LangChainTracer(client=client)])
    assert eventually(lambda: len(runs) >= 1 and all("outputs" in run for run in runs.values()))
    (run,) = runs.values()
    about = run["extra"]["metadata"]
    assert (about["ls_provider"], about["ls_model_name"]) == ("vllm", "as-served")


async def test_astream_events(retriever: Any) -> None:
    """The events of a stream show the rerank begin and end, below the retriever."""
    events = [event async for event in retriever.astream_events(QUERY, version="v2")]
    ours = [event for event in events if event["name"] == "FireworksRerank"]
    assert len(ours) == 2
    (top,) = {event["run_id"] for event in events if event["name"] == "ContextualCompressionRetriever"}
    assert all(top in event["parent_ids"] for event in ours)
    assert [event["event"] for event in ours] == ["on_chain_start", "on_chain_end"]
    ends = [event for event in events if event["event"] in ("on_llm_end", "on_chat_model_end", "on_retriever_end")]
    assert all(isinstance(event["data"]["output"], list) for event in ends)  # as loops over events expect
