"""Nodes that cannot be ranked: blank ones, those that an outage hit, and all nodes if the query is no text."""

import copy

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core.schema import (
    ImageNode,
    MediaResource,
    Node,
    QueryBundle,
    TextNode,
)

from hosted_rerank import InvalidRequestError
from llamaindex_hosted_rerank import FireworksRerank
from tests.adapters.fixtures import Asking, Do
from tests.conftest import QUERY
from tests.hostile import HostileServer, Peer, ranking, reply
from tests.llamaindex.shelf import nodes, scored, texts


def test_nodes_without_text(asking: Asking, do: Do, server: HostileServer, caplog: pytest.LogCaptureFixture) -> None:
    """A node that is blank in the `metadata_mode` is not sent; it comes last and unchanged, and one warning says so."""
    image = ImageNode(image_url="https://example.com/a.png", metadata={"file": "a.png"})
    image.excluded_embed_metadata_keys = ["file"]
    picture = Node(image_resource=MediaResource(url="https://example.com/b.png"), metadata={"file": "b.png"})
    captioned = ImageNode(text="a bird", image_url="https://example.com/c.png")
    given = scored(image, TextNode(text="swift"), picture, captioned, TextNode(text=" \n"))
    best = do(asking(FireworksRerank, top_n=None), "postprocess_nodes", given, query_str=QUERY)
    assert server.requests[0].body["documents"] == ["swift", "a bird"]
    assert [result.node for result in best] == [captioned, given[1].node, image, picture, given[4].node]
    (warned,) = [record for record in caplog.records if "hosted_rerank" in record.name]
    assert (warned.levelname, "3 of 5 nodes" in warned.getMessage()) == ("WARNING", True)


UNSCORED = {
    "last": [("salmon", 0.75), ("swift", 0.25), ("", 0.25), (" ", 0.25)],
    "drop": [("salmon", 0.75), ("swift", 0.25)],
    "none": [("salmon", 0.75), ("swift", 0.25), ("", None), (" ", None)],
}


@pytest.mark.parametrize("unscored", UNSCORED)
def test_unscored(asking: Asking, do: Do, server: HostileServer, unscored: str) -> None:
    """Blank nodes come last with the lowest of the scores, are left out, or have no score, as `unscored` says."""
    server.play(ranking(0.25, 0.75))
    reranker = asking(FireworksRerank, top_n=None, unscored=unscored)
    best = do(reranker, "postprocess_nodes", nodes("", "swift", " ", "salmon"), query_str=QUERY)
    assert [(result.node.get_content(), result.score) for result in best] == UNSCORED[unscored]


@pytest.mark.parametrize(("unscored", "score"), [("last", 0.0), ("drop", 0.0), ("none", None)])
def test_nodes_of_a_passthrough(
    asking: Asking, do: Do, server: HostileServer, unscored: str, score: float | None
) -> None:
    """Where an outage is passed over no score of the retrieval stays, and the mark is beside the node, not in it."""
    server.play(reply(503))
    given = nodes(title="Bird")
    before = copy.deepcopy(given)
    reranker = asking(FireworksRerank, on_error="passthrough", unscored=unscored)
    best = do(reranker, "postprocess_nodes", given, query_str=QUERY)
    assert [(result.score, result.rerank_error) for result in best] == [(score, "ServerError")] * 3
    assert given == before
    assert all(result.node is old.node for result, old in zip(best, given, strict=False))


async def in_part(peer: Peer) -> None:
    """Fails for a request with a swift in it, and scores others far below zero, as logits are."""
    documents = peer.seen.body["documents"]
    await (reply(503) if "swift" in documents else ranking(*(-9.0 - place for place in range(len(documents)))))(peer)


def test_part_of_an_outage(asking: Asking, do: Do, server: HostileServer) -> None:
    """What an outage hit stays behind all that was scored, also when a later stage sorts by score."""
    server.play(in_part)
    reranker = asking(FireworksRerank, on_error="passthrough", batch_size=2, top_n=None, score_transform="none")
    best = do(reranker, "postprocess_nodes", nodes("swift", "salmon", "dormouse", "heron"), query_str=QUERY)
    assert [result.score for result in best] == [-9.0, -10.0, -10.0, -10.0]
    assert sorted(best, key=lambda result: result.score, reverse=True) == best
    assert texts(best) == ["dormouse", "heron", "swift", "salmon"]


IMAGE_QUERIES = {
    "image": QueryBundle("", image_path="a.png"),
    "embedding": QueryBundle("", embedding=[0.5]),
    "strings": QueryBundle(" ", custom_embedding_strs=["a bird"]),
}


@pytest.mark.parametrize("query", IMAGE_QUERIES.values(), ids=IMAGE_QUERIES)
def test_query_without_text(
    asking: Asking, do: Do, server: HostileServer, caplog: pytest.LogCaptureFixture, query: QueryBundle
) -> None:
    """For a query that is no text the nodes pass through in their order, marked, where outages are passed over."""
    best = do(asking(FireworksRerank, on_error="passthrough"), "postprocess_nodes", nodes(), query, top_n=2)
    assert [(result.text, result.score, result.rerank_error) for result in best] == [
        ("swift", 0.0, "InvalidRequestError"),
        ("salmon", 0.0, "InvalidRequestError"),
    ]
    assert server.requests == []
    assert sum("no text" in record.getMessage() for record in caplog.records) == 1
    with pytest.raises(InvalidRequestError, match="blank"):
        do(asking(FireworksRerank), "postprocess_nodes", nodes(), query)


def test_blank_question_is_an_error(asking: Asking, do: Do) -> None:
    """A blank question with nothing else in it is a mistake, also where outages are passed over."""
    with pytest.raises(InvalidRequestError, match="blank"):
        do(asking(FireworksRerank, on_error="passthrough"), "postprocess_nodes", nodes(), query_str=" ")
