"""Documents with images: from the metadata, from a function, and as content blocks."""

from typing import Any

import pytest

pytest.importorskip("langchain_core")

from langchain_core.documents import Document

from hosted_rerank import InvalidRequestError
from langchain_hosted_rerank import FireworksRerank, HostedRerank
from tests.adapters.fixtures import Asking, Do
from tests.conftest import QUERY
from tests.hostile import HostileServer

URL = "https://example.com/a.png"
BLOCKS = [{"type": "text", "text": "a swift"}, {"type": "image", "url": URL}]
AS_PARTS = {"image": URL, "text": "a swift"}


def test_image_in_the_metadata(asking: Asking, do: Do, server: HostileServer) -> None:
    """`image_key` names the metadata with an image: a URL or a content block; it goes with the text."""
    given = [
        Document("a swift", metadata={"picture": URL}),
        Document(" ", metadata={"picture": {"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"}}),
        Document("a salmon"),
    ]
    reranker = asking(HostedRerank, provider="openrouter", image_key="picture", top_n=None)
    best = do(reranker, "compress_documents", given, QUERY)
    assert server.requests[0].body["documents"] == [
        AS_PARTS,
        {"image": "data:image/png;base64,iVBORw0KGgo="},
        "a salmon",
    ]
    assert {document.metadata["relevance_score"] is not None for document in best} == {True}


@pytest.mark.parametrize("parts", [AS_PARTS, BLOCKS, [BLOCKS[0], {"type": "image_url", "image_url": {"url": URL}}]])
def test_function_and_blocks(asking: Asking, do: Do, server: HostileServer, parts: Any) -> None:
    """`document_to_text` returns parts or content blocks, and `rerank` takes them."""
    reranker = asking(HostedRerank, provider="openrouter", document_to_text=lambda _: parts)
    do(reranker, "compress_documents", [Document("a")], QUERY)
    do(reranker, "rerank", [parts, "salmon"], QUERY)
    assert [seen.body["documents"] for seen in server.requests] == [[AS_PARTS], [AS_PARTS, "salmon"]]


def test_one_part(asking: Asking, do: Do, server: HostileServer) -> None:
    """Where a document has one part, its image goes in place of its text."""
    reranker = asking(HostedRerank, provider="jina", model="jina-reranker-m0", image_key="picture")
    do(reranker, "compress_documents", [Document("a swift", metadata={"picture": URL}), Document("a salmon")], QUERY)
    assert server.requests[0].body["documents"] == [{"image": URL}, "a salmon"]


def test_refused(asking: Asking, do: Do, server: HostileServer) -> None:
    """An API that takes no images refuses one before any request, and no document has two."""
    given = [Document("a swift", metadata={"picture": URL})]
    with pytest.raises(InvalidRequestError, match=r"documents\[0\] has an image"):
        do(asking(FireworksRerank, image_key="picture"), "compress_documents", given, QUERY)
    with pytest.raises(ValueError, match="several content blocks of type image"):
        do(asking(HostedRerank, provider="openrouter"), "rerank", [[BLOCKS[1], BLOCKS[1]]], QUERY)
    assert server.requests == []
