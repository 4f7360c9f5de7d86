"""The text to send for a node, and the nodes in their new order. A node with new metadata is a copy."""

from collections.abc import Callable, Sequence
from typing import Any

from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore

from hosted_rerank import RerankResponse
from hosted_rerank._text import is_blank
from hosted_rerank._validation import check_list
from hosted_rerank.frameworks.settings import PASSTHROUGH_KEY

RETRIEVAL_SCORE_KEY = "retrieval_score"
"""The metadata key of the score that the retrieval gave a node."""


def node_texts(
    nodes: Sequence[NodeWithScore], to_text: Callable[[BaseNode], str] | None, mode: MetadataMode
) -> list[str]:
    """Return the text to send for each node.

    Args:
        nodes: The nodes.
        to_text: Returns the text of a node; `None` uses its content.
        mode: Selects the metadata that the content includes.

    Returns:
        One text for each node. A node with metadata and no text counts as blank.

    Raises:
        TypeError: An item is not a `NodeWithScore`.
    """
    check_list("nodes", nodes, NodeWithScore)
    if to_text is not None:
        return [to_text(node.node) for node in nodes]
    return [_node_text(node.node, mode) for node in nodes]


def _node_text(node: BaseNode, mode: MetadataMode) -> str:
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    return text if mode == MetadataMode.NONE or is_blank(text) else node.get_content(metadata_mode=mode)


def ranked_nodes(
    nodes: Sequence[NodeWithScore], response: RerankResponse, *, keep_retrieval_score: bool
) -> list[NodeWithScore]:
    """Return the nodes in their new order.

    Args:
        nodes: The candidates, which stay unchanged.
        response: The response for these nodes.
        keep_retrieval_score: Whether the metadata of a copy keeps the old score.

    Returns:
        A new `NodeWithScore` for each result, with the score of the reranker. If an outage left a node unscored, its
        score is `None`, and the metadata of a copy names the error.
    """
    reordered: list[NodeWithScore] = []
    for result in response.results:
        old = nodes[result.index]
        node = old.node
        if result.error is not None:
            node = with_hidden_metadata(node, {PASSTHROUGH_KEY: result.error})
        elif PASSTHROUGH_KEY in node.metadata:  # from an earlier reranker
            node = node.model_copy(
                update={"metadata": {k: v for k, v in node.metadata.items() if k != PASSTHROUGH_KEY}}
            )
        if keep_retrieval_score and old.score is not None:
            node = with_hidden_metadata(node, {RETRIEVAL_SCORE_KEY: old.score})
        reordered.append(NodeWithScore(node=node, score=result.relevance_score))
    return reordered


def with_hidden_metadata(node: BaseNode, added: dict[str, Any]) -> BaseNode:
    """Return a copy of a node with more metadata, which is excluded from the text for the LLM and for embeddings."""
    return node.model_copy(
        update={
            "metadata": {**node.metadata, **added},
            "excluded_llm_metadata_keys": [*{**dict.fromkeys(node.excluded_llm_metadata_keys), **added}],
            "excluded_embed_metadata_keys": [*{**dict.fromkeys(node.excluded_embed_metadata_keys), **added}],
        }
    )
