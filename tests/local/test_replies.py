"""The local server answers as the APIs do: by the schemas of their pages and SDKs, not by what our client reads."""

import json
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

SAMPLES = {path.stem: json.loads(path.read_text("utf-8")) for path in Path(__file__).parents[1].glob("samples/*.json")}
CASES = [
    pytest.param(name, sample["body"], sample["url"], id=f"{name}-{number}")
    for name, file in sorted(SAMPLES.items())
    for number, sample in enumerate(file["requests"])
    if "base_url" not in sample["settings"]
]


def post(base_url: str, name: str, body: Any, **more: Any) -> httpx.Response:
    """Posts a body to the first URL of a row, on the local server."""
    path = httpx.URL(SAMPLES[name]["requests"][0]["url"]).path
    return httpx.post(f"{base_url}/{name}{path}", json=body, **more)


@pytest.mark.parametrize(("name", "body", "url"), CASES)
def test_reply_follows_the_schema(name: str, body: Any, url: str, base_url: str) -> None:
    """The reply to each request of a sample has what the API's page or SDK says that a reply has."""
    reply = httpx.post(f"{base_url}/{name}{httpx.URL(url).path}", json=body)
    assert reply.status_code == 200, reply.text
    jsonschema.validate(reply.json(), SAMPLES[name]["reply_schema"])


ECHOES: dict[str, tuple[dict[str, Any], str, Any]] = {
    "voyage": ({"return_documents": True}, "data", "two"),
    "jina": ({}, "results", {"text": "two"}),
    "together": ({"return_documents": True}, "results", {"text": "two"}),
    "mixedbread": ({"return_input": True}, "data", "two"),
    "openrouter": ({}, "results", {"text": "two"}),
    "siliconflow": ({"return_documents": True}, "results", {"text": "two"}),
    "infinity": ({"return_documents": True}, "results", "two"),
    "tei": ({"return_text": True}, "", "two"),
    "elastic": ({"return_documents": True}, "rerank", "two"),
}


@pytest.mark.parametrize("name", ECHOES)
def test_documents_come_back_where_they_are_asked_for(name: str, base_url: str) -> None:
    """A result repeats its own document, in the form of the API, if the request or the API's default says so."""
    asks, results, document = ECHOES[name]
    key = {"mixedbread": "input", "tei": "texts", "elastic": "input"}.get(name, "documents")
    body = {"model": "m", "query": "two", key: ["one", "two"], **asks}
    if name in ("tei", "elastic"):
        del body["model"]
    reply = post(base_url, name, body).json()
    jsonschema.validate(reply, SAMPLES[name]["reply_schema"])
    (result,) = [each for each in (reply[results] if results else reply) if each["index"] == 1]
    assert document in result.values()
    if asks and name != "openrouter":
        plain = post(base_url, name, {**body, **dict.fromkeys(asks, False)}).json()
        assert '"two"' not in json.dumps(plain)


def test_watsonx_returns_inputs_and_query(base_url: str) -> None:
    """`return_options.inputs` and `.query` repeat the inputs and the query."""
    options = {"return_options": {"inputs": True, "query": True}}
    body = {"model_id": "m", "query": "q", "inputs": [{"text": "one"}], "project_id": "p", "parameters": options}
    reply = post(base_url, "watsonx", body).json()
    assert (reply["query"], reply["results"][0]["input"]) == ("q", {"text": "one"})
    jsonschema.validate(reply, SAMPLES["watsonx"]["reply_schema"])


@pytest.mark.parametrize(("hides", "fields"), [(True, {"id", "score"}), (False, {"id", "score", "title", "content"})])
def test_vertex_returns_the_ids_of_the_caller(base_url: str, hides: bool, fields: set[str]) -> None:  # noqa: FBT001 - a case
    """A record has the caller's own id, and its details unless the request says otherwise."""
    records = [{"id": "doc-a", "title": "A", "content": "snakes"}, {"id": "doc-b", "title": "B", "content": "bread"}]
    body = {"query": "snakes", "records": records, "ignoreRecordDetailsInResponse": hides}
    reply = post(base_url, "vertex", body).json()
    assert [record["id"] for record in reply["records"]] == ["doc-a", "doc-b"]
    assert set(reply["records"][0]) == fields
    jsonschema.validate(reply, SAMPLES["vertex"]["reply_schema"])


