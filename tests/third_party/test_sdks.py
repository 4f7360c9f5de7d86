"""The vendors' own SDKs, unpatched, against the local server: each is only told its address."""

import pytest

from tests.third_party.conftest import Case

pytestmark = pytest.mark.filterwarnings("ignore")  # what these packages leave open and deprecate is not ours to mend


def test_cohere_v2(base_url: str, case: Case) -> None:
    """Cohere's client of the second version gets the scores and the billed units."""
    cohere = pytest.importorskip("cohere")
    client = cohere.ClientV2("k", base_url=f"{base_url}/cohere")
    response = client.rerank(model="rerank-v3.5", query=case.query, documents=case.documents, top_n=2)
    assert [(result.index, result.relevance_score) for result in response.results] == case.best[:2]
    assert response.meta.billed_units.search_units == 1


def test_cohere_v1(base_url: str, case: Case) -> None:
    """Cohere's client of the first version gets them too, with the documents back."""
    cohere = pytest.importorskip("cohere")
    client = cohere.Client("k", base_url=f"{base_url}/cohere")
    response = client.rerank(model="rerank-v3.5", query=case.query, documents=case.documents, return_documents=True)
    assert [(result.index, result.relevance_score) for result in response.results] == case.best
    assert [result.document.text for result in response.results] == [case.documents[index] for index, _ in case.best]


async def test_cohere_awaiting(base_url: str, case: Case) -> None:
    """Its awaiting client likewise."""
    cohere = pytest.importorskip("cohere")
    client = cohere.AsyncClientV2("k", base_url=f"{base_url}/cohere")
    response = await client.rerank(model="rerank-v3.5", query=case.query, documents=case.documents)
    assert [(result.index, result.relevance_score) for result in response.results] == case.best


def test_cohere_error(base_url: str) -> None:
    """A refusal reaches its user as Cohere's own."""
    cohere = pytest.importorskip("cohere")
    with pytest.raises(cohere.BadRequestError, match="not empty"):
        cohere.ClientV2("k", base_url=f"{base_url}/cohere").rerank(model="m", query="q", documents=[])


def test_voyageai(base_url: str, case: Case) -> None:
    """Voyage's client gets scores and tokens."""
    voyageai = pytest.importorskip("voyageai")
    client = voyageai.Client(api_key="k", base_url=f"{base_url}/voyage/v1")
    response = client.rerank(case.query, case.documents, model="rerank-2.5", top_k=2)
    assert [(result.index, result.relevance_score) for result in response.results] == case.best[:2]
    assert response.total_tokens > 0


def test_together(base_url: str, case: Case) -> None:
    """Together's client gets scores and tokens."""
    together = pytest.importorskip("together")
    client = together.Together(api_key="k", base_url=f"{base_url}/together")
    response = client.rerank.create(model="m", query=case.query, documents=case.documents, top_n=2)
    assert [(result.index, result.relevance_score) for result in response.results] == case.best[:2]
    assert response.usage.total_tokens > 0


def test_mixedbread(base_url: str, case: Case) -> None:
    """Mixedbread's client gets scores."""
    mixedbread = pytest.importorskip("mixedbread")
    client = mixedbread.Mixedbread(api_key="k", base_url=f"{base_url}/mixedbread")
    response = client.rerank(model="m", query=case.query, input=case.documents, top_k=2)
    assert [(result.index, result.score) for result in response.data] == case.best[:2]


def test_zeroentropy(base_url: str, case: Case) -> None:
    """ZeroEntropy's client gets scores and tokens."""
    zeroentropy = pytest.importorskip("zeroentropy")
    client = zeroentropy.ZeroEntropy(api_key="k", base_url=f"{base_url}/zeroentropy/v1")
    response = client.models.rerank(model="zerank-2", query=case.query, documents=case.documents, top_n=2)
    assert [(result.index, result.relevance_score) for result in response.results] == case.best[:2]
    assert response.total_tokens > 0


def test_pinecone(base_url: str, case: Case) -> None:
    """Pinecone's client gets scores and units."""
    pinecone = pytest.importorskip("pinecone")
    client = pinecone.Pinecone(api_key="k", host=f"{base_url}/pinecone")
    response = client.inference.rerank(
        model="bge-reranker-v2-m3", query=case.query, documents=case.documents, top_n=2, return_documents=False
    )
    assert [(result.index, result.score) for result in response.data] == case.best[:2]
    assert response.usage.rerank_units == 1


LITELLM = {
    "cohere/rerank-v3.5": "/cohere/v2/rerank",
    "voyage/rerank-2.5": "/voyage/v1/rerank",
    "together_ai/m": "/together/v1",
    "fireworks_ai/fireworks/qwen3-reranker-8b": "/fireworks",
    "infinity/m": "/infinity",
    "hosted_vllm/m": "/vllm",
    "huggingface/m": "/tei",
}


@pytest.mark.parametrize("model", LITELLM)
def test_litellm(model: str, base_url: str, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Litellm gets the scores through each of its clients that can be given an address."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else its import asks the network for prices
    litellm = pytest.importorskip("litellm")
    address = f"{base_url}{LITELLM[model]}"
    response = litellm.rerank(
        model=model, query=case.query, documents=case.documents, top_n=2, api_key="k", api_base=address
    )
    assert [(result["index"], result["relevance_score"]) for result in response.results[:2]] == case.best[:2]
