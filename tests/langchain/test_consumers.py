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

from langchain_hosted_rerank import FireworksRerank
from tests.adapters.fixtures import Asking, Do
from tests.conftest import QUERY
from tests.hostile import HostileServer, eventually, ranked, reply
from tests.langchain.shelf import Shelf, documents

ANSWER = ranked(
    0.25, 0.75, 0.5, 0.125, usage={"prompt_tokens": 40, "total_tokens": 42, "search_units": 1}, model="as-served"
)


@pytest.fixture
def retriever(asking: Asking, server: HostileServer) -> Any:
    server.play(reply(200, ANSWER))
    reranker = asking(FireworksRerank, top_n=2)
    return ContextualCompressionRetriever(base_compressor=reranker, base_retriever=Shelf(documents=documents()))


def test_openinference(retriever: Any, do: Do) -> None:
    """A child of the retriever's span: the question, counts in and out, model, provider, tokens; no document."""
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    instrumentor = LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        do(retriever, "invoke", QUERY)
    finally:
        instrumentor.uninstrument()
    found = {span.name: span for span in spans.get_finished_spans()}
    span, above = found["FireworksRerank"], found["ContextualCompressionRetriever"]
    assert span.parent is not None
    assert span.parent.span_id == above.get_span_context().span_id
    seen = span.attributes or {}
    assert json.loads(str(seen["input.value"])) == {"query": QUERY, "documents": 4, "top_n": 2}
    output = json.loads(str(seen["output.value"]))
    assert [result["relevance_score"] for result in output["results"]] == [0.75, 0.5]
    assert seen["llm.provider"] == "fireworks"
    assert (seen["llm.token_count.prompt"], seen["llm.token_count.total"]) == (42, 42)
    assert not [text for text in ("heron", "dormouse") if text in span.to_json()]


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


async def test_astream_events(retriever: Any) -> None:
    """The events of a stream show the rerank begin and end, below the retriever."""
    events = [event async for event in retriever.astream_events(QUERY, version="v2")]
    ours = [event for event in events if event["name"] == "FireworksRerank"]
    assert len(ours) == 2
    (top,) = {event["run_id"] for event in events if event["name"] == "ContextualCompressionRetriever"}
    assert all(top in event["parent_ids"] for event in ours)
