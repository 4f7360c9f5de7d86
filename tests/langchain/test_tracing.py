"""Tracing: one run for each rerank, below its caller's, with numbers and ids and no text."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

pytest.importorskip("langchain_core")

from langchain_core.runnables import RunnableLambda
from langchain_core.tracers import LangChainTracer
from langchain_core.tracers.base import BaseTracer
from langchain_core.tracers.schemas import Run

from hosted_rerank import RerankError, ServerError
from langchain_hosted_rerank import FireworksRerank, NebiusRerank, RerankRetriever
from tests.adapters.fixtures import Asking, Do
from tests.conftest import KEY, QUERY
from tests.hostile import HostileServer, eventually, ranked, ranking, reply, silence
from tests.langchain.shelf import Shelf, documents

SECRET = "the patient in room twelve has a rare illness"
USAGE = {"prompt_tokens": 40, "total_tokens": 42, "search_units": 1}
COUNTED = {"input_tokens": 42, "output_tokens": 0, "total_tokens": 42}
UNITS = {"search_units": 1}
ABOUT = {
    "ls_provider": "fireworks",
    "ls_model_name": "accounts/fireworks/models/qwen3-reranker-8b",
    "ls_model_type": "rerank",
}


# LangChain's older tracers ask pydantic in its older way.
pytestmark = pytest.mark.filterwarnings("ignore:The `(construct|copy|dict)` method is deprecated")


class Recorder(BaseTracer):
    """Keeps each tree of runs whose root has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.roots: list[Run] = []

    def _persist_run(self, run: Run) -> None:
        self.roots.append(run)

    @property
    def runs(self) -> list[Run]:
        """All runs, parents before their children."""
        found = list(self.roots)
        for run in found:
            found.extend(run.child_runs)
        return found

    def reranks(self) -> list[Run]:
        return [run for run in self.runs if run.name.endswith("Rerank")]


class Client:
    """A LangSmith client that keeps what would be uploaded."""

    def __init__(self) -> None:
        self.ended: list[dict[str, Any]] = []
        self.tracing_queue = None

    def create_run(self, **_: Any) -> None:
        pass

    def update_run(self, **run: Any) -> None:
        self.ended.append(run)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def described(run: Run) -> str:
    return repr([run.inputs, run.outputs, run.extra, run.error, run.events, run.serialized, run.tags])


def test_run(asking: Asking, do: Do, server: HostileServer, recorder: Recorder) -> None:
    """A run shows the question, counts, scores, model, usage, request ids, attempts and latency."""
    answer = ranked(0.25, 0.75, 0.5, 0.125, usage=USAGE, model="qwen-as-served")
    server.play(reply(503, retry_after="0"), reply(200, answer, x_request_id="req-1"))
    reranker = asking(FireworksRerank, top_n=2, max_retries=1)
    do(reranker, "compress_documents", documents(), QUERY, callbacks=[recorder])
    (run,) = recorder.runs
    assert (run.name, run.run_type, run.error) == ("FireworksRerank", "chain", None)
    assert run.inputs == {"query": QUERY, "documents": 4, "top_n": 2}
    assert run.outputs is not None
    assert run.outputs.pop("elapsed") > 0
    assert run.outputs == {
        "results": [{"index": 1, "relevance_score": 0.75}, {"index": 2, "relevance_score": 0.5}],
        "provider": "fireworks",
        "model": "qwen-as-served",
        "sent": 4,
        "deduplicated": 0,
        "cached": 0,
        "score_transform": "none",
        "request_ids": ["req-1"],
        "attempts": 2,
        "usage_metadata": COUNTED,
        "usage_units": UNITS,
    }
    assert run.metadata.items() >= ABOUT.items()


def test_run_with_the_model_of_a_call(asking: Asking, do: Do, recorder: Recorder) -> None:
    """A run names the model that the call asks for."""
    reranker = asking(FireworksRerank, model="m-1")
    do(reranker, "compress_documents", documents(), QUERY, callbacks=[recorder], model="m-2")
    (run,) = recorder.runs
    assert run.outputs is not None
    assert (run.metadata["ls_model_name"], run.outputs["model"]) == ("m-2", "m-2")


@pytest.mark.parametrize("call", ["compress_documents", "rerank", "invoke"])
def test_below_the_caller(asking: Asking, do: Do, recorder: Recorder, call: str) -> None:
    """However it is called, a rerank is one run, and the child of the run that called it."""
    reranker = asking(NebiusRerank)
    given = [{"query": QUERY, "documents": documents()}] if call == "invoke" else [documents(), QUERY]

    def step(_: str) -> int:
        return len(getattr(reranker, call)(*given))

    async def astep(_: str) -> int:
        return len(await getattr(reranker, f"a{call}")(*given))

    config = {"callbacks": [recorder], "run_name": "outer", "tags": ["t"], "metadata": {"user": "u-1"}}
    do(RunnableLambda(step, afunc=astep), "invoke", QUERY, config)
    outer, inner = recorder.runs
    assert (outer.name, inner.name) == ("outer", "NebiusRerank")
    assert inner.parent_run_id == outer.id
    assert inner.tags == ["t"]
    assert inner.metadata.items() >= {"ls_provider": "nebius", "user": "u-1"}.items()
    assert config["metadata"] == {"user": "u-1"}


