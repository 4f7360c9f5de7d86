"""Where a base URL leads: to an endpoint as it is, or to the one below it; and how a reranker and an error show it."""

import pytest

from hosted_rerank import Provider, RerankConnectionError, Reranker, RerankError
from tests.byhand import planned, request_of
from tests.conftest import Acme, Rerank
from tests.hostile import HostileServer, reply


def url(base: str | None, provider: str, **settings: object) -> str:
    """The URL that a call with this base_url goes to."""
    return request_of(planned(provider, base_url=base, **settings)).url


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("provider", "base", "address"),
    [
        ("llamacpp", "http://127.0.0.1:8080/v1/reranking", "http://127.0.0.1:8080/v1/reranking"),
        ("llamacpp", "http://127.0.0.1:8080/rerank", "http://127.0.0.1:8080/rerank"),
        ("cohere", "https://h.example/v1/rerank", "https://h.example/v1/rerank"),
        ("cohere", "https://h.example/v2", "https://h.example/v2/rerank"),
        ("fireworks", "https://h.example/api/v1/reranking", "https://h.example/api/v1/reranking"),
        ("tei", "https://h.example/m/predict", "https://h.example/m/predict"),
        ("vllm", "https://h.example/score", "https://h.example/score"),
        ("azure", "https://me.eastus2.models.ai.azure.com", "https://me.eastus2.models.ai.azure.com/v1/rerank"),
        (
            "azure",
            "https://me.eastus2.models.ai.azure.com/v2/rerank",
            "https://me.eastus2.models.ai.azure.com/v2/rerank",
        ),
        ("azure", "https://me.services.ai.azure.com", "https://me.services.ai.azure.com/providers/cohere/v2/rerank"),
        ("nvidia-nim", "http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1/ranking"),
        ("fireworks", "https://h.example/reranker-proxy", "https://h.example/reranker-proxy/inference/v1/rerank"),
    ],
)
def test_endpoint_is_taken_as_it_is(provider: str, base: str, address: str, slash: str) -> None:
    """A base URL that ends in an endpoint stays as it is, and a known base gets the rest of its path."""
    assert url(base + slash, provider, model="m") == address


@pytest.mark.parametrize(
    ("provider", "variable", "base", "address"),
    [
        ("fireworks", "FIREWORKS_BASE_URL", "https://h.example", "https://h.example/inference/v1/rerank"),
        ("fireworks-logits", "FIREWORKS_BASE_URL", "https://h.example", "https://h.example/inference/v1/embeddings"),
        ("cohere", "CO_API_URL", "https://h.example/", "https://h.example/v2/rerank"),
        ("together", "TOGETHER_BASE_URL", "https://h.example/v1", "https://h.example/v1/rerank"),
        ("pinecone", "PINECONE_CONTROLLER_HOST", "https://h.example", "https://h.example/rerank"),
        ("mixedbread", "MIXEDBREAD_BASE_URL", "https://h.example", "https://h.example/v1/reranking"),
        ("zeroentropy", "ZEROENTROPY_BASE_URL", "https://h.example/v1", "https://h.example/v1/models/rerank"),
        ("contextual", "CONTEXTUAL_AI_BASE_URL", "https://h.example/v1", "https://h.example/v1/rerank"),
        ("isaacus", "ISAACUS_BASE_URL", "https://h.example/v1", "https://h.example/v1/rerankings"),
        ("nvidia-nim", "NVIDIA_BASE_URL", "http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1/ranking"),
        ("azure", "AZURE_AI_API_BASE", "https://h.example", "https://h.example/providers/cohere/v2/rerank"),
        (
            "dashscope-native",
            "DASHSCOPE_HTTP_BASE_URL",
            "https://h.example/api/v1",
            "https://h.example/api/v1/services/rerank/text-rerank/text-rerank",
        ),
    ],
)
def test_base_url_of_the_vendors_sdk(
    provider: str, variable: str, base: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable of the vendor's own SDK names the base URL, unless the caller does."""
    monkeypatch.setenv(variable, base)
    assert url(None, provider) == address
    assert url("https://mine.example", provider).startswith("https://mine.example/")


def test_base_url_of_the_environment_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is no URL is named; a blank one counts as not set."""
    monkeypatch.setenv("CO_API_URL", "h.example/v2")
    with pytest.raises(ValueError, match="CO_API_URL must be an http or https URL"):
        Reranker("cohere")
    monkeypatch.setenv("CO_API_URL", " ")
    assert url(None, "cohere") == "https://api.cohere.com/v2/rerank"


def test_base_url_of_the_environment_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is optional at a base URL of the environment, as it is at one that the caller passes."""
    monkeypatch.setenv("CO_API_URL", "https://h.example")
    assert "authorization" not in request_of(planned("cohere", api_key=None)).headers


@pytest.mark.parametrize(
    ("key", "host"), [("al-1", "ai.mongodb.com"), ("pa-1", "api.voyageai.com"), ("pal-1", "api.voyageai.com")]
)
def test_kind_of_key_decides_the_host(key: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Voyage's keys of MongoDB Atlas go to Atlas' host, explicit or from the environment, and to no other base URL."""
    assert request_of(planned("voyage", api_key=key)).url == f"https://{host}/v1/rerank"
    assert Reranker("voyage", api_key=key).url == f"https://{host}/v1/rerank"
    assert url("https://h.example", "voyage", api_key=key) == "https://h.example/v1/rerank"
    monkeypatch.setenv("VOYAGE_API_KEY", key)
    assert request_of(planned("voyage", api_key=None)).url == f"https://{host}/v1/rerank"


def test_regions_of_dashscope() -> None:
    """DashScope's host is a parameter, and Beijing's by default."""
    assert url(None, "dashscope") == "https://dashscope.aliyuncs.com/compatible-api/v1/reranks"
    host = "w1.ap-southeast-1.maas.aliyuncs.com"
    assert url(None, "dashscope", params={"host": host}) == f"https://{host}/compatible-api/v1/reranks"


def test_url_is_shown_without_secrets() -> None:
    """A reranker shows the URL that it asks, without the query and without what may be secret."""
    reranker = Reranker(
        Provider(name="mine", url="https://h.example/{token}/rerank"),
        params={"token": "s3cr3t-part", "trace": "t-1"},
        base_url="https://g.example/s3cr3t-part/rerank?flag=1",
        api_key="sk-1",
    )
    assert reranker.url == "https://g.example/***/rerank"
    assert Reranker("local").url == "local:"


def test_error_names_the_url(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Every error of a request names the URL that was asked, in its message and as an attribute."""
    for act in (reply(404), reply(200, {"results": 5}), reply(503)):
        server.play(act)
        with pytest.raises(RerankError) as caught:
            rerank(acme(base_url=f"{server.url}/v7", params={"token": "s3cr3t-part"}))
        assert caught.value.url == f"{server.url}/v7/v1/rerank"
        assert f"the URL is {server.url}/v7/v1/rerank" in str(caught.value)
        assert "s3cr3t" not in str(caught.value)


def test_error_without_an_answer_names_the_url(rerank: Rerank) -> None:
    """So does an error of the network."""
    with pytest.raises(RerankConnectionError) as caught:
        rerank(Reranker("vllm", "m", base_url="http://127.0.0.1:1/v1", max_retries=0))
    assert caught.value.url == "http://127.0.0.1:1/v1/rerank"
