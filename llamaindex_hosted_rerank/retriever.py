"""`RerankRetriever`: a retriever that reranks what another one finds, for pipelines that have no postprocessors."""

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks import CallbackManager
from llama_index.core.prompts.mixin import PromptMixinType
from llama_index.core.schema import NodeWithScore, QueryBundle

from hosted_rerank._validation import check_count
from hosted_rerank.frameworks.settings import Overrides
from llamaindex_hosted_rerank.postprocessor import HostedRerank


class RerankRetriever(BaseRetriever):
    """Retrieves with one retriever and keeps the best by a reranker.

    `RouterRetriever`, `QueryFusionRetriever`, evaluators and agents take retrievers and no postprocessors:

        ```python
        retriever = RerankRetriever(index.as_retriever(similarity_top_k=50), HostedRerank(provider="fireworks"))
        ```

    Args:
        base_retriever: Finds the candidates.
        reranker: Ranks them.
        top_n: How many to return; `None` for the reranker's own.
        callback_manager: LlamaIndex's callbacks.
    """

    def __init__(
        self,
        base_retriever: BaseRetriever,
        reranker: HostedRerank,
        *,
        top_n: int | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        if top_n is not None:
            check_count("top_n", top_n, least=1)
        self.base_retriever = base_retriever
        self.reranker = reranker
        self.top_n = top_n
        super().__init__(callback_manager=callback_manager)  # pyright: ignore[reportUnknownMemberType] - takes a bare Dict

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
