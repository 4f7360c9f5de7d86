"""`HostedRerank`: a document compressor that keeps the best documents by a hosted reranker; also a `Runnable`.

Each rerank is one run in LangChain's tracing, below the caller's. The run shows the query, counts, scores, usage and
request ids; documents only with `trace_documents=True`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack, cast

from langchain_core.callbacks import AsyncCallbackManager, CallbackManager, Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.retrievers import RetrieverLike
from langchain_core.runnables import RunnableConfig, RunnableSerializable, ensure_config
from pydantic import ConfigDict, Field, SecretStr
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from hosted_rerank import Reranker, RerankResponse
from hosted_rerank.frameworks.serialization import serialize_provider, serialize_without_secrets
from hosted_rerank.frameworks.settings import Overrides, RerankSettings, arerank_texts, rerank_texts
from langchain_hosted_rerank.run import ranked_documents, ranked_pairs, record_usage, run_outputs
from langchain_hosted_rerank.text import document_texts, mixed_texts

if TYPE_CHECKING:
    from langchain_hosted_rerank.retriever import RerankRetriever


class RerankInput(TypedDict):
    """What the Runnable takes; other keys are left alone, so a graph's state will do."""

    query: str
    documents: Sequence[Document]


class HostedRerank(RerankSettings, BaseDocumentCompressor, RunnableSerializable[RerankInput, list[Document]]):
    """Keeps the documents that answer a query best, as a hosted rerank API scores them.

    Setup:
        Install `hosted-rerank[langchain]` and set the provider's environment variable (`FIREWORKS_API_KEY`,
        `NEBIUS_API_KEY`), or take `provider="local"` with `hosted-rerank[local]`, which needs neither key nor network.

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

    Documents come back best first, as copies with the score in their metadata; id, type and all other metadata are
    kept. Blank documents come last, without a score.
    """

    model_config = ConfigDict(extra="forbid")  # LangChain's own base says ignore

    api_key: SecretStr | None = Field(default=None, repr=False)
    """The key; `None` to read the provider's environment variable at each call. A dump names the variable instead."""
    document_to_text: Callable[[Document], str] | None = Field(default=None, exclude=True)
    """What is sent of a document; `None` for its `page_content`. Not in dumps."""
    metadata_fields: list[str] | None = None
    """Metadata that is sent too, as `name: value` lines before the `page_content`."""
    score_key: str = "relevance_score"
    """Metadata key of the score."""
    trace_documents: bool = False
    """Whether traces of this rerank hold the documents."""

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether `langchain_core.load.dumps` can dump it: yes."""
        return True

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Name the environment variable that a dump has in place of the key."""
        return {"api_key": next(iter(self.reranker.provider.env), "API_KEY")}

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """Give a dump the provider as JSON, and headers and parameters without secrets."""
        given = {name: value for name in ("headers", "params") if (value := getattr(self, name)) is not None}
        return {
            "provider": serialize_provider(self.provider),
            **{name: serialize_without_secrets(value) for name, value in given.items()},
        }

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
            query: The question.
            callbacks: Callbacks of the caller's run.
            **overrides: `top_n`, `score_threshold`, `instruction` instead of the fields', for this call.

        Raises:
            RerankError: The rerank failed, and `on_error` does not cover it.
        """
        return self.invoke({"query": query, "documents": documents}, {"callbacks": callbacks}, **overrides)

    async def acompress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,
        **overrides: Unpack[Overrides],
    ) -> list[Document]:
        """Return the best documents, best first, as `compress_documents` does; cancelling it cancels the request."""
        return await self.ainvoke({"query": query, "documents": documents}, {"callbacks": callbacks}, **overrides)

    def invoke(
        self,
        input: RerankInput,  # noqa: A002 - the name that Runnable gives it
        config: RunnableConfig | None = None,
        **overrides: Any,
    ) -> list[Document]:
        """Return the best of `input["documents"]` for `input["query"]`, as `compress_documents` does."""
        documents, query = _parse_input(input)
        response = self._rerank_traced(
            documents, self._document_texts(documents), query, cast("Overrides", overrides), config
        )
        return ranked_documents(documents, response, self.score_key)

    async def ainvoke(
        self,
        input: RerankInput,  # noqa: A002 - the name that Runnable gives it
        config: RunnableConfig | None = None,
        **overrides: Any,
    ) -> list[Document]:
        """Return the best of `input["documents"]` for `input["query"]`, as `acompress_documents` does."""
        documents, query = _parse_input(input)
        response = await self._arerank_traced(
            documents, self._document_texts(documents), query, cast("Overrides", overrides), config
        )
        return ranked_documents(documents, response, self.score_key)

    def rerank(
        self,
        documents: Sequence[str | Document | Mapping[str, Any]],
        query: str,
        *,
        rank_fields: Sequence[str] | None = None,
        **overrides: Unpack[Overrides],
    ) -> list[dict[str, Any]]:
        """Return positions and scores, best first, as the Cohere and Fireworks classes' `rerank` does.

        Args:
            documents: Texts, documents, or mappings, which are sent as JSON.
            query: The question.
            rank_fields: The keys of a mapping that are sent; `None` for all.
            **overrides: `top_n`, `score_threshold`, `instruction` instead of the fields', for this call.

        Returns:
            `{"index": int, "relevance_score": float}` for each; the score is `None` for a blank document.
        """
        texts = mixed_texts(documents, self._document_texts, rank_fields)
        return ranked_pairs(self._rerank_traced(documents, texts, query, overrides, None))

    async def arerank(
        self,
        documents: Sequence[str | Document | Mapping[str, Any]],
        query: str,
        *,
        rank_fields: Sequence[str] | None = None,
        **overrides: Unpack[Overrides],
    ) -> list[dict[str, Any]]:
        """Return positions and scores, best first, as `rerank` does; cancelling it cancels the request."""
        texts = mixed_texts(documents, self._document_texts, rank_fields)
        return ranked_pairs(await self._arerank_traced(documents, texts, query, overrides, None))

    def as_retriever(self, base_retriever: RetrieverLike, **settings: Any) -> "RerankRetriever":
        """Return a retriever that reranks what `base_retriever` finds; `settings` are fields of `RerankRetriever`."""
        from langchain_hosted_rerank.retriever import RerankRetriever  # noqa: PLC0415 - it imports this module

        return RerankRetriever(base_retriever=base_retriever, reranker=self, **settings)

    def _rerank_traced(
        self,
        documents: Sequence[Any],
        texts: Sequence[str],
        query: str,
        overrides: Overrides,
        config: RunnableConfig | None,
    ) -> RerankResponse:
        """Rerank, as one run of LangChain's tracing where somebody listens to it."""
        reranker, overrides, results = self.reranker, self._resolve_overrides(overrides), list[RerankResponse]()
        config = ensure_config(config)  # with what the context of the caller's run holds
        if not CallbackManager.configure(config.get("callbacks")).handlers:
            return rerank_texts(reranker, query, texts, overrides)

        def call(_: Any) -> Any:
            results.append(rerank_texts(reranker, query, texts, overrides))
            return self._run_outputs(documents, results[0])

        inputs = self._run_inputs(documents, query, overrides)
        self._call_with_config(call, inputs, self._config_with_metadata(reranker, config), run_type="llm")
        return results[0]

    async def _arerank_traced(
        self,
        documents: Sequence[Any],
        texts: Sequence[str],
        query: str,
        overrides: Overrides,
        config: RunnableConfig | None,
    ) -> RerankResponse:
        """Rerank, as one run of LangChain's tracing where somebody listens to it; awaiting."""
        reranker, overrides, results = self.reranker, self._resolve_overrides(overrides), list[RerankResponse]()
        config = ensure_config(config)  # with what the context of the caller's run holds
        if not AsyncCallbackManager.configure(config.get("callbacks")).handlers:
            return await arerank_texts(reranker, query, texts, overrides)

        async def call(_: Any) -> Any:
            results.append(await arerank_texts(reranker, query, texts, overrides))
            return self._run_outputs(documents, results[0])

        inputs = self._run_inputs(documents, query, overrides)
        await self._acall_with_config(call, inputs, self._config_with_metadata(reranker, config), run_type="llm")
        return results[0]

    def _config_with_metadata(self, reranker: Reranker, config: RunnableConfig) -> RunnableConfig:
        """The config with what LangSmith wants to know of a model's run."""
        added = {"ls_provider": reranker.provider.name, "ls_model_type": "rerank"}
        added["ls_retriever_name"] = self.get_name()  # a calling retriever passes down its own name
        if reranker.model:
            added["ls_model_name"] = reranker.model
        return {**config, "metadata": {**config.get("metadata", {}), **added}}

    def _run_inputs(self, documents: Sequence[Any], query: str, overrides: Overrides) -> Any:
        """What the run shows of the question."""
        shown = list(documents) if self.trace_documents else len(documents)
        return {"query": query, "documents": shown, "top_n": overrides.get("top_n")}

    def _run_outputs(self, documents: Sequence[Any], response: RerankResponse) -> dict[str, Any]:
        """What the run shows of the answer."""
        outputs = run_outputs(response)
        if self.trace_documents:
            outputs["documents"] = [documents[result.index] for result in response.results]
        record_usage(outputs)
        return outputs

    def _document_texts(self, documents: Sequence[Document]) -> list[str]:
        return document_texts(documents, self.document_to_text, self.metadata_fields)


def _parse_input(given: RerankInput) -> tuple[Sequence[Document], str]:
    """The parts of a Runnable's input."""
    if not isinstance(given, Mapping) or not {"query", "documents"} <= given.keys():
        raise TypeError('the input must be a mapping with "query" and "documents"')
    return given["documents"], given["query"]