def test_bedrock_takes_json_documents(base_url: str) -> None:
    """A document may be JSON in place of text."""
    body = SAMPLES["bedrock"]["requests"][0]["body"]
    inline = {"type": "JSON", "jsonDocument": {"title": "tides"}}
    body = {**body, "sources": [{"type": "INLINE", "inlineDocumentSource": inline}, *body["sources"][:1]]}
    reply = post(base_url, "bedrock", body)
    assert reply.status_code == 200, reply.text
    assert len(reply.json()["results"]) == 2


@pytest.mark.parametrize("name", ["pinecone", "together", "mixedbread"])
def test_rank_fields_choose_what_is_ranked(name: str, base_url: str) -> None:
    """Objects are ranked by the fields that `rank_fields` names."""
    key = "input" if name == "mixedbread" else "documents"
    documents = [{"text": "snakes", "title": "bread"}, {"text": "bread", "title": "snakes"}]
    body = {"model": "m", "query": "snakes", key: documents}
    for fields, best in ((["text"], 0), (["title"], 1)):
        reply = post(base_url, name, {**body, "rank_fields": fields}).json()
        assert reply.get("data", reply.get("results"))[0]["index"] == best
        jsonschema.validate(reply, SAMPLES[name]["reply_schema"])


def test_elastic_of_today(base_url: str) -> None:
    """Elastic's API takes `top_n`, which older versions refuse, and names its product, as its clients demand."""
    body = {"query": "snakes", "input": ["bread", "snakes", "snakes and bread"], "top_n": 1}
    reply = post(base_url, "elastic", body)
    assert [result["index"] for result in reply.json()["rerank"]] == [1]
    assert reply.headers["x-elastic-product"] == "Elasticsearch"
    assert post(base_url, "elastic", {**body, "top_n": 0}).status_code == 400
    assert post(base_url, "elastic", {**body, "task_settings": {"return_documents": False}}).json()["rerank"][
        0
    ].keys() == {
        "index",
        "relevance_score",
    }


def test_contextual_takes_metadata(base_url: str) -> None:
    """`metadata` is a field of Contextual's API."""
    body = {"model": "m", "query": "q", "documents": ["one"], "metadata": ["of it"]}
    assert post(base_url, "contextual", body).status_code == 200


@pytest.mark.parametrize("name", ["fireworks", "nebius", "cohere", "pinecone", "jina"])
@pytest.mark.parametrize("depth", [300, 900, 100_000])
def test_deep_json_is_refused(name: str, depth: int, base_url: str) -> None:
    """A body that is nested too deeply is an error of the client, wherever it is."""
    path = httpx.URL(SAMPLES[name]["requests"][0]["url"]).path
    for deep in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        for body in (deep, f'{{"model": "m", "query": "q", "documents": [{deep}], "more": {deep}}}'):
            assert 400 <= httpx.post(f"{base_url}/{name}{path}", content=body).status_code < 500


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "localhost:1"}, 200),
        ({"host": "[::1]:80"}, 200),
        ({"origin": "http://localhost:3000"}, 200),
        ({"host": "rebound.example"}, 403),
        ({"host": "10.0.0.7"}, 403),
        ({"origin": "https://page.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_pages_of_other_sites_are_refused(headers: dict[str, str], status: int, base_url: str) -> None:
    """A `Host` or `Origin` that is not this server's is a 403."""
    body = {"model": "m", "query": "q", "documents": ["one"]}
    assert post(base_url, "cohere", body, headers=headers).status_code == status
