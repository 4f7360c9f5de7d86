"""The local server speaks every row of the table, to our client; and it is strict where it can be."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from hosted_rerank import PROVIDERS, AuthenticationError, InvalidRequestError, NotFoundError, Provider, Reranker
from hosted_rerank.local.model import Model
from hosted_rerank.local.server import running
from hosted_rerank.providers.auth import KeyHeader
from hosted_rerank.providers.url import url_param_names

QUERY = "What is the Python language?"
DOCUMENTS = ["Pythons are snakes that kill.", "", "Python is a programming language.", " \n", "Bread rises."]
HOSTED = [row for row in PROVIDERS.values() if row.url.startswith("http")]
KEYED = [row for row in HOSTED if isinstance(row.auth, KeyHeader)]
STRICT = [row for row in HOSTED if not row.dialect.allows_extra_fields and row.name not in ("fireworks", "nebius")]

each = pytest.mark.parametrize("row", HOSTED, ids=lambda row: row.name)


@pytest.fixture(scope="module")
def locked() -> Iterator[str]:
    """A server that asks for a key."""
    with running("sk-local-1") as url:
        yield url


def settings(row: Provider, base_url: str) -> dict[str, Any]:
    """The settings that reach a row's API on the local server."""
    parts = dict.fromkeys(url_param_names(row.url), "eu-west-1")
    return {"model": None if row.default_model else "some-model", "params": parts, "base_url": f"{base_url}/{row.name}"}


@each
@pytest.mark.parametrize("top_n", [None, 1, 2, 99])
def test_every_row_reranks(row: Provider, top_n: int | None, base_url: str, model: Model) -> None:
    """Any provider's name gives the model's own scores, best first, blanks last, cut to `top_n`."""
    reranker = Reranker(row.name, **settings(row, base_url))
    response = reranker.rerank(QUERY, DOCUMENTS, top_n=top_n)
    relevance = model.score(QUERY, [text for text in DOCUMENTS if text.strip()]).relevance
    expected = sorted(zip((0, 2, 4), relevance, strict=True), key=lambda pair: -pair[1])
    scored = [(result.index, result.relevance_score) for result in response.results]
    assert [index for index, _ in scored] == [*(index for index, _ in expected), 1, 3][:top_n]
    assert [score for _, score in scored] == [
        *(pytest.approx(score, rel=1e-9) for _, score in expected),
        *(None, None),
    ][:top_n]
    assert response.provider == row.name
    assert response.score_transform == ("sigmoid" if row.score_kind == "logit" else "none")
    assert asyncio.run(reranker.arerank(QUERY, DOCUMENTS, top_n=top_n)).results == response.results


@each
def test_every_row_takes_an_instruction_or_says_that_it_does_not(row: Provider, base_url: str) -> None:
    """An instruction is sent in the row's field, refused without one, or put into the query if that is asked for."""
    reranker = Reranker(row.name, **settings(row, base_url))
    if row.dialect.takes_instruction:
        assert reranker.rerank(QUERY, DOCUMENTS, instruction="be brief").results[0].index == 2
        return
    with pytest.raises(InvalidRequestError, match="instruction_in_query"):
        reranker.rerank(QUERY, DOCUMENTS, instruction="be brief")
    willing = Reranker(row.name, instruction="about computers", instruction_in_query=True, **settings(row, base_url))
    plain, told = reranker.rerank(QUERY, DOCUMENTS), willing.rerank(QUERY, DOCUMENTS)
    assert plain.results[0].relevance_score != told.results[0].relevance_score


@pytest.mark.parametrize("row", KEYED, ids=lambda row: row.name)
def test_every_row_sends_its_key_where_the_api_looks(row: Provider, locked: str) -> None:
    """The key arrives in the row's own header, and a wrong one is an AuthenticationError."""
    assert Reranker(row.name, api_key="sk-local-1", **settings(row, locked)).rerank(QUERY, DOCUMENTS).attempts == 1
    with pytest.raises(AuthenticationError):
        Reranker(row.name, api_key="sk-other", **settings(row, locked)).rerank(QUERY, DOCUMENTS)


