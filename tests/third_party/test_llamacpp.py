"""Against llama.cpp's real server, with a tiny cross-encoder."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hosted_rerank import AuthenticationError, Dialect, InvalidRequestError, Provider, Reranker

xllamacpp = pytest.importorskip("xllamacpp")
pytest.importorskip("gguf")
sys.path.insert(0, str(Path(__file__).parent))
from tiny_gguf import write_cross_encoder  # noqa: E402 - stands beside this file, which is no package

QUERY = "what is python"
DOCUMENTS = ["Python is a language", "cats purr", " ", "Debian is a distribution"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a running llama.cpp server that wants the key sk-test."""
    settings = xllamacpp.CommonParams()
    settings.model.path = str(write_cross_encoder(tmp_path_factory.mktemp("model") / "tiny.gguf"))
    settings.model_alias = {"tiny-ce"}
    settings.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_RANK
    settings.embedding = True
    settings.hostnames, settings.port, settings.api_keys = ["127.0.0.1"], 0, ["sk-test"]
    settings.n_ctx = settings.n_batch = settings.n_ubatch = 512
    settings.n_gpu_layers, settings.warmup, settings.verbosity = 0, False, 0
    server = xllamacpp.Server(settings)
    yield server.listening_address
    del server


@pytest.fixture(params=["blocking", "awaiting"])
def rerank(request: pytest.FixtureRequest):
    """A rerank call, in both ways."""

    def call(reranker: Reranker, query: str, documents: list[str], **options):
        if request.param == "blocking":
            return reranker.rerank(query, documents, **options)
        return asyncio.run(reranker.arerank(query, documents, **options))

    return call


def ask_directly(address: str) -> dict[int, float]:
    """The scores that the server gives a plain HTTP client."""
    body = {"model": "tiny-ce", "query": QUERY, "documents": [text for text in DOCUMENTS if text.strip()]}
    reply = httpx.post(f"{address}/v1/rerank", json=body, headers={"authorization": "Bearer sk-test"})
    return {result["index"]: result["relevance_score"] for result in reply.raise_for_status().json()["results"]}


def test_the_row_reranks(address: str, rerank) -> None:
    """The table's row, told the address: the server's own scores come back, sorted."""
    reranker = Reranker("llamacpp", "tiny-ce", api_key="sk-test", base_url=address)
    response = rerank(reranker, QUERY, DOCUMENTS)
    scores = ask_directly(address)
    expected = {0: scores[0], 1: scores[1], 3: scores[2]}  # the blank document was not sent
    *scored, blank = response.results
    assert {result.index: result.relevance_score for result in scored} == pytest.approx(expected)
    assert [result.index for result in scored] == sorted(expected, key=expected.__getitem__, reverse=True)
    assert (blank.index, blank.relevance_score) == (2, None)
    assert response.usage.total_tokens
    assert response.model == "tiny-ce"
    assert (response.score_kind, response.score_transform) == ("unknown", "none")


def test_top_n_is_cut(address: str, rerank) -> None:
    """A `Provider` of one's own of the common shape needs a name and an address; `top_n` is asked for and applied."""
    reranker = Reranker(Provider(name="mine", url=f"{address}/v1/rerank"), "tiny-ce", api_key="sk-test")
    best = rerank(reranker, QUERY, DOCUMENTS).results[:2]
    assert rerank(reranker, QUERY, DOCUMENTS, top_n=2).results == best


def test_another_dialect_of_the_same_server(address: str, rerank) -> None:
    """It speaks Text Embeddings Inference's too (texts in, a bare array out), so that row gets the same scores."""
    response = rerank(Reranker("tei", api_key="sk-test", base_url=address), QUERY, DOCUMENTS[:2])
    scores = ask_directly(address)
    assert {r.index: r.relevance_score for r in response.results} == pytest.approx({0: scores[0], 1: scores[1]})


def test_its_refusals_become_our_errors(address: str, rerank) -> None:
    """The server's words reach the caller: a wrong key, and a body that it does not take."""
    with pytest.raises(AuthenticationError, match="Invalid API Key"):
        rerank(Reranker("llamacpp", api_key="sk-other", base_url=address), QUERY, DOCUMENTS)
    odd = Provider(name="odd", url=f"{address}/v1/rerank", dialect=Dialect(documents="papers"))
    with pytest.raises(InvalidRequestError, match="documents"):
        rerank(Reranker(odd, api_key="sk-test"), QUERY, DOCUMENTS)


def test_too_long_does_not_pass(address: str, rerank) -> None:
    """Its 500 for a text beyond its batch is a wrong request, and is sent once."""
    reranker = Reranker("llamacpp", "tiny-ce", api_key="sk-test", base_url=address)
    with pytest.raises(InvalidRequestError, match="too large") as caught:
        rerank(reranker, QUERY, ["python " * 2000])
    assert "attempts" not in str(caught.value)
