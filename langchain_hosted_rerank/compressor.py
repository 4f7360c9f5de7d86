"""`HostedRerank`: a document compressor and `Runnable` that keeps the best documents by a hosted reranker.

Each rerank is one run in LangChain's tracing, a child of the caller's run. The run shows the query, counts, scores,
usage and request ids. It shows documents only with `trace_documents=True`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack, cast

from langchain_core.callbacks import AsyncCallbackManager, CallbackManager, Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.retrievers import RetrieverLike
from langchain_core.runnables import RunnableConfig, RunnableSerializable, ensure_config
from pydantic import ConfigDict, Field

from hosted_rerank import RerankResponse
from hosted_rerank.frameworks.fields import ApiKey
from hosted_rerank.frameworks.overrides import Overrides, arerank_texts, rerank_texts
from hosted_rerank.frameworks.serialization import serialize_provider
from langchain_hosted_rerank.input import RerankInput, State, parse_input
from langchain_hosted_rerank.results import ranked_documents, ranked_pairs
from langchain_hosted_rerank.run import RerankRun, RunManager
from langchain_hosted_rerank.settings import DocumentSettings
from langchain_hosted_rerank.text import Parts, document_texts, mixed_texts

if TYPE_CHECKING:
    from langchain_hosted_rerank.retriever import RerankRetriever


class HostedRerank(DocumentSettings, BaseDocumentCompressor, RunnableSerializable[Any, list[Document]]):
    """Keeps the documents that answer a query best, by the scores of a hosted rerank API.

    Setup:
        Install `hosted-rerank[langchain]` and set the provider's environment variable (`FIREWORKS_API_KEY`,
        `NEBIUS_API_KEY`), or use `provider="local"` with `hosted-rerank[local]`, which needs no key and no network.

    Instantiate:
        ```python
        from langchain_hosted_rerank import HostedRerank

        reranker = HostedRerank(provider="fireworks", top_n=5)
        ```

    Use:
        ```python
        best = reranker.compress_documents(documents, "What is Python?")  # also in ContextualCompressionRetriever
        best = reranker.invoke({"query": "What is Python?", "documents": documents}, top_n=3)
        retriever = reranker.as_retriever(vectorstore.as_retriever(search_kwargs={"k": 50}))
        ```

    Async:
        ```python
        best = await reranker.acompress_documents(documents, "What is Python?")
        ```

    The documents are returned best first, as copies with the score in their metadata. The id, the type and all other
    metadata stay. Blank documents come last, without a score.
    """

    model_config = ConfigDict(extra="forbid")  # the base class of LangChain ignores unknown fields

    api_key: ApiKey = Field(
        default=None,
        repr=False,
        description="The API key; `None` reads the provider's environment variable, which a dump names, at each call.",
    )

    @property
    def InputType(self) -> Any:  # noqa: N802 - the name that Runnable gives it
        """The input as tools that serve or draw chains ask for it; the type parameter is `Any`, so any chain fits."""
        return RerankInput

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return True: `langchain_core.load.dumps` can serialize the class."""
        return True

    @property
    def lc_secrets(self) -> dict[str, str]:
        """The environment variable that a dump names instead of the key."""
        return {"api_key": next(iter(self.reranker.provider.api_key_env), "API_KEY")}

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """The values in a dump that differ from the fields: the provider as JSON, and settings without secrets."""
        given = {name: value for name, value in self._public_values().items() if value is not None}
        return {"provider": serialize_provider(self.provider), **given}

    def compress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,
        **overrides: Unpack[Overrides],
    ) -> list[Document]:
        """Return the best documents, best first.

        Args:
            documents: The candidates.
            query: The question; not blank.
            callbacks: The callbacks of the caller's run.
            **overrides: `top_n`, `score_threshold`, `instruction`, `model` and `options` of this call.

        Returns:
            Copies of at most `top_n` documents, with the score in their metadata.

        Raises:
            RerankError: The rerank failed, and `on_error` does not cover the error.
            TypeError: An argument has the wrong type.
        """
        run = self._make_run(documents, self._document_texts(documents), query, overrides)
        return self._ranked(documents, self._rerank(run, {"callbacks": callbacks}))

    async def acompress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,
        **overrides: Unpack[Overrides],
    ) -> list[Document]:
        """Return the best documents, best first, as `compress_documents` does. Cancellation cancels the request."""
        run = self._make_run(documents, self._document_texts(documents), query, overrides)
        return self._ranked(documents, await self._arerank(run, {"callbacks": callbacks}))

    def invoke(
        self,
        input: State,  # noqa: A002 - the name that Runnable gives it
        config: RunnableConfig | None = None,
        **overrides: Any,
    ) -> list[Document]:
        """Return the best of `input["documents"]` for `input["query"]`, as `compress_documents` does.

        Args:
            input: The query, the documents, and parameters of this call, or the state of a graph.
            config: The config of the call.
            **overrides: The parameters of this call; they count more than those of the input.

        Returns:
            Copies of at most `top_n` documents, with the score in their metadata.

        Raises:
            RerankError: The rerank failed, and `on_error` does not cover the error.
            TypeError: The input or an argument has the wrong type.
        """
        documents, query, given = parse_input(input)
        merged = cast("Overrides", {**given, **overrides})
        run = self._make_run(documents, self._document_texts(documents), query, merged)
        return self._ranked(documents, self._rerank(run, config))

    async def ainvoke(
        self,
        input: State,  # noqa: A002 - the name that Runnable gives it
        config: RunnableConfig | None = None,
        **overrides: Any,
    ) -> list[Document]:
        """Return the best of `input["documents"]` for `input["query"]`, as `acompress_documents` does."""
        documents, query, given = parse_input(input)
        merged = cast("Overrides", {**given, **overrides})
        run = self._make_run(documents, self._document_texts(documents), query, merged)
        return self._ranked(documents, await self._arerank(run, config))

    def rerank(
        self,
        documents: Sequence[str | Document | Mapping[str, Any] | list[Any]],
        query: str,
        *,
        rank_fields: Sequence[str] | None = None,
        **overrides: Unpack[Overrides],
    ) -> list[dict[str, Any]]:
        """Return indexes and scores, best first, in the format of `CohereRerank.rerank`.

        Args:
            documents: Texts, documents, mappings of parts or fields, or lists of content blocks.
            query: The question; not blank.
            rank_fields: The keys of a mapping to send; `None` sends all.
            **overrides: `top_n`, `score_threshold`, `instruction`, `model` and `options` of this call.

        Returns:
            `{"index": int, "relevance_score": float}` for each result; a blank document has the score `None`.

        Raises:
            RerankError: The rerank failed, and `on_error` does not cover the error.
            TypeError: An argument has the wrong type.
        """
        texts = mixed_texts(documents, self._document_texts, rank_fields)
        return ranked_pairs(self._rerank(self._make_run(documents, texts, query, overrides), None))

    async def arerank(
        self,
        documents: Sequence[str | Document | Mapping[str, Any] | list[Any]],
        query: str,
        *,
        rank_fields: Sequence[str] | None = None,
        **overrides: Unpack[Overrides],
    ) -> list[dict[str, Any]]:
        """Return indexes and scores, best first, as `rerank` does. Cancellation cancels the request."""
        texts = mixed_texts(documents, self._document_texts, rank_fields)
        return ranked_pairs(await self._arerank(self._make_run(documents, texts, query, overrides), None))

    def as_retriever(self, base_retriever: RetrieverLike, **settings: Any) -> "RerankRetriever":
        """Return a retriever that reranks the documents of another retriever.

        Args:
            base_retriever: Finds the candidates.
            **settings: The other fields of `RerankRetriever`.

        Returns:
            The retriever, with this reranker.
        """
        from langchain_hosted_rerank.retriever import RerankRetriever  # noqa: PLC0415 - it imports this module

        return RerankRetriever(base_retriever=base_retriever, reranker=self, **settings)

    def _ranked(self, documents: Sequence[Document], response: RerankResponse) -> list[Document]:
        return ranked_documents(documents, response, self.score_key, keep_extra=self.keep_extra)

    def _make_run(
        self, documents: Sequence[Any], texts: Sequence[Parts], query: str, overrides: Overrides
    ) -> RerankRun:
        resolved = self._resolve_overrides(overrides)
        return RerankRun(documents, texts, query, resolved, self.reranker, self.trace_documents)

    def _rerank(self, run: RerankRun, config: RunnableConfig | None) -> RerankResponse:
        """Rerank, as one traced run if there are callback handlers."""
        config = ensure_config(config)  # adds the config of the caller's run
        if not CallbackManager.configure(config.get("callbacks")).handlers:
            return rerank_texts(run.reranker, run.query, run.texts, run.overrides)

        def call(_: Any, run_manager: RunManager) -> Any:
            with run.in_progress(run_manager):
                run.response = rerank_texts(run.reranker, run.query, run.texts, run.overrides)
                return run.finish()

        self._call_with_config(call, run.inputs, run.config(config, self.get_name()))
        return run.response

    async def _arerank(self, run: RerankRun, config: RunnableConfig | None) -> RerankResponse:
        """Rerank as `_rerank` does, without blocking the event loop."""
        config = ensure_config(config)  # adds the config of the caller's run
        if not AsyncCallbackManager.configure(config.get("callbacks")).handlers:
            return await arerank_texts(run.reranker, run.query, run.texts, run.overrides)

        async def call(_: Any, run_manager: RunManager) -> Any:
            with run.in_progress(run_manager):
                run.response = await arerank_texts(run.reranker, run.query, run.texts, run.overrides)
                return run.finish()

        await self._acall_with_config(call, run.inputs, run.config(config, self.get_name()))
        return run.response

    def _document_texts(self, documents: Sequence[Document]) -> list[Parts]:
        parts = self.reranker.provider.dialect.document_parts
        return document_texts(documents, self.document_to_text, self.metadata_fields, self.image_key, parts)