@pytest.mark.parametrize("row", STRICT, ids=lambda row: row.name)
def test_unknown_fields_are_refused(row: Provider, base_url: str) -> None:
    """A field that the row does not have is refused by its name, with the API's own status and envelope."""
    reranker = Reranker(row.name, **settings(row, base_url))
    url = reranker._endpoint.url
    body = {"documents": ["a"], "query": "b", "colour": {"of": "the sky"}}
    reply = httpx.post(url, json=body)
    assert reply.status_code == (422 if row.name in ("cohere", "azure", "vercel") else 400)
    assert "colour.of" in reply.text


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_first_version_of_cohere_returns_documents(version: str, base_url: str) -> None:
    """`return_documents` is a field of Cohere's first version; the second one takes it, and returns none."""
    body = {"model": "m", "query": "b", "documents": ["a"], "return_documents": True}
    reply = httpx.post(f"{base_url}/cohere/{version}/rerank", json=body)
    assert reply.status_code == 200
    assert ("document" in reply.json()["results"][0]) is (version == "v1")
    refused = httpx.post(f"{base_url}/cohere/{version}/rerank", json=body | {"top_k": 1})
    assert refused.json()["message"] == "unknown field: parameter 'top_k' is not a valid field"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "JSON"),
        (b"[]", "JSON object"),
        (b"{}", "documents"),
        (b'{"query": "q", "documents": []}', "not empty"),
        (b'{"query": "q", "documents": [5]}', "no text"),
        (b'{"query": 5, "documents": ["a"]}', "query"),
        (b'{"query": "q", "documents": ["a"], "top_n": 0}', "top_n"),
        (b'{"query": "q", "documents": ["a"], "top_n": true}', "top_n"),
        (b'{"query": "q", "documents": ["a"], "model": 5}', "model"),
    ],
)
def test_wrong_bodies_are_refused(body: bytes, said: str, base_url: str) -> None:
    """A request that cannot be reranked is a 400 in the API's envelope; Cohere's is `message`."""
    reply = httpx.post(f"{base_url}/cohere/v2/rerank", content=body)
    assert reply.status_code == 400
    assert said in reply.json()["message"]


def test_echo_where_it_is_asked_for(base_url: str) -> None:
    """`return_documents` gives each result its own text back."""
    body = {"query": "q", "documents": ["one", "two"], "return_documents": True}
    results = httpx.post(f"{base_url}/cohere/v1/rerank", json=body).json()["results"]
    assert {(result["index"], result["document"]["text"]) for result in results} == {(0, "one"), (1, "two")}


def test_prompt_that_is_not_the_rerankers(base_url: str) -> None:
    """The raw prompts of `fireworks-logits` have to be the reranker's own."""
    body = {"model": "m", "input": ["hello"], "return_logits": [2753, 9454], "normalize": True}
    reply = httpx.post(f"{base_url}/fireworks-logits/inference/v1/embeddings", json=body)
    assert (reply.status_code, reply.json()["error"]["message"]) == (
        400,
        "the prompt does not follow the template of the reranker",
    )


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/cohere/v3/rerank", 404),
        ("/cohere", 404),
        ("/nobody/v1/rerank", 404),
        ("/cloudflare/client/v4/accounts/a/ai/run/", 404),
        ("/nebius/v1/rerank", 422),
        ("/fireworks/inference/v1/rerank", 400),
    ],
)
def test_other_paths(path: str, status: int, base_url: str) -> None:
    """A path of no API is a 404; Fireworks and Nebius answer below their names as at the root."""
    assert httpx.post(f"{base_url}{path}", content=b"{}").status_code == status


def test_wrong_method(base_url: str) -> None:
    """A GET is a 405 that says what is allowed."""
    reply = httpx.get(f"{base_url}/voyage/v1/rerank")
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")


def test_model_in_the_address_is_the_model(base_url: str) -> None:
    """An API with the model in its path answers for any id there, and an unknown path is a NotFoundError."""
    reranker = Reranker(
        "cloudflare", "@cf/baai/bge-reranker-base", params={"account": "a"}, base_url=f"{base_url}/cloudflare"
    )
    assert reranker.rerank(QUERY, DOCUMENTS).results[0].index == 2
    with pytest.raises(NotFoundError):
        Reranker("cohere", base_url=f"{base_url}/cohere/v7/rerank2").rerank(QUERY, DOCUMENTS)
