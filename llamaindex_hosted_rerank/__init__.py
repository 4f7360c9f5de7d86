"""Hosted rerank APIs for LlamaIndex: a node postprocessor and a retriever."""

try:
    from llamaindex_hosted_rerank.events import HostedReRankEndEvent
    from llamaindex_hosted_rerank.nodes import RerankedNode
    from llamaindex_hosted_rerank.postprocessor import HostedRerank
    from llamaindex_hosted_rerank.retriever import RerankRetriever
    from llamaindex_hosted_rerank.vendors import FireworksRerank, NebiusRerank
except ModuleNotFoundError as missing:
    if not (missing.name or "").startswith("llama_index"):
        raise
    raise ImportError(f"{__name__} needs {missing.name}: pip install 'hosted-rerank[llamaindex]'") from missing

__all__ = [
    "FireworksRerank",
    "HostedReRankEndEvent",
    "HostedRerank",
    "NebiusRerank",
    "RerankRetriever",
    "RerankedNode",
]
