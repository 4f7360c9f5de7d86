"""The text to send for a node, and the nodes in their new order. A node itself is never copied or changed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore
from pydantic import Field

from hosted_rerank import RerankResponse
from hosted_rerank._validation import check_list
from hosted_rerank.providers.document_parts import DocumentParts
from hosted_rerank.response import PASSAGE
from hosted_rerank.wire import Document
from llamaindex_hosted_rerank.images import node_image

Unscored: TypeAlias = Literal["last", "drop", "none"]
"""The treatment of the nodes that have no score of the reranker."""

_REMEDIES: dict[type, str] = {
    BaseNode: "wrap it in NodeWithScore(node=...)",
    str: "wrap it in NodeWithScore(node=TextNode(text=...)), or call .reranker.rerank(query, texts)",
    object: "pass NodeWithScore(node=TextNode(text=...))",
}


class RerankedNode(NodeWithScore):
    """A node with facts about its rerank. They are beside the node, so its hash, metadata and content stay the same."""

    rerank_error: str | None = Field(
        default=None, description='The name of the error that left the node unscored, with `on_error="passthrough"`.'
    )
    rerank_passage: dict[str, int] | None = Field(
        default=None,
        description=(
            'The place of the best passage, `{"start": ..., "end": ...}` in characters of the text that was sent, with '
            '`long_documents="passages"`.'
        ),
    )
    retrieval_score: float | None = Field(
        default=None, description="The score that the retrieval gave the node, with `keep_retrieval_score=True`."
    )
    extra: dict[str, Any] | None = Field(
        default=None,
        exclude=True,
        repr=False,
        description="The other fields of the result in the API's reply, with `keep_extra=True`. Dumps omit them.",
    )


def node_texts(
    nodes: Sequence[NodeWithScore],
    to_text: Callable[[BaseNode], str] | None,
    mode: MetadataMode,
    images: DocumentParts | None = None,
) -> list[Document]:
    """Return the text to send for each node.

    Args:
        nodes: The nodes.
        to_text: Returns the text of a node; `None` uses its content.
        mode: Selects the metadata that the content includes.
        images: How the API takes images; `None` if the model takes none.

    Returns:
        One text for each node, or its parts.

    Raises:
        TypeError: `nodes` is not a list, or an item is not a `NodeWithScore`.
    """
    check_list("nodes", nodes, NodeWithScore, _REMEDIES)
    if to_text is not None:
        return [to_text(node.node) for node in nodes]
    texts: list[Document] = [node.node.get_content(metadata_mode=mode) for node in nodes]
    if images is not None:
        for index, node in enumerate(nodes):
            if (image := node_image(node.node)) is not None:
                texts[index] = images.with_text({"image": image}, str(texts[index]))
    return texts


def ranked_nodes(
    nodes: Sequence[NodeWithScore],
    response: RerankResponse,
    *,
    unscored: Unscored,
    keep_retrieval_score: bool,
    keep_extra: bool = False,
) -> list[NodeWithScore]:
    """Return the nodes in their new order.

    Args:
        nodes: The candidates, which stay unchanged.
        response: The response for these nodes.
        unscored: "last" gives nodes without a score the lowest score of the others, or 0.0 if no node has one; "drop"
            leaves out the blank ones of them; "none" gives them `None`.
        keep_retrieval_score: Whether to keep the old score as `retrieval_score`.
        keep_extra: Whether to keep the other fields of a result as `extra`.

    Returns:
        A new `NodeWithScore` for each result, a `RerankedNode` if there is a fact to keep.
    """
    scores = [result.relevance_score for result in response.results if result.relevance_score is not None]
    substitute = None if unscored == "none" else min(scores, default=0.0)
    ranked: list[NodeWithScore] = []
    for index, score, error, extra in response.results:
        if score is None and error is None and unscored == "drop":
            continue
        old = nodes[index]
        retrieval_score = old.score if keep_retrieval_score else None
        facts = {
            "rerank_error": error,
            "rerank_passage": extra.get(PASSAGE),
            "retrieval_score": retrieval_score,
            "extra": dict(extra) if keep_extra and extra else None,
        }
        ranked.append(_with_facts(old.node, substitute if score is None else score, facts))
    return ranked


def _with_facts(node: BaseNode, score: float | None, facts: Mapping[str, Any]) -> NodeWithScore:
    if all(fact is None for fact in facts.values()):
        return NodeWithScore(node=node, score=score)
    return RerankedNode(node=node, score=score, **facts)
