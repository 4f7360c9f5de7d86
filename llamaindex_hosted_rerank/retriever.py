"""`RerankRetriever`: a retriever that reranks the nodes of another one, for pipelines without postprocessors."""

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks import CallbackManager
from llama_index.core.prompts.mixin import PromptMixinType
from llama_index.core.schema import NodeWithScore, QueryBundle

from hosted_rerank.frameworks.numbers import to_count
from hosted_rerank.frameworks.overrides import Overrides
from llamaindex_hosted_rerank.postprocessor import HostedRerank


class RerankRetriever(BaseRetriever):
    """Retrieves nodes with a base retriever and keeps the best ones by a reranker.

    `RouterRetriever`, `QueryFusionRetriever`, evaluators and agents take a retriever but no postprocessors:

        ```python
        retriever = RerankRetriever(index.as_retriever(similarity_top_k=50), HostedRerank(provider="fireworks"))
        ```

    Args:
        base_retriever: Finds the candidates.
        reranker: Ranks the candidates.
        top_n: The largest number of nodes to return, at least 1; `None` uses the `top_n` of the reranker.
        callback_manager: The callback manager of LlamaIndex, which the reranker gets too, as a query engine does it.

    Raises:
        TypeError: `top_n` is not a whole number.
        ValueError: `top_n` is less than 1.
    """

    def __init__(
        self,
        base_retriever: BaseRetriever,
        reranker: HostedRerank,
        *,
        top_n: int | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        if callback_manager is not None:
            reranker.callback_manager = callback_manager
        self.base_retriever = base_retriever
        self.reranker = reranker
        self.top_n = None if top_n is None else to_count("top_n", top_n)
        super().__init__(callback_manager=callback_manager)  # pyright: ignore[reportUnknownMemberType] - a parameter is a bare Dict

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = self.base_retriever.retrieve(query_bundle)
        return self.reranker.postprocess_nodes(found, query_bundle, **self._overrides())

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = await self.base_retriever.aretrieve(query_bundle)
        return await self.reranker.apostprocess_nodes(found, query_bundle, **self._overrides())

    def _overrides(self) -> Overrides:
        return {} if self.top_n is None else {"top_n": self.top_n}

    def _get_prompt_modules(self) -> PromptMixinType:
        return {"base_retriever": self.base_retriever}
