"""The vendors' own SDKs, unpatched, against the local server: each is only told its address."""

import pytest

from tests.third_party.conftest import Case, imported

pytestmark = pytest.mark.filterwarnings("ignore")  # what these packages leave open and deprecate is not ours to mend


def test_cohere_v2(base_url: str, case: Case) -> None:
    """Cohere's client of the second version gets the scores and the billed units."""
    cohere = imported("cohere")
    client = cohere.ClientV2("k", base_url=f"{base_url}/cohere")
    response = client.rerank(model="rerank-v3.5", query=case.query, documents=case.documents, top_n=2)
    assert [(result.index, result.relevance_score) for result in response.results] == case.best[:2]
    assert response.meta.billed_units.search_units == 1


def test_cohere_v1(base_url: str, case: Case) -> None:
    """Cohere's client of the first version gets them too, with the documents back."""
    cohere = imported("cohere")
    client = cohere.Client("k", base_url=f"{base_url}/cohere")
    response = client.rerank(model="rerank-v3.5", query=case.query, documents=case.documents, return_documents=True)
    assert [(result.index, result.relevance_score) for result in response.results] == case.best
    assert [result.document.text for result in response.results] == [case.documents[index] for index, _ in case.best]


async def test_cohere_awaiting(base_url: str, case: Case) -> None:
    """Its awaiting client likewise."""
    cohere = imported("cohere")
    client = cohere.AsyncClientV2("k", base_url=f"{base_url}/cohere")
    response = await client.rerank(model="rerank-v3.5", query=case.query, documents=case.documents)
    assert [(result.index, result.relevance_score) for result in response.results] == case.best


def test_cohere_error(base_url: str) -> None:
    """A refusal reaches its user as Cohere's own."""
    cohere = imported("cohere")
    with pytest.raises(cohere.BadRequestError, match="not empty"):
        cohere.ClientV2("k", base_url=f"{base_url}/cohere").rerank(model="m", query="q", documents=[])


def test_voyageai(base_url: str, case: Case) -> None:
    """Voyage's client gets scores and tokens."""
    voyageai = imported("voyageai")
    client = voyageai.Client(api_key="k", base_url=f"{base_url}/voyage/v1")
    response = client.rerank(case.query, case.documents, model="rerank-2.5", top_k=2)
    assert [(result.index, result.relevance_score) for result in response.results] == case.best[:2]
    assert response.total_tokens > 0


def test_together(base_url: str, case: Case) -> None:
    """Together's client gets scores and tokens."""
    together = imported("together")
    client = together.Together(api_key="k", base_url=f"{base_url}/together")
    response = client.rerank.create(model="m", query=case.query, documents=case.documents, top_n=2)
    assert [(result.index, result.relevance_score) for result in response.results] == case.best[:2]
    assert response.usage.total_tokens > 0


def test_mixedbread(base_url: str, case: Case) -> None:
    """Mixedbread's client gets scores."""
    mixedbread = imported("mixedbread")
    client = mixedbread.Mixedbread(api_key="k", base_url=f"{base_url}/mixedbread")
    response = client.rerank(model="m", query=case.query, input=case.documents, top_k=2)
    assert [(result.index, result.score) for result in response.data] == case.best[:2]


def test_zeroentropy(base_url: str, case: Case) -> None:
    """ZeroEntropy's client gets scores and tokens."""
    zeroentropy = imported("zeroentropy")
    client = zeroentropy.ZeroEntropy(api_key="k", base_url=f"{base_url}/zeroentropy/v1")
    response = client.models.rerank(model="zerank-2", query=case.query, documents=case.documents, top_n=2)
    assert [(result.index, result.relevance_score) for result in response.results] == case.best[:2]
    assert response.total_tokens > 0


