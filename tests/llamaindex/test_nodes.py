"""Nodes: what of them is sent, and what comes back of them."""

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("llama_index.core")

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import (
    Document,
    ImageNode,
    IndexNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeWithScore,
    QueryBundle,
    TextNode,
)

from llamaindex_hosted_rerank import FireworksRerank, HostedRerank
from llamaindex_hosted_rerank.nodes import node_texts
from tests.adapters.fixtures import Asking, Do
from tests.conftest import QUERY
from tests.hostile import HostileServer
from tests.llamaindex.shelf import nodes, scored


class Page(TextNode):
    """A caller's own kind of node."""

    number: int = 0
    handle: Any = None


def test_is_what_llamaindex_takes() -> None:
    """The class is LlamaIndex' own node postprocessor."""
    assert issubclass(HostedRerank, BaseNodePostprocessor)


def test_new_node_with_score_around_the_same_node(asking: Asking, do: Do) -> None:
    """Each result is a new `NodeWithScore`; the node in it is the very one that was passed in, of whatever kind."""
    page = Page(text="a", number=7, handle=threading.Lock(), metadata={"lock": threading.Lock()})
    given = scored(
        page, Document(text="b"), IndexNode(text="c", index_id="i"), Node(text_resource=MediaResource(text="d"))
    )
    best = do(asking(FireworksRerank, top_n=None), "postprocess_nodes", given, query_str=QUERY)
    assert [result.node for result in best] == [old.node for old in given[::-1]]
    assert all(result.node is old.node for result, old in zip(best, given[::-1], strict=True))
    assert not {id(result) for result in best} & {id(old) for old in given}
    assert [old.score for old in given] == [0.5] * 4


def test_query_bundle_and_text(asking: Asking, do: Do, server: HostileServer) -> None:
    """The question comes as a bundle, whose `query_str` counts, or as text."""
    bundle = QueryBundle(QUERY, custom_embedding_strs=["made up"], embedding=[0.5])
    reranker = asking(FireworksRerank)
    assert do(reranker, "postprocess_nodes", nodes(), bundle) == do(
        reranker, "postprocess_nodes", nodes(), query_str=QUERY
    )
    assert [seen.body["query"] for seen in server.requests] == [QUERY, QUERY]


@pytest.mark.parametrize("arguments", [{}, {"query_bundle": QueryBundle("a"), "query_str": "a"}], ids=["none", "two"])
@pytest.mark.parametrize("given", [[], nodes()], ids=["no nodes", "nodes"])
def test_no_question_or_two(asking: Asking, do: Do, given: list[NodeWithScore], arguments: dict[str, Any]) -> None:
    """Without a question, or with two, there is a `ValueError`, whatever there is to rank."""
    with pytest.raises(ValueError, match="query"):
        do(asking(FireworksRerank, on_error="passthrough"), "postprocess_nodes", given, **arguments)


def test_nodes_that_can_be_read_only_once(asking: Asking, do: Do, server: HostileServer) -> None:
    """A generator in the place of a list is refused, and not taken for no nodes."""
    with pytest.raises(TypeError):
        do(asking(FireworksRerank), "postprocess_nodes", iter(nodes()), query_str=QUERY)
    assert server.requests == []


def test_words_in_the_metadata(asking: Asking, do: Do, server: HostileServer) -> None:
    """A node whose words are in the metadata, such as an image with a caption, is ranked by them."""
    titled = TextNode(text="", metadata={"title": "Swift"})
    captioned = ImageNode(image_url="https://example.com/a.png", metadata={"caption": "a heron"})
    best = do(asking(FireworksRerank), "postprocess_nodes", scored(titled, captioned), query_str=QUERY)
    assert server.requests[0].body["documents"] == ["title: Swift", "caption: a heron"]
    assert [result.node for result in best] == [captioned, titled]


MODES = {
    MetadataMode.NONE: "Flies.",
    MetadataMode.EMBED: "title: Swift\n\nFlies.",
    MetadataMode.LLM: "owner: Alma\n\nFlies.",
    MetadataMode.ALL: "title: Swift\nowner: Alma\n\nFlies.",
}


