"""`RerankRetriever`: a retriever that reranks the documents of another one. It needs only langchain-core."""

from typing import Annotated, Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.retrievers import BaseRetriever, RetrieverLike
from langchain_core.runnables import ConfigurableFieldSpec, Runnable, RunnableConfig, patch_config
from langchain_core.runnables.utils import get_unique_config_specs
from pydantic import ConfigDict, Field, InstanceOf, WithJsonSchema, model_validator

from hosted_rerank._other_names import remedy_for
from hosted_rerank.frameworks.documentation import document_fields
from hosted_rerank.frameworks.numbers import Count
from hosted_rerank.frameworks.overrides import OVERRIDES
from hosted_rerank.providers.json_path import is_object

_JSON_SCHEMA = WithJsonSchema({"type": "object"})
"""A component in the schema of a class that holds it."""


@document_fields
class RerankRetriever(BaseRetriever):
    """Retrieves documents with a base retriever and keeps the best ones by a reranker.

    Unlike `ContextualCompressionRetriever`, it takes `top_n`, `score_threshold`, `instruction` and `model` per call,
    and hands the config and the other arguments of a call on to the base retriever:

        ```python
        retriever = RerankRetriever(base_retriever=vectorstore.as_retriever(search_kwargs={"k": 50}), reranker=reranker)
        best = retriever.invoke("What is Python?", top_n=3, filter={"tenant": "a"})
        ```
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_assignment=True,
    )

    base_retriever: Annotated[RetrieverLike, _JSON_SCHEMA] = Field(description="Finds the candidates.")
    reranker: Annotated[Runnable[Any, Any] | InstanceOf[BaseDocumentCompressor], _JSON_SCHEMA] = Field(
        description=(
            "Ranks the candidates: a `HostedRerank`, also with configurable fields, retries or fallbacks, or another "
            "document compressor."
        )
    )
    top_n: Count | None = Field(
        default=None,
        description="The largest number of documents to return, at least 1; `None` uses the `top_n` of the reranker.",
    )

    @model_validator(mode="before")
    @classmethod
    def _explain_unknown(cls, fields: Any) -> Any:
        """Raise the error for a name of another retriever or a typo, which says what it is called here."""
        for name in fields if is_object(fields) else ():
            if name not in cls.model_fields and (remedy := remedy_for(name, cls.model_fields)):
                raise ValueError(f"{cls.__name__} takes no {name}: {remedy}")
        return fields

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return True: `langchain_core.load.dumps` can serialize the class if it can serialize the base retriever."""
        return True

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """The configurable fields of the base retriever and of the reranker."""
        parts = (self.base_retriever, self.reranker)
        return get_unique_config_specs(
            spec for part in parts if isinstance(part, Runnable) for spec in part.config_specs
        )

    def invoke(
        self,
        input: str,  # noqa: A002 - the name that Runnable gives it
        config: RunnableConfig | None = None,
        **arguments: Any,
    ) -> list[Document]:
        """Return the best documents for a query, best first.

        Args:
            input: The question; not blank.
            config: The config of the call, for the base retriever and the reranker too.
            **arguments: `top_n`, `score_threshold`, `instruction` and `model` for the reranker; the base retriever gets
                the others, such as `filter`.

        Returns:
            Copies of the best documents, with the score in their metadata.

        Raises:
            RerankError: The rerank failed.
            TypeError: An argument has the wrong type, or is a mistyped one of the reranker.
        """
        return super().invoke(input, config, caller_config=config, **arguments)

    async def ainvoke(
        self,
        input: str,  # noqa: A002 - the name that Runnable gives it
        config: RunnableConfig | None = None,
        **arguments: Any,
    ) -> list[Document]:
        """Return the best documents for a query, as `invoke` does. Cancellation cancels the request."""
        return await super().ainvoke(input, config, caller_config=config, **arguments)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        caller_config: RunnableConfig | None = None,
        **arguments: Any,
    ) -> list[Document]:
        config = patch_config(caller_config, callbacks=run_manager.get_child())
        overrides, others = self._split(arguments)
        found = self.base_retriever.invoke(query, config, **others)
        if isinstance(self.reranker, Runnable):
            return list(self.reranker.invoke({"query": query, "documents": found}, config, **overrides))
        top_n = overrides.pop("top_n", None)
        return list(self.reranker.compress_documents(found, query, config.get("callbacks"), **overrides))[:top_n]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        caller_config: RunnableConfig | None = None,
        **arguments: Any,
    ) -> list[Document]:
        config = patch_config(caller_config, callbacks=run_manager.get_child())
        overrides, others = self._split(arguments)
        found = await self.base_retriever.ainvoke(query, config, **others)
        if isinstance(self.reranker, Runnable):
            return list(await self.reranker.ainvoke({"query": query, "documents": found}, config, **overrides))
        top_n = overrides.pop("top_n", None)
        best = await self.reranker.acompress_documents(found, query, config.get("callbacks"), **overrides)
        return list(best)[:top_n]

    def _split(self, arguments: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the arguments of a call for the reranker, and those for the base retriever.

        Raises:
            TypeError: An argument is a mistyped one of the reranker, or what another reranker calls it.
        """
        overrides: dict[str, Any] = {} if self.top_n is None else {"top_n": self.top_n}
        others: dict[str, Any] = {}
        for name, value in arguments.items():
            if name in OVERRIDES:
                overrides[name] = value
            elif remedy := remedy_for(name, OVERRIDES):
                raise TypeError(f"unknown argument: {name} ({remedy})")
            else:
                others[name] = value
        return overrides, others
