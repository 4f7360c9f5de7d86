"""The LlamaIndex adapter, under the names that the tests of both adapters use."""

import json
from typing import Any

from llama_index.core.schema import NodeWithScore, TextNode

import llamaindex_hosted_rerank as package
from llamaindex_hosted_rerank import FireworksRerank, HostedRerank, NebiusRerank, RerankedNode
from tests.conftest import QUERY

__all__ = ["FireworksRerank", "HostedRerank", "NebiusRerank", "package"]

UNSCORED = 0.0
"""The score of a candidate that nothing scored, if there is no lower score."""


def candidates(*texts: str, **metadata: Any) -> list[NodeWithScore]:
    return [
        NodeWithScore(
            node=TextNode(
                text=text,
                id_=f"id-{place}",
                metadata={"place": place} | metadata,
                excluded_embed_metadata_keys=["place", *metadata],
            ),
            score=0.9 - place / 10,
        )
        for place, text in enumerate(texts)
    ]


def rank(
    reranker: HostedRerank, nodes: list[NodeWithScore], query: str = QUERY, **overrides: Any
) -> list[NodeWithScore]:
    return reranker.postprocess_nodes(nodes, query_str=query, **overrides)


async def arank(
    reranker: HostedRerank, nodes: list[NodeWithScore], query: str = QUERY, **overrides: Any
) -> list[NodeWithScore]:
    return await reranker.apostprocess_nodes(nodes, query_str=query, **overrides)


def text(node: NodeWithScore) -> str:
    return node.node.get_content()


def score(node: NodeWithScore) -> Any:
    return node.score


def error(node: NodeWithScore) -> str | None:
    return node.rerank_error if isinstance(node, RerankedNode) else None


def passage(node: NodeWithScore) -> Any:
    return node.rerank_passage if isinstance(node, RerankedNode) else None


def metadata(node: NodeWithScore) -> dict[str, Any]:
    return node.node.metadata


def identifier(node: NodeWithScore) -> str:
    return node.node.node_id


def dump(reranker: HostedRerank) -> str:
    return reranker.to_json()


def load(dumped: str, key: str | None = None) -> Any:
    data = json.loads(dumped)
    kinds = {kind.class_name(): kind for kind in (HostedRerank, FireworksRerank, NebiusRerank)}
    loaded = kinds[data["class_name"]].from_dict(data)
    loaded.api_key = key
    return loaded


def extra(node: NodeWithScore) -> dict[str, Any] | None:
    return getattr(node, "extra", None)
