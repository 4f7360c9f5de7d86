"""Facts about a rerank, which stay out of a node's content, metadata and hash."""

import copy
import pickle

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import (
    Document,
    ImageNode,
    MediaResource,
    Node,
    NodeWithScore,
    TextNode,
)

from llamaindex_hosted_rerank import FireworksRerank, RerankedNode, RerankRetriever
from tests.adapters.fixtures import Asking, Do
from tests.conftest import QUERY
from tests.hostile import HostileServer, ranking, reply
from tests.llamaindex.shelf import Shelf, nodes, scored


def test_keep_retrieval_score(asking: Asking, do: Do, server: HostileServer) -> None:
    """The score that a node came with is kept beside the node, which stays the same in it."""
    server.play(ranking(0.25, 0.75))
    given = [*nodes("swift", "salmon", title="Animal"), NodeWithScore(node=TextNode(text=" "))]
    before = copy.deepcopy(given)
    reranker = asking(FireworksRerank, keep_retrieval_score=True)
    best = do(reranker, "postprocess_nodes", given, query_str=QUERY)
    assert [(result.score, getattr(result, "retrieval_score", None)) for result in best] == [
        (0.75, 0.8),
        (0.25, 0.9),
        (0.25, None),
    ]
    assert given == before
    assert all(result.node is given[place].node for result, place in zip(best, (1, 0, 2), strict=True))


def test_reranked_node_is_a_node_with_score(asking: Asking, do: Do) -> None:
    """A node with facts about its rerank is a `NodeWithScore` by name and methods, and keeps them in a pickle."""
    (best,) = do(asking(FireworksRerank, keep_retrieval_score=True), "postprocess_nodes", nodes("a"), query_str=QUERY)
    assert isinstance(best, RerankedNode)
    assert pickle.loads(pickle.dumps(best)) == best
    assert best.to_dict()["retrieval_score"] == 0.9
    assert (best.class_name(), best.text, best.get_score()) == ("NodeWithScore", "a", best.score)


@pytest.mark.parametrize("fails", [False, True], ids=["ranked", "outage"])
def test_hash_stays(asking: Asking, do: Do, server: HostileServer, *, fails: bool) -> None:
    """A node keeps its hash, whatever is kept beside it, so that nothing takes it for another node."""
    server.play(reply(503) if fails else ranking())
    given = scored(TextNode(text="a"), Document(text="b"), ImageNode(text="c"), Node(text_resource=MediaResource()))
    reranker = asking(FireworksRerank, top_n=None, keep_retrieval_score=True, on_error="passthrough")
    best = do(reranker, "postprocess_nodes", given, query_str=QUERY)
    assert {node.node_id: node.node.hash for node in best} == {node.node_id: node.node.hash for node in given}
    assert [bool(getattr(node, "rerank_error", None)) for node in best] == [fails] * 4


MODES = ("reciprocal_rerank", "relative_score", "dist_based_score")


@pytest.mark.parametrize("mode", MODES)
def test_fusion(asking: Asking, do: Do, mode: str) -> None:
    """Fusion merges two rerankings of the same nodes that were retrieved with other scores, and bears a blank one."""
    given = nodes("swift", "salmon", "", "dormouse", "heron", "stork")
    found = [given, [NodeWithScore(node=old.node, score=0.1) for old in given]]
    reranker = asking(FireworksRerank, top_n=None, keep_retrieval_score=True)
    retrievers = [RerankRetriever(Shelf(each), reranker) for each in found]
    fusion = QueryFusionRetriever(
        retrievers, llm=MockLLM(), mode=mode, num_queries=1, similarity_top_k=6, use_async=False
    )
    best = do(fusion, "retrieve", QUERY)
    assert [node.text for node in best] == ["stork", "heron", "dormouse", "salmon", "swift", ""]


@pytest.mark.parametrize("mode", MODES)
def test_fusion_in_an_outage(asking: Asking, do: Do, server: HostileServer, mode: str) -> None:
    """Fusion merges what an outage hit in one reranking with the scored nodes of the other."""
    server.play(reply(503), ranking())
    reranker = asking(FireworksRerank, top_n=None, on_error="passthrough")
    retrievers = [RerankRetriever(Shelf(nodes()), reranker) for _ in range(2)]
    fusion = QueryFusionRetriever(
        retrievers, llm=MockLLM(), mode=mode, num_queries=1, similarity_top_k=6, use_async=False
    )
    assert len(do(fusion, "retrieve", QUERY)) == 4
