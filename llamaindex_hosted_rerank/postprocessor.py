"""`HostedRerank`: a node postprocessor that keeps the best nodes by a hosted reranker."""

import asyncio
import logging
import pickle
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Annotated, Any, Unpack

# As in `events`.
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined] # pyright: ignore[reportPrivateImportUsage]
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle
from pydantic import Field, WithJsonSchema, model_validator

from hosted_rerank import InvalidRequestError, RerankResponse, RerankResult, Usage
from hosted_rerank._text import is_blank
from hosted_rerank.frameworks.overrides import Overrides, arerank_texts, rerank_texts
from hosted_rerank.frameworks.settings import RerankSettings
from hosted_rerank.providers.json_path import is_object
from hosted_rerank.wire import Document
from llamaindex_hosted_rerank.events import ReportedRerank, reported
from llamaindex_hosted_rerank.nodes import Unscored, node_texts, ranked_nodes
from llamaindex_hosted_rerank.openinference import reranker_span

logger = logging.getLogger(__name__)
dispatcher = get_dispatcher(__name__)

_THREADED_FROM = 500
"""The number of nodes from which an awaiting call builds their texts in a thread; 500 take some 5 ms."""


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
    unchanged. Nodes whose content is blank in the `metadata_mode` come last; see `unscored`.
    """

    metadata_mode: MetadataMode = Field(
        default=MetadataMode.EMBED, description="Selects the metadata to send with the text of a node."
    )
    text_fn: Annotated[Callable[[BaseNode], str] | None, WithJsonSchema({"type": "null"})] = Field(
        default=None,
        exclude=True,
        description="Returns the text to send for a node; `None` sends its content. Dumps omit it.",
    )
    keep_retrieval_score: bool = Field(
        default=False,
        description="Whether to return `RerankedNode`s with the score of the retrieval, as `retrieval_score`.",
    )
    unscored: Unscored = Field(
        default="last",
        description=(
            'The nodes that cannot be ranked, because they are blank or an outage hit them. "last" gives them the '
            'lowest score of the others, or 0.0 if none has one, so that they stay last under every later sort. "drop" '
            'leaves out the blank ones. "none" gives them the score `None`, which some consumers cannot bear.'
        ),
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
            **overrides: `top_n`, `score_threshold`, `instruction`, `model` and `options` of this call.

        Returns:
            New `NodeWithScore` objects for at most `top_n` nodes. One that an outage left unscored is a `RerankedNode`,
            whose `rerank_error` names the error.

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
        """Return the best nodes, best first, as `postprocess_nodes` does. Cancellation cancels the request.

        If a subclass overrides only `_postprocess_nodes`, that method is called in a thread.
        """
        query = _to_query_bundle(query_bundle, query_str)
        if _overrides_only_blocking(type(self)):
            return await asyncio.to_thread(self._postprocess_nodes, nodes, query, **overrides)
        return await self._apostprocess_nodes(nodes, query, **overrides)

    @dispatcher.span
    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None, **overrides: Unpack[Overrides]
    ) -> list[NodeWithScore]:
        texts = self._texts(nodes, overrides.get("model"))
        with self._rerank(nodes, texts, query_bundle, overrides) as rerank:
            rerank.response = rerank_texts(rerank.reranker, rerank.query.query_str, texts, rerank.overrides)
        return rerank.ranked

    @dispatcher.span
    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None, **overrides: Unpack[Overrides]
    ) -> list[NodeWithScore]:
        threaded = isinstance(nodes, list) and len(nodes) >= _THREADED_FROM
        model = overrides.get("model")
        texts = await asyncio.to_thread(self._texts, nodes, model) if threaded else self._texts(nodes, model)
        with self._rerank(nodes, texts, query_bundle, overrides) as rerank:
            rerank.response = await arerank_texts(rerank.reranker, rerank.query.query_str, texts, rerank.overrides)
        return rerank.ranked

    def _texts(self, nodes: list[NodeWithScore], model: str | None) -> list[Document]:
        parts = self.reranker.provider.dialect.document_parts
        images = parts if parts.takes("image", model or self.reranker.model) else None
        return node_texts(nodes, self.text_fn, self.metadata_mode, images)

    @contextmanager
    def _rerank(
        self, nodes: list[NodeWithScore], texts: list[Document], query_bundle: QueryBundle | None, overrides: Overrides
    ) -> Generator[ReportedRerank]:
        """Report a rerank, and set its ranked nodes when the body has set its response."""
        if query_bundle is None:
            raise ValueError("query is None: pass the question as a str, by query_bundle or query_str")
        rerank = ReportedRerank(self.reranker, query_bundle, nodes, self._resolve_overrides(overrides))
        with reported(rerank, self.callback_manager), reranker_span():
            try:
                yield rerank
            except InvalidRequestError as error:
                if self.on_error == "raise" or not _is_without_text(query_bundle):
                    raise
                logger.warning("The query has no text: the nodes stay unranked")
                rerank.response = _unranked(rerank, error)
            else:
                _warn_of_blank(texts)
            rerank.ranked = ranked_nodes(
                nodes,
                rerank.response,
                unscored=self.unscored,
                keep_retrieval_score=self.keep_retrieval_score,
                keep_extra=self.keep_extra,
            )

    def __getstate__(self) -> dict[Any, Any]:
        if self.text_fn is not None:
            pickle.dumps(self.text_fn)  # raises the error: the base class would only log it and drop the field
        return super().__getstate__()


def _overrides_only_blocking(cls: type) -> bool:
    """Return whether the blocking method of a class is from a subclass of where the awaiting one is from."""
    methods = ("_apostprocess_nodes", "_postprocess_nodes")
    return next(name for base in cls.__mro__ for name in methods if name in vars(base)) == "_postprocess_nodes"


def _is_without_text(query: QueryBundle) -> bool:
    """Return whether a query is an image or an embedding, and no text."""
    return not query.query_str.strip() and bool(query.image_path or query.custom_embedding_strs or query.embedding)


def _unranked(rerank: ReportedRerank, error: InvalidRequestError) -> RerankResponse:
    """Return an unscored response for all nodes, because the query has no text."""
    results = tuple(RerankResult(index, None, type(error).__name__) for index in range(len(rerank.nodes)))
    return RerankResponse(
        results=results[: rerank.top_n],
        usage=Usage(),
        model=rerank.model,
        provider=rerank.reranker.provider.name,
        request_ids=(),
        attempts=0,
        elapsed=0.0,
        error=error,
    )


def _warn_of_blank(texts: list[Document]) -> None:
    if blank := sum(isinstance(text, str) and is_blank(text) for text in texts):
        logger.warning("%d of %d nodes have no text in this metadata_mode: they stay unscored", blank, len(texts))


def _to_query_bundle(query_bundle: QueryBundle | str | None, query_str: str | None) -> QueryBundle | None:
    if query_str is None:
        if query_bundle is not None and not isinstance(query_bundle, (str, QueryBundle)):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
            raise TypeError(f"query_bundle must be a QueryBundle or a str, not {type(query_bundle).__name__}")
        return QueryBundle(query_bundle) if isinstance(query_bundle, str) else query_bundle
    if query_bundle is not None:
        raise ValueError("query_bundle and query_str are both given: pass only one of them")
    return QueryBundle(query_str)
