"""Chainlit's tracer of LangChain, which pins versions of its own."""

import json
import os
import tempfile

import pytest

from tests.third_party.conftest import imported

os.environ["CHAINLIT_APP_ROOT"] = tempfile.mkdtemp()  # where it writes settings as it is imported
imported("chainlit")

from chainlit.context import init_http_context
from chainlit.langchain.callbacks import LangchainTracer
from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda

from langchain_hosted_rerank import HostedRerank


@pytest.mark.parametrize("query", ["What is Python?", ""])
async def test_step_is_closed(query: str) -> None:
    """The step of a rerank ends, with what the run shows, or with its error."""
    init_http_context()
    tracer = LangchainTracer()
    documents = [Document("A snake."), Document("A programming language.")]
    chain = RunnableLambda(lambda text: {"query": text, "documents": documents}) | HostedRerank("local")
    try:
        await chain.ainvoke(query, {"callbacks": [tracer]})
    except ValueError:
        assert not query
    (step,) = [step for step in tracer.steps.values() if step.name == "HostedRerank"]
    assert step.end is not None
    assert step.is_error is not bool(query)
    assert not query or json.loads(step.output)["provider"] == "local"
