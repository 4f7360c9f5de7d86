"""`RerankRetriever`: a retriever that reranks what another one finds. Needs langchain-core only."""

from typing import Annotated, Unpack

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever, RetrieverLike
from pydantic import ConfigDict, Field

from hosted_rerank.frameworks.settings import Overrides
from langchain_hosted_rerank.compressor import HostedRerank


class RerankRetriever(BaseRetriever):
    """Retrieves with one retriever and keeps the best by a reranker.

    Unlike `ContextualCompressionRetriever` it takes `top_n`, `score_threshold` and `instruction` per call:

        ```python
        retriever = RerankRetriever(base_retriever=vectorstore.as_retriever(search_kwargs={"k": 50}), reranker=reranker)
        best = retriever.invoke("What is Python?", top_n=3)
        ```
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True, extra="forbid", hide_input_in_errors=True, validate_assignment=True
    )

    base_retriever: RetrieverLike
    """Finds the candidates."""
    reranker: HostedRerank
    """Ranks them."""
    top_n: Annotated[int, Field(ge=1, strict=True)] | None = None
    """How many to return; `None` for the reranker's own."""

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether `langchain_core.load.dumps` can dump it: yes, if it can dump the base retriever."""
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
        """The call's own wishes, with this retriever's `top_n` below them."""
        return overrides if self.top_n is None else {"top_n": self.top_n, **overrides}
