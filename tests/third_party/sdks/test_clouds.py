"""The clouds' own SDKs, unpatched, against the local server: each is only told its address."""

import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from hosted_rerank.local.server import app
from tests.third_party.conftest import Case, imported

pytestmark = pytest.mark.filterwarnings("ignore")  # what these packages leave open and deprecate is not ours to mend

AWS = {"region_name": "eu-west-1", "aws_access_key_id": "k", "aws_secret_access_key": "s"}
ARN = "arn:aws:bedrock:eu-west-1::foundation-model/cohere.rerank-v3-5:0"


def logits(case: Case) -> list[tuple[int, object]]:
    """The two best, scored as logits."""
    return [(index, pytest.approx(math.log(score / (1 - score)))) for index, score in case.best[:2]]


def ask_bedrock(base_url: str, query: str, documents: list[dict[str, Any]]) -> list[tuple[int, float]]:
    """Index and score of the two best, through boto3."""
    client = imported("boto3").client("bedrock-agent-runtime", endpoint_url=f"{base_url}/bedrock", **AWS)
    response = client.rerank(
        queries=[{"type": "TEXT", "textQuery": {"text": query}}],
        sources=[{"type": "INLINE", "inlineDocumentSource": document} for document in documents],
        rerankingConfiguration={
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {"modelConfiguration": {"modelArn": ARN}, "numberOfResults": 2},
        },
    )
    return [(result["index"], result["relevanceScore"]) for result in response["results"]]


def test_boto3(base_url: str, case: Case) -> None:
    """Boto3 gets scores for documents as text."""
    documents = [{"type": "TEXT", "textDocument": {"text": text}} for text in case.documents]
    assert ask_bedrock(base_url, case.query, documents) == case.best[:2]


def test_boto3_json(base_url: str, case: Case) -> None:
    """Boto3 gets scores for documents as JSON."""
    documents = [{"type": "JSON", "jsonDocument": {"text": text}} for text in case.documents]
    assert [index for index, _ in ask_bedrock(base_url, case.query, documents)] == [index for index, _ in case.best[:2]]


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


def ask_dashscope(base_url: str, case: Case, **more: Any) -> Any:
    """The reply to DashScope's client, which drops the documents of a reply, whoever sends it."""
    asked = {"model": "qwen3-rerank", "query": case.query, "documents": case.documents, "top_n": 2, "api_key": "k"}
    address = f"{base_url}/dashscope-native/api/v1"
    response = imported("dashscope").TextReRank.call(**asked, base_address=address, **more)
    assert response.status_code == 200, response.message
    return response


def test_dashscope(base_url: str, case: Case) -> None:
    """DashScope's client gets scores and tokens."""
    response = ask_dashscope(base_url, case)
    assert [(result.index, result.relevance_score) for result in response.output.results] == case.best[:2]
    assert response.usage["total_tokens"] > 0


def ask_google(base_url: str, case: Case, ids: list[str]) -> Any:
    """The records that Google's client gets."""
    google = imported("google.cloud.discoveryengine_v1")
    transports = imported("google.cloud.discoveryengine_v1.services.rank_service.transports")
    anonymous = imported("google.auth.credentials").AnonymousCredentials()
    transport = transports.RankServiceRestTransport(
        host=f"{base_url}/vertex".removeprefix("http://"), url_scheme="http", credentials=anonymous
    )
    records = [google.RankingRecord(id=own, content=text) for own, text in zip(ids, case.documents, strict=True)]
    asked = google.RankRequest(
        ranking_config="projects/p/locations/global/rankingConfigs/default_ranking_config",
        model="semantic-ranker-default-004",
        query=case.query,
        records=records,
        top_n=2,
    )
    return google.RankServiceClient(transport=transport).rank(asked).records


def test_discoveryengine(base_url: str, case: Case) -> None:
    """Google's client gets scores by id, best first."""
    found = [(int(record.id), record.score) for record in ask_google(base_url, case, ["0", "1", "2"])]
    assert found == [(index, pytest.approx(score)) for index, score in case.best[:2]]


def test_discoveryengine_records(base_url: str, case: Case) -> None:
    """Google's client gets its own ids back, and the contents."""
    found = [(record.id, record.content) for record in ask_google(base_url, case, ["a", "b", "c"])]
    assert found == [("abc"[index], case.documents[index]) for index, _ in case.best[:2]]


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The local server and a project of IBM's behind TLS: its URL, and the certificate to trust."""
    authority, trusted, own = trustme.CA(), tmp_path / "ca.pem", tmp_path / "own.pem"
    authority.cert_pem.write_to_path(trusted)
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(own)
    project = Route("/watsonx/v2/projects/p", lambda _: JSONResponse({"entity": {"storage": {"type": "s"}}}))
    served = Starlette(routes=[project, Mount("/", app())])
    server = uvicorn.Server(uvicorn.Config(served, port=0, ssl_certfile=own, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield f"https://localhost:{server.servers[0].sockets[0].getsockname()[1]}", str(trusted)
    server.should_exit = True
    thread.join()


def ask_watsonx(secure: tuple[str, str], case: Case, **options: Any) -> list[dict[str, Any]]:
    """The results that IBM's client gets, as of a Cloud Pak."""
    url, trusted = secure
    own = {"token": "k", "instance_id": "openshift", "version": "5.2", "verify": trusted}
    credentials = imported("ibm_watsonx_ai").Credentials(url=f"{url}/watsonx", **own)
    rerank = imported("ibm_watsonx_ai.foundation_models").Rerank
    model = rerank("cross-encoder/ms-marco-minilm-l-12-v2", credentials=credentials, project_id="p")
    return model.generate(case.query, case.documents, params={"return_options": {"top_n": 2, **options}})["results"]


def test_watsonx(secure: tuple[str, str], case: Case) -> None:
    """IBM's client gets scores."""
    assert [(result["index"], result["score"]) for result in ask_watsonx(secure, case)] == logits(case)


def test_watsonx_inputs(secure: tuple[str, str], case: Case) -> None:
    """IBM's client gets the texts where it asks for them."""
    texts = [result["input"]["text"] for result in ask_watsonx(secure, case, inputs=True)]
    assert texts == [case.documents[index] for index, _ in case.best[:2]]
