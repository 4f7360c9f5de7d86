"""The clouds' own SDKs, unpatched, against the local server: each is only told its address."""

import math
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
import uvicorn

from hosted_rerank.local.server import app
from tests.third_party.conftest import Case, imported

pytestmark = pytest.mark.filterwarnings("ignore")  # what these packages leave open and deprecate is not ours to mend

AWS = {"region_name": "eu-west-1", "aws_access_key_id": "k", "aws_secret_access_key": "s"}
ARN = "arn:aws:bedrock:eu-west-1::foundation-model/cohere.rerank-v3-5:0"


def logits(case: Case) -> list[tuple[int, object]]:
    """The two best, scored as logits."""
    return [(index, pytest.approx(math.log(score / (1 - score)))) for index, score in case.best[:2]]


def test_boto3(base_url: str, case: Case) -> None:
    """Boto3 gets scores for documents as text and as JSON."""
    client = imported("boto3").client("bedrock-agent-runtime", endpoint_url=f"{base_url}/bedrock", **AWS)
    first, *others = case.documents
    documents = [{"type": "JSON", "jsonDocument": first}]
    documents += [{"type": "TEXT", "textDocument": {"text": text}} for text in others]
    configuration = {"modelConfiguration": {"modelArn": ARN}, "numberOfResults": 2}
    response = client.rerank(
        queries=[{"type": "TEXT", "textQuery": {"text": case.query}}],
        sources=[{"type": "INLINE", "inlineDocumentSource": document} for document in documents],
        rerankingConfiguration={
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": configuration,
        },
    )
    (best, score), _ = case.best[:2]
    assert (response["results"][0]["index"], response["results"][0]["relevanceScore"]) == (best, pytest.approx(score))
    assert len(response["results"]) == 2


def test_langchain_aws(base_url: str, case: Case) -> None:
    """langchain-aws' compressor."""
    rerank, documents = imported("langchain_aws"), imported("langchain_core.documents")
    client = imported("boto3").client("bedrock-agent-runtime", endpoint_url=f"{base_url}/bedrock", **AWS)
    reranker = rerank.BedrockRerank(model_arn=ARN, top_n=2, client=client)
    kept = reranker.compress_documents([documents.Document(text) for text in case.documents], case.query)
    found = [(case.documents.index(each.page_content), each.metadata["relevance_score"]) for each in kept]
    assert found == [(index, pytest.approx(score)) for index, score in case.best[:2]]


def test_cloudflare(base_url: str, case: Case) -> None:
    """Cloudflare's client gets ids and scores."""
    client = imported("cloudflare").Cloudflare(api_token="k", base_url=f"{base_url}/cloudflare/client/v4")
    contexts = [{"text": text} for text in case.documents]
    response = client.ai.run(
        "@cf/baai/bge-reranker-base",
        account_id="a",
        extra_body={"query": case.query, "contexts": contexts, "top_k": 2},
    )
    assert [(result["id"], result["score"]) for result in response["response"]] == logits(case)


def test_dashscope(base_url: str, case: Case) -> None:
    """DashScope's client gets scores, texts and tokens."""
    dashscope = imported("dashscope")
    response = dashscope.TextReRank.call(
        model="qwen3-rerank",
        query=case.query,
        documents=case.documents,
        top_n=2,
        return_documents=True,
        api_key="k",
        base_address=f"{base_url}/dashscope-native/api/v1",
    )
    assert response.status_code == 200, response.message
    assert [(result.index, result.relevance_score) for result in response.output.results] == case.best[:2]
    texts = [result.document["text"] for result in response.output.results]
    assert texts == [case.documents[index] for index, _ in case.best[:2]]
    assert response.usage["total_tokens"] > 0


def test_discoveryengine(base_url: str, case: Case) -> None:
    """Google's client gets its own ids with scores, best first."""
    google = imported("google.cloud.discoveryengine_v1")
    transports = imported("google.cloud.discoveryengine_v1.services.rank_service.transports")
    anonymous = imported("google.auth.credentials").AnonymousCredentials()
    transport = transports.RankServiceRestTransport(
        host=f"{base_url}/vertex".removeprefix("http://"), url_scheme="http", credentials=anonymous
    )
    records = [google.RankingRecord(id=f"id-{place}", content=text) for place, text in enumerate(case.documents)]
    response = google.RankServiceClient(transport=transport).rank(
        google.RankRequest(
            ranking_config="projects/p/locations/global/rankingConfigs/default_ranking_config",
            model="semantic-ranker-default-004",
            query=case.query,
            records=records,
            top_n=2,
        )
    )
    found = [(record.id, record.content, record.score) for record in response.records]
    best = [(f"id-{index}", case.documents[index], pytest.approx(score)) for index, score in case.best[:2]]
    assert found == best


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The local server behind TLS: its URL, and the certificate to trust."""
    authority, trusted, own = trustme.CA(), tmp_path / "ca.pem", tmp_path / "own.pem"
    authority.cert_pem.write_to_path(trusted)
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(own)
    server = uvicorn.Server(uvicorn.Config(app(), port=0, ssl_certfile=own, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield f"https://localhost:{server.servers[0].sockets[0].getsockname()[1]}", str(trusted)
    server.should_exit = True
    thread.join()


def test_watsonx(secure: tuple[str, str], case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """IBM's client gets scores, and texts where it asks for them."""
    url, trusted = secure
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", trusted)
    watsonx = imported("ibm_watsonx_ai")
    credentials = watsonx.Credentials(url=f"{url}/watsonx", token="k", instance_id="openshift", version="5.2", verify=trusted)
    model = imported("ibm_watsonx_ai.foundation_models").Rerank(
        "cross-encoder/ms-marco-minilm-l-12-v2", credentials=credentials, project_id="p"
    )
    response = model.generate(
        case.query, case.documents, params={"return_options": {"top_n": 2, "inputs": True, "query": True}}
    )
    assert [(result["index"], result["score"]) for result in response["results"]] == logits(case)
    texts = [result["input"]["text"] for result in response["results"]]
    assert texts == [case.documents[index] for index, _ in case.best[:2]]
