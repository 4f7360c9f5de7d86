"""`HostedRerank`: a node postprocessor that keeps the best nodes by a hosted reranker.

Each rerank is one span with one start event and one end event, also if it fails.
"""

import pickle
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Unpack

from llama_index.core.callbacks import CBEventType, EventPayload

# The documentation of LlamaIndex imports it from here, but the module does not mark it as exported for type checkers.
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined] # pyright: ignore[reportPrivateImportUsage]
from llama_index.core.instrumentation.events.rerank import ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle
from pydantic import Field, model_validator

from hosted_rerank import Reranker, RerankResponse
from hosted_rerank.frameworks.overrides import Overrides, arerank_texts, rerank_texts
from hosted_rerank.frameworks.settings import RerankSettings
from hosted_rerank.providers.json_path import is_object
from llamaindex_hosted_rerank.events import HostedReRankEndEvent, end_event_fields
from llamaindex_hosted_rerank.nodes import node_texts, ranked_nodes

dispatcher = get_dispatcher(__name__)


class HostedRerank(RerankSettings, BaseNodePostprocessor):
    """Keeps the nodes that answer a query best, by the scores of a hosted rerank API.

    Setup:
        Install `hosted-rerank[llamaindex]` and set the provider's environment variable (`FIREWORKS_API_KEY`,
        `NEBIUS_API_KEY`), or use `provider="local"` with `hosted-rerank[local]`, which needs no key and no network.

    Examples:
        ```python
        from llamaindex_hosted_rerank import HostedRerank

        reranker = HostedRerank(provider="nebius", top_n=5)
        engine = index.as_query_engine(similarity_top_k=50, node_postprocessors=[reranker])
        best = reranker.postprocess_nodes(nodes, query_str="What is Python?", top_n=3)
        best = await reranker.apostprocess_nodes(nodes, query_str="What is Python?")
        ```

    The nodes are returned best first, as new `NodeWithScore` objects with the score of the reranker. The input stays
    unchanged. Nodes without text come last, without a score.
    """

    metadata_mode: MetadataMode = Field(
        default=MetadataMode.EMBED, description="Selects the metadata to send with the text of a node."
    )
    text_fn: Callable[[BaseNode], str] | None = Field(
        default=None,
        exclude=True,
        description="Returns the text to send for a node; `None` sends its content. Dumps omit it.",
    )
    keep_retrieval_score: bool = Field(
        default=False,
        description="Whether the metadata of a node keeps the score of the retrieval, as `retrieval_score`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_class_name(cls, fields: Any) -> Any:
        """Remove the name of the class, which LlamaIndex adds to the fields in a dump."""
        if is_object(fields) and fields.get("class_name") == cls.class_name():
            return {name: value for name, value in fields.items() if name != "class_name"}
        return fields

    @classmethod
    def class_name(cls) -> str:
        """Return the name of the class in dumps."""
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
            query_str: The question as text, instead of `query_bundle`.
            **overrides: `top_n`, `score_threshold` and `instruction` for this call, instead of the fields.

        Returns:
            New `NodeWithScore` objects for at most `top_n` nodes.

        Raises:
            RerankError: The rerank failed, and `on_error` does not cover the error.
            TypeError: An argument has the wrong type.
            ValueError: Neither `query_bundle` nor `query_str` is given, or both are.
        """
        return self._postprocess_nodes(nodes, _to_query_bundle(query_bundle, query_str), **overrides)

    async def apostprocess_nodes(
        self,
        nodes: list[NodeWithScore],
        query_bundle: QueryBundle | None = None,
        query_str: str | None = None,
        **overrides: Unpack[Overrides],
    ) -> list[NodeWithScore]:
        """Return the best nodes, best first, as `postprocess_nodes` does. Cancellation cancels the request."""
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
        """Send the events of a rerank, in both event systems of LlamaIndex, and set its ranked nodes."""
        if query_bundle is None:
            raise ValueError("the query is missing: pass query_bundle or query_str")
        texts = node_texts(nodes, self.text_fn, self.metadata_mode)
        rerank = _RerankInProgress(self.reranker, query_bundle.query_str, texts, self._resolve_overrides(overrides))
        top_n, reranker = rerank.overrides.get("top_n") or len(nodes), rerank.reranker
        model = reranker.model or ""
        end_fields: dict[str, Any] = {"provider": reranker.provider.name, "model_name": model}
        start_payload: dict[str, Any] = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: model,
            EventPayload.QUERY_STR: rerank.query,
            EventPayload.TOP_K: top_n,
        }
        dispatcher.event(ReRankStartEvent(query=query_bundle, nodes=nodes, top_n=top_n, model_name=model))
        try:
            with self.callback_manager.event(CBEventType.RERANKING, payload=start_payload) as event:
                yield rerank
                rerank.nodes = ranked_nodes(nodes, rerank.response, keep_retrieval_score=self.keep_retrieval_score)
                event.on_end(payload={EventPayload.NODES: rerank.nodes})
            end_fields |= end_event_fields(rerank.response)
        except BaseException as error:
            end_fields["error"] = type(error).__name__
            raise
        finally:
            dispatcher.event(HostedReRankEndEvent(nodes=rerank.nodes, **end_fields))

    def __getstate__(self) -> dict[Any, Any]:
        if self.text_fn is not None:
            pickle.dumps(self.text_fn)  # raises the error: the base class would only log it and drop the field
        return super().__getstate__()


@dataclass(slots=True)
class _RerankInProgress:
    """The input of a running rerank, and then its response and nodes."""

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
        raise ValueError("query_bundle and query_str are both given: pass only one of them")
    return QueryBundle(query_str)