def test_below_the_retrievers(asking: Asking, do: Do, recorder: Recorder) -> None:
    """In a retriever, ours or LangChain's, the rerank is a run beside the base retriever's, below the whole one's."""
    retrievers = pytest.importorskip("langchain_classic.retrievers")
    shelf, reranker = Shelf(documents=documents()), asking(FireworksRerank)
    ours = RerankRetriever(base_retriever=shelf, reranker=reranker)
    theirs = retrievers.ContextualCompressionRetriever(base_retriever=shelf, base_compressor=reranker)
    for retriever in (ours, theirs):
        do(retriever, "invoke", QUERY, {"callbacks": [recorder]})
        root = recorder.roots.pop()
        assert [child.name for child in root.child_runs] == ["Shelf", "FireworksRerank"]
        assert [child.parent_run_id for child in root.child_runs] == [root.id] * 2


def test_name_and_tags_of_a_config(asking: Asking, do: Do, recorder: Recorder) -> None:
    """A config names the run, and its tags and metadata are on it."""
    config = {"callbacks": [recorder], "run_name": "mine", "tags": ["t"], "metadata": {"user": "u-1"}}
    do(asking(FireworksRerank), "invoke", {"query": QUERY, "documents": documents()}, config)
    (run,) = recorder.runs
    assert (run.name, run.tags) == ("mine", ["t"])
    assert run.metadata.items() >= ({"user": "u-1"} | ABOUT).items()


def test_no_documents_in_runs(asking: Asking, do: Do, server: HostileServer, recorder: Recorder) -> None:
    """Neither a run that ends well nor one that fails holds a document's text, its metadata or the key."""
    items = documents(SECRET, "salmon", note=SECRET)
    for act in (ranking(), reply(503, SECRET), reply(422, {"detail": [{"msg": SECRET, "input": SECRET}]})):
        server.play(act)
        for on_error in ("raise", "passthrough"):
            with suppress(RerankError):
                reranker = asking(FireworksRerank, on_error=on_error)
                do(reranker, "compress_documents", items, QUERY, callbacks=[recorder])
    assert [run.error is not None for run in recorder.runs] == [False, False, True, False, True, True]
    assert not [run for run in recorder.runs if "twelve" in described(run) or KEY in described(run)]


def test_documents_in_runs_if_asked_for(asking: Asking, do: Do, recorder: Recorder) -> None:
    """`trace_documents` puts the documents into the run: all of them in, the best of them out."""
    reranker = asking(FireworksRerank, trace_documents=True, top_n=1)
    do(reranker, "compress_documents", documents("swift", "salmon"), QUERY, callbacks=[recorder])
    (run,) = recorder.runs
    assert [document.page_content for document in run.inputs["documents"]] == ["swift", "salmon"]
    assert run.outputs is not None
    assert [document.page_content for document in run.outputs["documents"]] == ["salmon"]


def test_failure(asking: Asking, do: Do, server: HostileServer, recorder: Recorder) -> None:
    """A rerank that raises is a run that ended with the error."""
    server.play(reply(503))
    with pytest.raises(ServerError):
        do(asking(FireworksRerank), "compress_documents", documents(), QUERY, callbacks=[recorder])
    (run,) = recorder.runs
    assert run.error is not None
    assert "fireworks answered 503" in run.error
    assert run.end_time is not None


def test_passthrough(asking: Asking, do: Do, server: HostileServer, recorder: Recorder) -> None:
    """A failure that is passed over is no error of the run, and is marked on it."""
    server.play(reply(503))
    reranker = asking(FireworksRerank, on_error="passthrough", top_n=2)
    do(reranker, "compress_documents", documents(), QUERY, callbacks=[recorder])
    (run,) = recorder.runs
    assert run.error is None
    assert run.outputs is not None
    assert run.outputs["passthrough"] == "ServerError"
    assert [result["relevance_score"] for result in run.outputs["results"]] == [None, None]


def test_nothing_to_rank(asking: Asking, do: Do, recorder: Recorder) -> None:
    """Without documents there is a run too, with no attempt and no usage."""
    do(FireworksRerank(), "compress_documents", [], QUERY, callbacks=[recorder])
    (run,) = recorder.runs
    assert run.inputs["documents"] == 0
    assert run.outputs is not None
    assert (run.outputs["results"], run.outputs["attempts"], run.outputs.get("usage_metadata")) == ([], 0, None)


async def test_cancellation(asking: Asking, server: HostileServer, recorder: Recorder) -> None:
    """A cancelled rerank ends its run, with an error."""
    server.play(silence())
    call = asking(FireworksRerank).acompress_documents(documents(), QUERY, callbacks=[recorder])
    task = asyncio.create_task(call)
    assert await asyncio.to_thread(eventually, lambda: len(server.requests) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (run,) = recorder.runs
    assert run.error is not None


def test_usage_where_langsmith_reads_it(asking: Asking, do: Do, server: HostileServer) -> None:
    """LangChain's own tracer uploads the usage in the run's metadata, where LangSmith counts tokens and cost."""
    server.play(reply(200, ranked(0.25, 0.75, 0.5, 0.125, usage=USAGE)))
    client = Client()
    tracer = LangChainTracer(client=client)  # type: ignore[arg-type]
    do(asking(FireworksRerank), "compress_documents", documents(), QUERY, callbacks=[tracer])
    (run,) = client.ended
    assert run["outputs"]["usage_metadata"] == COUNTED
    assert run["extra"]["metadata"].items() >= (ABOUT | {"usage_metadata": COUNTED, "usage_units": UNITS}).items()
