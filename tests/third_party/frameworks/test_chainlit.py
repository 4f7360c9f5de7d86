"""Chainlit's tracer of LangChain, which pins versions of its own."""

import json
from pathlib import Path

import pytest

from tests.third_party.conftest import imported


@pytest.mark.parametrize("query", ["What is Python?", ""])
async def test_step_is_closed(query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step of a rerank ends, with what the run shows, or with its error."""
    monkeypatch.setenv("CHAINLIT_APP_ROOT", str(tmp_path))  # where it writes settings as it is imported
    imported("chainlit.context").init_http_context()
    tracer = imported("chainlit.langchain.callbacks").LangchainTracer()
    runnables, langchain = imported("langchain_core.runnables"), imported("langchain_hosted_rerank")
    document = imported("langchain_core.documents").Document
    documents = [document("A snake."), document("A programming language.")]
    chain = runnables.RunnableLambda(lambda text: {"query": text, "documents": documents}) | langchain.HostedRerank(
        "local"
    )
    try:
        await chain.ainvoke(query, {"callbacks": [tracer]})
    except ValueError:
        assert not query
    (step,) = [step for step in tracer.steps.values() if step.name == "HostedRerank"]
    assert step.end is not None
    assert step.is_error is not bool(query)
    assert not query or json.loads(step.output)["provider"] == "local"
