"""`HostedRerank`: a node postprocessor that keeps the best nodes by a hosted reranker.

Each rerank is one span, between one start and one end event, whatever happens in between.
"""

import pickle
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Unpack

from llama_index.core.callbacks import CBEventType, EventPayload

# It is what the frameworks' documentation imports, though its module does not re-export it as type checkers want.
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined] # pyright: ignore[reportPrivateImportUsage]
from llama_index.core.instrumentation.events.rerank import ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle
from pydantic import Field, model_validator

from hosted_rerank import Reranker, RerankResponse
from hosted_rerank.frameworks.settings import Overrides, RerankSettings, arerank_texts, rerank_texts
from hosted_rerank.providers.json_path import is_object
from llamaindex_hosted_rerank.events import HostedReRankEndEvent, end_event_fields
from llamaindex_hosted_rerank.nodes import node_texts, ranked_nodes

dispatcher = get_dispatcher(__name__)


class HostedRerank(RerankSettings, BaseNodePostprocessor):
    """Keeps the nodes that answer a query best, as a hosted rerank API scores them.

    Setup:
        Install `hosted-rerank[llamaindex]` and set the provider's environment variable (`FIREWORKS_API_KEY`,
        `NEBIUS_API_KEY`), or take `provider="local"` with `hosted-rerank[local]`, which needs neither key nor network.

    Examples:
        ```python
        from llamaindex_hosted_rerank import HostedRerank

        reranker = HostedRerank(provider="nebius", top_n=5)
        engine = index.as_query_engine(similarity_top_k=50, node_postprocessors=[reranker])
        best = reranker.postprocess_nodes(nodes, query_str="What is Python?", top_n=3)
        best = await reranker.apostprocess_nodes(nodes, query_str="What is Python?")
        ```

    Nodes come back best first, as new `NodeWithScore` objects with the reranker's score; the input is never changed.
    Nodes without text come last, without a score.
    """

    metadata_mode: MetadataMode = MetadataMode.EMBED
    """Which metadata is sent with a node's text."""
    text_fn: Callable[[BaseNode], str] | None = Field(default=None, exclude=True)
    """What is sent of a node, instead of its content. Not in dumps."""
    keep_retrieval_score: bool = False
    """Whether the score that a node came with is kept in its metadata, as `retrieval_score`."""

    @model_validator(mode="before")
    @classmethod
    def _drop_class_name(cls, fields: Any) -> Any:
        """Take what a dump holds: LlamaIndex puts the class's name among the fields."""
        if is_object(fields) and fields.get("class_name") == cls.class_name():
            return {name: value for name, value in fields.items() if name != "class_name"}
        return fields

    @classmethod
    def class_name(cls) -> str:
        """Return the name that dumps know the class by."""
        return cls.__name__

    def postprocess_nodes(
        self,
        nodes: list[NodeWithScore],
        query_bundle: QueryBundle | None = None,
        query_str: str | None = None,
        **overrides: Unpack[Overrides],
    ) -> list[NodeWithScore]:
        """Return the best nodes, best first.

        Args:
            nodes: The candidates.
            query_bundle: The question; its `query_str` is sent.
            query_str: The question, in place of a bundle.
            **overrides: `top_n`, `score_threshold`, `instruction` instead of the fields', for this call.

        Raises:
            RerankError: The rerank failed, and `on_error` does not cover it.
            ValueError: There is no question, or there are two.
        """
        return self._postprocess_nodes(nodes, _to_query_bundle(query_bundle, query_str), **overrides)

    async def apostprocess_nodes(
        self,
        nodes: list[NodeWithScore],
        query_bundle: QueryBundle | None = None,
        query_str: str | None = None,
        **overrides: Unpack[Overrides],
    ) -> list[NodeWithScore]:
        """Return the best nodes, best first, as `postprocess_nodes` does; cancelling it cancels the request."""
        return await self._apostprocess_nodes(nodes, _to_query_bundle(query_bundle, query_str), **overrides)

    @dispatcher.span
    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None, **overrides: Unpack[Overrides]
    ) -> list[NodeWithScore]:
        with self._rerank(nodes, query_bundle, overrides) as rerank:
            rerank.response = rerank_texts(rerank.reranker, rerank.query, rerank.texts, rerank.overrides)
        return rerank.nodes

    @dispatcher.span
    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None, **overrides: Unpack[Overrides]
    ) -> list[NodeWithScore]:
        with self._rerank(nodes, query_bundle, overrides) as rerank:
            rerank.response = await arerank_texts(rerank.reranker, rerank.query, rerank.texts, rerank.overrides)
        return rerank.nodes

    @contextmanager
    def _rerank(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None, overrides: Overrides
    ) -> Generator["_RerankInProgress"]:
        """Begin a rerank and end it: its events, in both of LlamaIndex's systems, and the nodes that come of it."""
        if query_bundle is None:
            raise ValueError("a reranker needs the question: pass query_bundle or query_str")
        texts = node_texts(nodes, self.text_fn, self.metadata_mode)
        rerank = _RerankInProgress(self.reranker, query_bundle.query_str, texts, self._resolve_overrides(overrides))
        top_n, reranker = rerank.overrides.get("top_n") or len(nodes), rerank.reranker
        model = reranker.model or ""
        about: dict[str, Any] = {"provider": reranker.provider.name, "model_name": model}
        asked: dict[str, Any] = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: model,
            EventPayload.QUERY_STR: rerank.query,
            EventPayload.TOP_K: top_n,
        }
        dispatcher.event(ReRankStartEvent(query=query_bundle, nodes=nodes, top_n=top_n, model_name=model))
        try:
            with self.callback_manager.event(CBEventType.RERANKING, payload=asked) as event:
                yield rerank
                rerank.nodes = ranked_nodes(nodes, rerank.response, keep_retrieval_score=self.keep_retrieval_score)
                event.on_end(payload={EventPayload.NODES: rerank.nodes})
            about |= end_event_fields(rerank.response)
        except BaseException as error:
            about["error"] = type(error).__name__
            raise
        finally:
            dispatcher.event(HostedReRankEndEvent(nodes=rerank.nodes, **about))

    def __getstate__(self) -> dict[Any, Any]:
        if self.text_fn is not None:
            pickle.dumps(self.text_fn)  # raises what is wrong with it: the base class would drop it without a word
        return super().__getstate__()


@dataclass(slots=True)
class _RerankInProgress:
    """A rerank under way: who is asked what, then what came of it."""

    reranker: Reranker
    query: str
    texts: list[str]
    overrides: Overrides
    response: RerankResponse = field(init=False)
    nodes: list[NodeWithScore] = field(default_factory=list[NodeWithScore])


def _to_query_bundle(query_bundle: QueryBundle | str | None, query_str: str | None) -> QueryBundle | None:
    if query_str is None:
        return QueryBundle(query_bundle) if isinstance(query_bundle, str) else query_bundle
    if query_bundle is not None:
        raise ValueError("pass query_bundle or query_str, not both")
    return QueryBundle(query_str)
