"""Hosted rerank APIs for LlamaIndex: a node postprocessor and a retriever."""

from llamaindex_hosted_rerank.events import HostedReRankEndEvent
from llamaindex_hosted_rerank.postprocessor import HostedRerank
from llamaindex_hosted_rerank.retriever import RerankRetriever
from llamaindex_hosted_rerank.vendors import FireworksRerank, NebiusRerank

__all__ = ["FireworksRerank", "HostedReRankEndEvent", "HostedRerank", "NebiusRerank", "RerankRetriever"]
