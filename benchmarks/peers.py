"""The peers: each as its users call it."""

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.client import KEY, QUERY, Client, through_langchain, through_llamaindex


def _langchain_fireworks(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    from langchain_fireworks import FireworksRerank

    return through_langchain(
        FireworksRerank(model="m", fireworks_api_key=KEY, base_url=f"{url}/inference/v1", top_n=top_n), documents
    )


def _langchain_cohere(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    from langchain_cohere import CohereRerank

    reranker = CohereRerank(cohere_api_key=KEY, base_url=f"{url}/cohere", model="rerank-v3.5", top_n=top_n)
    return through_langchain(reranker, documents)


def _langchain_voyageai(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    from langchain_voyageai import VoyageAIRerank

    reranker = VoyageAIRerank(voyage_api_key=KEY, model="rerank-2.5", top_k=top_n, base_url=f"{url}/voyage/v1")
    return through_langchain(reranker, documents)


def _langchain_nvidia(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    from langchain_nvidia_ai_endpoints import NVIDIARerank

    reranker = NVIDIARerank(base_url=f"{url}/nim/v1", model="m", api_key="nvapi-k", top_n=top_n, max_batch_size=100)
    return through_langchain(reranker, documents)


def _langchain_jina(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    import requests
    from langchain_community.document_compressors import JinaRerank

    class Here(requests.adapters.HTTPAdapter):
        def send(self, request: Any, **options: Any) -> Any:
            request.url = request.url.replace("https://api.jina.ai", f"{url}/jina")
            return super().send(request, **options)

    reranker = JinaRerank(jina_api_key=KEY, top_n=top_n)
    reranker.session = requests.Session()
    reranker.session.mount("https://api.jina.ai", Here())
    return through_langchain(reranker, documents)


def _llamaindex_cohere(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    from llama_index.postprocessor.cohere_rerank import CohereRerank

    return through_llamaindex(
        CohereRerank(api_key=KEY, base_url=f"{url}/cohere", top_n=top_n or len(documents)), documents
    )


def _llamaindex_jina(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    from llama_index.postprocessor.jinaai_rerank import JinaRerank

    return through_llamaindex(
        JinaRerank(api_key=KEY, base_url=f"{url}/jina/v1", top_n=top_n or len(documents)), documents
    )


def _litellm(url: str, documents: Sequence[str], top_n: int | None) -> Client:
    import litellm

    settings: dict[str, Any] = {"model": "cohere/m", "query": QUERY, "documents": list(documents), "top_n": top_n}
    settings |= {"api_key": KEY, "api_base": f"{url}/cohere/v2/rerank"}
    return Client(
        lambda: litellm.rerank(**settings), lambda query=QUERY: litellm.arerank(**settings | {"query": query})
    )


PEERS: dict[str, Callable[..., Client]] = {
    "langchain-fireworks": _langchain_fireworks,
    "langchain-cohere": _langchain_cohere,
    "langchain-voyageai": _langchain_voyageai,
    "langchain-nvidia": _langchain_nvidia,
    "langchain-jina": _langchain_jina,
    "llama-index-cohere": _llamaindex_cohere,
    "llama-index-jinaai": _llamaindex_jina,
    "litellm": _litellm,
}
ON_AIOHTTP = ("langchain-nvidia", "langchain-voyageai", "litellm")
"""Peers whose awaiting calls go over aiohttp."""
