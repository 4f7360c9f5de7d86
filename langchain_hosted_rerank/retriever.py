"""`RerankRetriever`: a retriever that reranks the documents of another one. It needs only langchain-core."""

from typing import Annotated, Unpack

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever, RetrieverLike
from pydantic import ConfigDict, Field

from hosted_rerank.frameworks.overrides import Overrides
from langchain_hosted_rerank.compressor import HostedRerank


class RerankRetriever(BaseRetriever):
    """Retrieves documents with a base retriever and keeps the best ones by a reranker.

    Unlike `ContextualCompressionRetriever`, it takes `top_n`, `score_threshold` and `instruction` per call:

        ```python
        retriever = RerankRetriever(base_retriever=vectorstore.as_retriever(search_kwargs={"k": 50}), reranker=reranker)
        best = retriever.invoke("What is Python?", top_n=3)
        ```
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_assignment=True,
    )

    base_retriever: RetrieverLike = Field(description="Finds the candidates.")
    reranker: HostedRerank = Field(description="Ranks the candidates.")
    top_n: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        default=None,
        description="The largest number of documents to return, at least 1; `None` uses the `top_n` of the reranker.",
    )

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return True: `langchain_core.load.dumps` can serialize the class if it can serialize the base retriever."""
        return True

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        **overrides: Unpack[Overrides],
    ) -> list[Document]:
        callbacks = run_manager.get_child()
        found = self.base_retriever.invoke(query, config={"callbacks": callbacks})
        return self.reranker.compress_documents(found, query, callbacks, **self._with_top_n(overrides))

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        **overrides: Unpack[Overrides],
    ) -> list[Document]:
        callbacks = run_manager.get_child()
        found = await self.base_retriever.ainvoke(query, config={"callbacks": callbacks})
        return await self.reranker.acompress_documents(found, query, callbacks, **self._with_top_n(overrides))

    def _with_top_n(self, overrides: Overrides) -> Overrides:
        """Return the parameters of a call, with the `top_n` of this retriever as the default."""
        return overrides if self.top_n is None else {"top_n": self.top_n, **overrides}
