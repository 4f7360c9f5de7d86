"""Clients that others wrote, against the local server."""

import pytest

from hosted_rerank.local.fireworks import SERVERLESS
from hosted_rerank.local.model import Model

QUERY = "What is Python?"
DOCUMENTS = ["Cats purr.", "Python is a programming language.", "A snake of the family Pythonidae."]


async def test_langchain_fireworks_completes_a_rerank(base_url: str, model: Model) -> None:
    """LangChain's own Fireworks reranker gets the right documents with the right scores, blocking and awaiting."""
    fireworks = pytest.importorskip("langchain_fireworks")
    from langchain_core._api import LangChainBetaWarning  # noqa: PLC0415 - comes with langchain_fireworks
    from langchain_core.documents import Document  # noqa: PLC0415

    with pytest.warns(LangChainBetaWarning, match="FireworksRerank"):
        reranker = fireworks.FireworksRerank(
            base_url=f"{base_url}/inference/v1", fireworks_api_key="x", model=SERVERLESS, top_n=2
        )
    documents = [Document(text) for text in DOCUMENTS]
    expected = sorted(zip(model.score(QUERY, DOCUMENTS).relevance, DOCUMENTS, strict=True), reverse=True)[:2]
    blocking = reranker.compress_documents(documents, QUERY)
    awaiting = await reranker.acompress_documents(documents, QUERY)
    for compressed in (blocking, awaiting):
        assert [(d.metadata["relevance_score"], d.page_content) for d in compressed] == expected
    reranker.client.close()
    await reranker.async_client.close()
