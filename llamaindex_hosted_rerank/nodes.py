"""What is sent of a node, and how it comes back: always as a copy where anything of it changes."""

from collections.abc import Callable, Sequence
from typing import Any

from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, TextNode

from hosted_rerank import RerankResponse
from hosted_rerank._validation import check_list
from hosted_rerank.frameworks.settings import PASSED_KEY

_TEMPLATES = ("{key}: {value}", "\n", "{metadata_str}\n\n{content}")
"""LlamaIndex's own, for a line of metadata, between such lines, and for a text below them."""

_SEPARATOR = "metadata_seperator" if "metadata_seperator" in TextNode.model_fields else "metadata_separator"
"""The field that joins those lines; misspelt before 0.14."""

RETRIEVAL_SCORE_KEY = "retrieval_score"
"""Metadata key of the score that a node came with."""


def node_texts(
    nodes: Sequence[NodeWithScore], to_text: Callable[[BaseNode], str] | None, mode: MetadataMode
) -> list[str]:
    """Return what is sent of each node: what `to_text` says, or its content; nothing if it has metadata but no text.

    Raises:
        TypeError: One of them is no `NodeWithScore`.
    """
    check_list("nodes", nodes, NodeWithScore)
    if to_text is not None:
        return [to_text(node.node) for node in nodes]
    embedded = _embedded if mode == MetadataMode.EMBED else _nothing
    return [
        _content(node.node, mode) if (text := embedded(node.node)) is None else text  # the usual case, in little work
        for node in nodes
    ]


def _content(node: BaseNode, mode: MetadataMode) -> str:
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    return text if mode == MetadataMode.NONE or not text or text.isspace() else node.get_content(metadata_mode=mode)


def _nothing(_: BaseNode) -> str | None:
    return None


def _embedded(node: BaseNode) -> str | None:
    """What `get_content` says for an embedder, of a plain node with the usual templates, for a tenth of the work."""
    if type(node) is not TextNode:
        return None
    fields = vars(node)  # an attribute of a pydantic model costs six times as much
    if (fields["metadata_template"], fields[_SEPARATOR], fields["text_template"]) != _TEMPLATES:
        return None
    text: str = fields["text"]
    if not fields["metadata"] or not text or text.isspace():
        return text
    left_out = fields["excluded_embed_metadata_keys"]
    lines = [f"{name}: {value!s}" for name, value in fields["metadata"].items() if name not in left_out]
    metadata = "\n".join(lines).strip()
    return f"{metadata}\n\n{text}".strip() if metadata else text


def ranked_nodes(
    nodes: Sequence[NodeWithScore], response: RerankResponse, *, keep_retrieval_score: bool
) -> list[NodeWithScore]:
    """Return the nodes in their new order with the reranker's scores, or with a failure's mark and their own scores."""
    reordered: list[NodeWithScore] = []
    for result in response.results:
        old = nodes[result.index]
        if result.error is not None:
            node = with_metadata(old.node, {PASSED_KEY: result.error})
            reordered.append(NodeWithScore(node=node, score=old.score))
            continue
        node = old.node
        if PASSED_KEY in node.metadata:  # an earlier stage's
            node = node.model_copy(update={"metadata": {k: v for k, v in node.metadata.items() if k != PASSED_KEY}})
        if keep_retrieval_score and old.score is not None:
            node = with_metadata(node, {RETRIEVAL_SCORE_KEY: old.score})
        reordered.append(NodeWithScore(node=node, score=result.relevance_score))
    return reordered


def with_metadata(node: BaseNode, added: dict[str, Any]) -> BaseNode:
    """Return a copy of a node with metadata that neither the LLM nor an embedder gets to read."""
    return node.model_copy(
        update={
            "metadata": {**node.metadata, **added},
            "excluded_llm_metadata_keys": [*{**dict.fromkeys(node.excluded_llm_metadata_keys), **added}],
            "excluded_embed_metadata_keys": [*{**dict.fromkeys(node.excluded_embed_metadata_keys), **added}],
        }
    )
