"""Hosted rerank APIs for LangChain: a document compressor and a retriever."""

from langchain_hosted_rerank.compressor import HostedRerank, RerankInput
from langchain_hosted_rerank.retriever import RerankRetriever
from langchain_hosted_rerank.vendors import FireworksRerank, NebiusRerank

__all__ = ["FireworksRerank", "HostedRerank", "NebiusRerank", "RerankInput", "RerankRetriever"]
