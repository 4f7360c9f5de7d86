"""In LangChain's retrieval pipelines: whatever takes another vendor's reranker takes ours."""

from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("langchain_core")

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, BaseDocumentTransformer, Document
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import RunnableLambda

from langchain_hosted_rerank import FireworksRerank, HostedRerank, NebiusRerank
from tests.adapters.fixtures import Asking, Do
from tests.conftest import QUERY
from tests.hostile import HostileServer, reply
from tests.langchain.shelf import TEXTS, Shelf, documents, texts


class WithoutBirds(BaseDocumentTransformer):
    """A filter that needs no query."""

    def transform_documents(self, documents: Sequence[Document], **_: Any) -> Sequence[Document]:
        return [document for document in documents if document.page_content not in {"swift", "heron"}]

    async def atransform_documents(self, documents: Sequence[Document], **_: Any) -> Sequence[Document]:
        return self.transform_documents(documents)


class UpperCase(BaseDocumentCompressor):
    """Another compressor, of the kind that changes what is in a document."""

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        return [document.model_copy(update={"page_content": document.page_content.upper()}) for document in documents]


@pytest.mark.parametrize("kind", [FireworksRerank, NebiusRerank, HostedRerank])
def test_contextual_compression_retriever(asking: Asking, do: Do, kind: type[HostedRerank]) -> None:
    """`ContextualCompressionRetriever` returns the best of what its base retriever finds, and changes none of it."""
    retrievers = pytest.importorskip("langchain_classic.retrievers")
    shelf = Shelf(documents=documents())
    retriever = retrievers.ContextualCompressionRetriever(base_compressor=asking(kind, top_n=2), base_retriever=shelf)
    best = do(retriever, "invoke", QUERY)
    assert [(document.page_content, document.metadata["relevance_score"]) for document in best] == [
        ("heron", 0.75),
        ("dormouse", 0.5),
    ]
    assert shelf.documents == documents()


def test_contextual_compression_retriever_that_finds_nothing(asking: Asking, do: Do, server: HostileServer) -> None:
    """Where the base retriever finds nothing, nothing is asked and nothing comes back."""
    retrievers = pytest.importorskip("langchain_classic.retrievers")
    retriever = retrievers.ContextualCompressionRetriever(
        base_compressor=asking(FireworksRerank), base_retriever=Shelf(documents=[])
    )
    assert do(retriever, "invoke", QUERY) == []
    assert server.requests == []


def test_document_compressor_pipeline(asking: Asking, do: Do, server: HostileServer) -> None:
    """In a `DocumentCompressorPipeline` it works after a filter and before another compressor."""
    compressors = pytest.importorskip("langchain_classic.retrievers.document_compressors")
    pipeline = compressors.DocumentCompressorPipeline(
        transformers=[WithoutBirds(), asking(FireworksRerank, top_n=1), UpperCase()]
    )
    best = do(pipeline, "compress_documents", documents(), QUERY)
    assert texts(best) == ["DORMOUSE"]
    assert server.requests[0].body["documents"] == ["salmon", "dormouse"]


def test_two_rerankers_in_a_pipeline(asking: Asking, do: Do) -> None:
    """A second reranker ranks what the first one kept, and its scores are the ones that stay."""
    compressors = pytest.importorskip("langchain_classic.retrievers.document_compressors")
    first = asking(FireworksRerank, top_n=3, score_key="first_score")
    pipeline = compressors.DocumentCompressorPipeline(transformers=[first, asking(NebiusRerank, top_n=1)])
    (best,) = do(pipeline, "compress_documents", documents(), QUERY)
    assert best.metadata == {"place": 1, "first_score": 0.25, "relevance_score": pytest.approx(2 / 3)}


def test_as_retriever(asking: Asking, do: Do, server: HostileServer) -> None:
    """`as_retriever` makes a retriever over any retriever, or any Runnable that finds documents."""
    reranker = asking(FireworksRerank)
    for base in (Shelf(documents=documents()), RunnableLambda(lambda _: documents())):
        retriever = reranker.as_retriever(base, top_n=2, tags=["mine"])
        assert texts(do(retriever, "invoke", QUERY)) == ["heron", "dormouse"]
        assert (retriever.reranker, retriever.tags) == (reranker, ["mine"])
    assert [seen.body["top_n"] for seen in server.requests] == [2, 2]


def test_failure_reaches_the_caller(asking: Asking, do: Do, server: HostileServer) -> None:
    """An outage comes out of a pipeline as our error, or, if that is asked for, as the input order."""
    retrievers = pytest.importorskip("langchain_classic.retrievers")
    server.play(reply(503))
    reranker = asking(FireworksRerank, top_n=2)
    retriever = retrievers.ContextualCompressionRetriever(
        base_compressor=reranker, base_retriever=Shelf(documents=documents())
    )
    with pytest.raises(Exception, match="fireworks answered 503"):
        do(retriever, "invoke", QUERY)
    reranker.on_error = "passthrough"
    assert texts(do(retriever, "invoke", QUERY)) == list(TEXTS[:2])


def test_langchains_rate_limiter(asking: Asking, do: Do, server: HostileServer) -> None:
    """LangChain's own limiter is asked for each request, also when the call has a deadline."""
    limiter = InMemoryRateLimiter(requests_per_second=200, check_every_n_seconds=0.01, max_bucket_size=1)
    for settings in ({}, {"deadline": 10.0}):
        reranker = asking(FireworksRerank, rate_limiter=limiter, **settings)
        assert len(do(reranker, "compress_documents", documents(), QUERY)) == 3
    assert len(server.requests) == 2
