"""Other packages' rerankers for LangChain and LlamaIndex, unpatched, against the local server."""

import math
from typing import Any

import pytest

from tests.third_party.conftest import Case, imported

pytestmark = pytest.mark.filterwarnings("ignore")  # what these packages leave open and deprecate is not ours to mend

Document = imported("langchain_core.documents").Document
NodeWithScore, TextNode = (getattr(imported("llama_index.core.schema"), name) for name in ("NodeWithScore", "TextNode"))


def compressed(compressor: Any, case: Case) -> list[tuple[int, float]]:
    """Index and score of what a LangChain compressor keeps."""
    documents = [Document(page_content=text) for text in case.documents]
    kept = compressor.compress_documents(documents, case.query)
    return [(case.documents.index(document.page_content), document.metadata["relevance_score"]) for document in kept]


def postprocessed(postprocessor: Any, case: Case) -> list[tuple[int, float]]:
    """Index and score of what a LlamaIndex postprocessor keeps."""
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in case.documents]
    kept = postprocessor.postprocess_nodes(nodes, query_str=case.query)
    return [(case.documents.index(found.text), found.score) for found in kept]


def test_langchain_cohere(base_url: str, case: Case) -> None:
    """langchain-cohere's compressor."""
    package = imported("langchain_cohere")
    reranker = package.CohereRerank(cohere_api_key="k", base_url=f"{base_url}/cohere", model="rerank-v3.5", top_n=2)
    assert compressed(reranker, case) == case.best[:2]


def test_langchain_voyageai(base_url: str, case: Case) -> None:
    """langchain-voyageai's compressor."""
    package = imported("langchain_voyageai")
    reranker = package.VoyageAIRerank(voyage_api_key="k", model="rerank-2.5", top_k=2, base_url=f"{base_url}/voyage/v1")
    assert compressed(reranker, case) == case.best[:2]


def test_langchain_nvidia(base_url: str, case: Case) -> None:
    """langchain-nvidia-ai-endpoints' compressor, which gives logits, here of a NIM."""
    package = imported("langchain_nvidia_ai_endpoints")
    model = "nvidia/llama-nemotron-rerank-1b-v2"
    reranker = package.NVIDIARerank(base_url=f"{base_url}/nvidia-nim/v1", model=model, api_key="nvapi-k", top_n=2)
    logits = [(index, pytest.approx(math.log(score / (1 - score)))) for index, score in case.best]
    assert compressed(reranker, case) == logits[:2]


def test_langchain_community_jina(base_url: str, case: Case) -> None:
    """langchain-community's Jina compressor, whose address is a constant: its session leads it here."""
    package = imported("langchain_community.document_compressors")
    requests = imported("requests")

    class Here(requests.adapters.HTTPAdapter):  # type: ignore[misc]  # requests is not installed where types are checked
        def send(self, request: Any, **options: Any) -> Any:
            request.url = request.url.replace("https://api.jina.ai", f"{base_url}/jina")
            return super().send(request, **options)

    session = requests.Session()
    session.mount("https://api.jina.ai", Here())
    reranker = package.JinaRerank(jina_api_key="k", top_n=2)
    reranker.session = session
    session.headers["Authorization"] = "Bearer k"
    assert compressed(reranker, case) == case.best[:2]


def test_llamaindex_cohere(base_url: str, case: Case) -> None:
    """llama-index-postprocessor-cohere-rerank."""
    package = imported("llama_index.postprocessor.cohere_rerank")
    assert (
        postprocessed(package.CohereRerank(api_key="k", base_url=f"{base_url}/cohere", top_n=2), case) == case.best[:2]
    )


def test_llamaindex_jina(base_url: str, case: Case) -> None:
    """llama-index-postprocessor-jinaai-rerank."""
    package = imported("llama_index.postprocessor.jinaai_rerank")
    assert (
        postprocessed(package.JinaRerank(api_key="k", base_url=f"{base_url}/jina/v1", top_n=2), case) == case.best[:2]
    )


def test_llamaindex_siliconflow(base_url: str, case: Case) -> None:
    """llama-index-postprocessor-siliconflow-rerank."""
    package = imported("llama_index.postprocessor.siliconflow_rerank")
    reranker = package.SiliconFlowRerank(api_key="k", base_url=f"{base_url}/siliconflow/v1/rerank", top_n=2)
    assert postprocessed(reranker, case) == case.best[:2]


def test_llamaindex_tei(base_url: str, case: Case) -> None:
    """llama-index-postprocessor-tei-rerank."""
    package = imported("llama_index.postprocessor.tei_rerank")
    reranker = package.TextEmbeddingInference(base_url=f"{base_url}/tei", top_n=2)
    assert postprocessed(reranker, case) == case.best[:2]