@pytest.mark.parametrize(("mode", "sent"), MODES.items(), ids=str)
def test_metadata_mode(asking: Asking, do: Do, server: HostileServer, mode: MetadataMode, sent: str) -> None:
    """`metadata_mode` says which metadata is sent before the text; without a wish it is what an embedder gets."""
    node = TextNode(
        text="Flies.",
        metadata={"title": "Swift", "owner": "Alma"},
        excluded_embed_metadata_keys=["owner"],
        excluded_llm_metadata_keys=["title"],
    )
    do(asking(FireworksRerank, metadata_mode=mode), "postprocess_nodes", scored(node), query_str=QUERY)
    do(asking(FireworksRerank), "postprocess_nodes", scored(node), query_str=QUERY)
    assert [seen.body["documents"] for seen in server.requests] == [[sent], [MODES[MetadataMode.EMBED]]]


def test_text_fn(asking: Asking, do: Do, server: HostileServer) -> None:
    """A function of the caller's says what is sent of a node; what it finds no text in comes last."""
    given = scored(ImageNode(metadata={"alt": "a bird"}), TextNode(text="b"), ImageNode(metadata={"alt": "a fish"}))
    reranker = asking(FireworksRerank, text_fn=lambda node: node.metadata.get("alt", ""))
    best = do(reranker, "postprocess_nodes", given, query_str=QUERY)
    assert server.requests[0].body["documents"] == ["a bird", "a fish"]
    assert [result.node for result in best] == [given[2].node, given[0].node, given[1].node]


def test_text_fn_that_fails(asking: Asking, do: Do, server: HostileServer) -> None:
    """An error of the caller's function is the caller's, also where outages are passed over; nothing is sent."""
    reranker = asking(FireworksRerank, text_fn=lambda node: node.metadata["gone"], on_error="passthrough")
    with pytest.raises(KeyError, match="gone"):
        do(reranker, "postprocess_nodes", nodes(), query_str=QUERY)
    assert server.requests == []


WRONG = {
    "texts": (["a"], r"nodes\[0\] must be a NodeWithScore, not str: wrap it in NodeWithScore.*\.reranker\.rerank"),
    "nodes": ([TextNode(text="a")], r"not TextNode: wrap it in NodeWithScore\(node=\.\.\.\)$"),
    "generator": ((node for node in ()), r"not generator: pass list\(\.\.\.\)$"),
    "one node": (NodeWithScore(node=TextNode(text="a")), r"not NodeWithScore: pass a list with it$"),
    "mapping": ([{"text": "a"}], r"not dict: pass NodeWithScore\(node=TextNode\(text=\.\.\.\)\)$"),
}


@pytest.mark.parametrize(("given", "remedy"), WRONG.values(), ids=WRONG)
def test_remedies(asking: Asking, do: Do, given: Any, remedy: str) -> None:
    """An error for a wrong input says in one line what to pass instead."""
    with pytest.raises(TypeError, match=remedy):
        do(asking(FireworksRerank), "postprocess_nodes", given, query_str=QUERY)


def test_query_that_is_none(asking: Asking, do: Do, server: HostileServer) -> None:
    """A query that is neither a bundle nor a text is a `TypeError`."""
    with pytest.raises(TypeError, match="query_bundle must be a QueryBundle or a str, not list"):
        do(asking(FireworksRerank), "postprocess_nodes", nodes(), [QUERY])
    assert server.requests == []


def test_model_of_a_call(asking: Asking, do: Do, server: HostileServer) -> None:
    """A single call can take another model."""
    do(asking(FireworksRerank, model="m-1"), "postprocess_nodes", nodes(), query_str=QUERY, model="m-2")
    assert server.requests[0].body["model"] == "m-2"


def test_question_as_text(asking: Asking, do: Do, server: HostileServer) -> None:
    """A question may stand as text where a bundle does, as everywhere in LlamaIndex."""
    do(asking(FireworksRerank), "postprocess_nodes", nodes(), QUERY)
    assert server.requests[0].body["query"] == QUERY


@given(
    st.text(max_size=20),
    st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5) | st.dates(), max_size=3),
    st.lists(st.text(max_size=5), max_size=2),
    st.sampled_from(["\n", " | ", ""]),
)
def test_text_is_what_llama_index_says(
    text: str, metadata: dict[str, Any], left_out: list[str], separator: str
) -> None:
    """A node's text is its content for an embedder, whatever its metadata, separator and template."""
    node = TextNode(text=text, metadata=metadata, excluded_embed_metadata_keys=left_out, metadata_separator=separator)
    (sent,) = node_texts([NodeWithScore(node=node)], None, MetadataMode.EMBED)
    assert sent == node.get_content(metadata_mode=MetadataMode.EMBED)
    node.text_template = "{content} ({metadata_str})"
    (sent,) = node_texts([NodeWithScore(node=node)], None, MetadataMode.EMBED)
    assert sent == node.get_content(metadata_mode=MetadataMode.EMBED)