def test_pinecone(base_url: str, case: Case) -> None:
    """Pinecone's client gets scores and units."""
    pinecone = imported("pinecone")
    client = pinecone.Pinecone(api_key="k", host=f"{base_url}/pinecone")
    response = client.inference.rerank(
        model="bge-reranker-v2-m3", query=case.query, documents=case.documents, top_n=2, return_documents=False
    )
    assert [(result.index, result.score) for result in response.data] == case.best[:2]
    assert response.usage.rerank_units == 1


def test_openrouter(base_url: str, case: Case) -> None:
    """OpenRouter's client gets scores, texts and tokens."""
    openrouter = imported("openrouter")
    with openrouter.OpenRouter("k", server_url=f"{base_url}/openrouter/api/v1") as client:
        response = client.rerank.rerank(model="cohere/rerank-v3.5", query=case.query, documents=case.documents, top_n=2)
    assert [(result.index, result.relevance_score) for result in response.results] == case.best[:2]
    assert [result.document.text for result in response.results] == [
        case.documents[index] for index, _ in case.best[:2]
    ]
    assert response.usage.total_tokens > 0


def test_contextual(base_url: str, case: Case) -> None:
    """Contextual's client gets scores, with an instruction."""
    contextual = imported("contextual")
    client = contextual.ContextualAI(api_key="k", base_url=f"{base_url}/contextual/v1")
    model = "ctxl-rerank-v2-instruct-multilingual"
    asked = {"model": model, "query": case.query, "documents": case.documents, "instruction": "i", "top_n": 2}
    response = client.rerank.create(**asked)
    assert [(result.index, result.relevance_score) for result in response.results] == case.best[:2]


def test_contextual_metadata(base_url: str, case: Case) -> None:
    """Contextual's client may give metadata for each document."""
    contextual = imported("contextual")
    client = contextual.ContextualAI(api_key="k", base_url=f"{base_url}/contextual/v1")
    asked = {"model": "m", "query": case.query, "documents": case.documents, "top_n": 2}
    response = client.rerank.create(**asked, metadata=["" for _ in case.documents])
    assert [result.index for result in response.results] == [index for index, _ in case.best[:2]]


def test_isaacus(base_url: str, case: Case) -> None:
    """Isaacus' client gets scores and tokens."""
    isaacus = imported("isaacus")
    client = isaacus.Isaacus(api_key="k", base_url=f"{base_url}/isaacus/v1")
    response = client.rerankings.create(model="kanon-2-reranker", query=case.query, texts=case.documents, top_n=2)
    assert [(result.index, result.score) for result in response.results] == case.best[:2]
    assert response.usage.input_tokens > 0


def test_elastic(base_url: str, case: Case) -> None:
    """Elastic's client gets the best scores, and texts where it asks for them, also of content objects."""
    elasticsearch = imported("elasticsearch")
    objects = [{"type": "text", "format": "text", "value": text} for text in case.documents]
    with elasticsearch.Elasticsearch(f"{base_url}/elastic", api_key="k") as client:
        for given in (case.documents, objects):
            for texts in (True, False):
                asked = {"inference_id": "m", "query": case.query, "input": given, "top_n": 2}
                response = client.inference.rerank(**asked, return_documents=texts)
                best = [(result["index"], result["relevance_score"]) for result in response["rerank"]]
                assert best == case.best[:2]
                found = [result.get("text") for result in response["rerank"]]
                assert found == [case.documents[index] if texts else None for index, _ in case.best[:2]]


def test_xinference(base_url: str, case: Case) -> None:
    """Xinference's client gets scores, and texts where it asks for them."""
    restful = imported("xinference_client.client.restful.restful_client")
    model = restful.RESTfulRerankModelHandle("m", f"{base_url}/xinference", {})
    response = model.rerank(case.documents, case.query, top_n=2, return_documents=True)
    assert [(result["index"], result["relevance_score"]) for result in response["results"]] == case.best[:2]
    texts = [result["document"]["text"] for result in response["results"]]
    assert texts == [case.documents[index] for index, _ in case.best[:2]]
