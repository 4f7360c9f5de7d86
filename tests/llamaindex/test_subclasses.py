"""Subclasses of nodes and of the reranker, in the way that LlamaIndex' documentation teaches."""

import threading
from typing import Any

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core.schema import (
    MetadataMode,
    NodeWithScore,
    QueryBundle,
    TextNode,
)
from pydantic import PrivateAttr

from llamaindex_hosted_rerank import FireworksRerank
from tests.adapters.fixtures import Asking, Do
from tests.conftest import QUERY
from tests.llamaindex.shelf import engine_with, scored


class Counted(TextNode):
    """A node that counts how often it is asked for its content."""

    _asked: int = PrivateAttr(default=0)

    def get_content(self, metadata_mode: MetadataMode = MetadataMode.NONE) -> str:
        self._asked += 1
        return super().get_content(metadata_mode)


@pytest.mark.parametrize("mode", MetadataMode, ids=str)
def test_content_is_asked_for_once(asking: Asking, do: Do, mode: MetadataMode) -> None:
    """A node is asked for its content once, whatever the mode."""
    given = [Counted(text="a", metadata={"b": "c"}), Counted(text="")]
    do(asking(FireworksRerank, metadata_mode=mode), "postprocess_nodes", scored(*given), query_str=QUERY)
    assert [node._asked for node in given] == [1, 1]


class Place(TextNode):
    """A node that notes in which thread it is asked for its content."""

    _thread: int = PrivateAttr(default=0)

    def get_content(self, metadata_mode: MetadataMode = MetadataMode.NONE) -> str:
        self._thread = threading.get_ident()
        return super().get_content(metadata_mode)


@pytest.mark.parametrize(("count", "elsewhere"), [(10, False), (2000, True)])
async def test_texts_of_many_nodes(asking: Asking, count: int, *, elsewhere: bool) -> None:
    """The texts of many nodes are not built in the event loop's thread, as those of `JinaRerank` are not."""
    given = [Place(text="a") for _ in range(count)]
    await asking(FireworksRerank).apostprocess_nodes(scored(*given), query_str=QUERY)
    assert {node._thread != threading.get_ident() for node in given} == {elsewhere}


class Marking(FireworksRerank):
    """Overrides only the method that LlamaIndex's documentation teaches."""

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None, **overrides: Any
    ) -> list[NodeWithScore]:
        return super()._postprocess_nodes(nodes, query_bundle, **overrides)[:1]


class BothWays(Marking):
    """Overrides the awaiting method too."""

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None, **overrides: Any
    ) -> list[NodeWithScore]:
        return (await super()._apostprocess_nodes(nodes, query_bundle, **overrides))[:2]


def test_subclass_of_one_method(asking: Asking, do: Do, way: str) -> None:
    """An async engine uses a subclass that overrides only the blocking method, and an awaiting one where there is."""
    assert len(do(engine_with(asking(Marking)), "query", QUERY).source_nodes) == 1
    both = len(do(engine_with(asking(BothWays)), "query", QUERY).source_nodes)
    assert both == {"blocking": 1, "awaiting": 2}[way]
