"""Image nodes: sent with their image to a model that takes images, else by their text."""

from base64 import b64decode
from pathlib import Path

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core.schema import ImageNode, MediaResource, Node, TextNode

from llamaindex_hosted_rerank import HostedRerank
from tests.adapters.fixtures import Asking, Do
from tests.conftest import QUERY
from tests.hostile import HostileServer
from tests.llamaindex.shelf import scored

DATA = "iVBORw0KGgo="


def test_images_of_nodes(asking: Asking, do: Do, server: HostileServer, tmp_path: Path) -> None:
    """An image goes as its URL, or as a data URI of its data or its file, with the text of the node."""
    file = tmp_path / "bird.jpg"
    file.write_bytes(b64decode(DATA))
    given = scored(
        ImageNode(image_url="https://example.com/a.png"),
        ImageNode(image=DATA, text="a bird", image_mimetype="image/webp"),
        ImageNode(image_path=str(file)),
        Node(image_resource=MediaResource(data=DATA.encode(), mimetype="image/gif")),
        ImageNode(text="a fish"),
        TextNode(text="salmon"),
    )
    best = do(asking(HostedRerank, provider="openrouter", top_n=None), "postprocess_nodes", given, query_str=QUERY)
    assert server.requests[0].body["documents"] == [
        {"image": "https://example.com/a.png"},
        {"image": f"data:image/webp;base64,{DATA}", "text": "a bird"},
        {"image": f"data:image/jpeg;base64,{DATA}"},
        {"image": f"data:image/gif;base64,{DATA}"},
        "a fish",
        "salmon",
    ]
    assert {node.node_id for node in best} == {node.node_id for node in given}
    assert all(node.score is not None for node in best)


@pytest.mark.parametrize("text", ["", "a swift"])
@pytest.mark.parametrize("own", [True, False])
def test_the_model_decides(asking: Asking, do: Do, server: HostileServer, text: str, own: bool) -> None:  # noqa: FBT001 - a case
    """A model that takes no images gets the text of a node, also if it is the call's; with one part the image goes."""
    given = scored(ImageNode(image_url="https://a.example/b.png", text=text), TextNode(text="a"))
    reranker = asking(HostedRerank, provider="jina", model="jina-reranker-m0" if own else None)
    other = {"model": None if own else "jina-reranker-m0"}
    do(reranker, "postprocess_nodes", given, query_str=QUERY, **other)
    do(reranker, "postprocess_nodes", given, query_str=QUERY, model="jina-reranker-v3.5")
    first, second = (seen.body["documents"] for seen in server.requests)
    assert first == [{"image": "https://a.example/b.png"}, "a"]
    assert second == ([text, "a"] if text else ["a"])
