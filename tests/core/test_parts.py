"""Documents of several parts: what each API is sent, what it is not, and that all promises of texts hold for them."""

import importlib
import json
import logging
from datetime import date
from typing import Any

import pytest

from hosted_rerank import PROVIDERS, Dialect, InvalidRequestError, Reranker
from hosted_rerank.providers.document_parts import DocumentParts
from tests.byhand import body_of, planned
from tests.conftest import KEY, Acme, Rerank
from tests.hostile import HostileServer, reply

PNG = "data:image/png;base64,iVBORw0KGgo="
IMAGE, BOTH = {"image": PNG}, {"image": PNG, "text": "a swift"}
BLOCKS = [{"type": "image_url", "image_url": {"url": PNG}}, {"type": "text", "text": "a swift"}]
FIELDS = {"title": "Swift", "text": "It flies."}
SECRET = {"image": "https://img.example/heron-7.png", "text": "the quiet heron waits", "note": "abcd"}

AS_PARTS = [
    # row, model, documents, what is sent in their place
    ("jina", "jina-reranker-m0", ["swift", IMAGE, {"text": "x"}], ["swift", IMAGE, "x"]),
    ("vllm", "Qwen/Qwen3-VL-Reranker-8B", ["swift", BOTH], ["swift", {"content": BLOCKS}]),
    ("vllm-score", "Qwen/Qwen3-VL-Reranker-8B", [BOTH], [{"content": BLOCKS}]),
    ("sglang", None, ["swift", BOTH], ["swift", BLOCKS]),
    ("nvidia-nim", "nvidia/llama-nemotron-rerank-vl-1b-v2", ["swift", BOTH, IMAGE], [{"text": "swift"}, BOTH, IMAGE]),
    ("openrouter", "nvidia/llama-nemotron-rerank-vl-1b-v2", ["swift", BOTH], ["swift", BOTH]),
    ("dashscope-native", "qwen3-vl-rerank", ["swift", IMAGE], ["swift", IMAGE]),
    ("siliconflow", "Qwen/Qwen3-VL-Reranker-8B", ["swift", BOTH], ["swift", BOTH]),
    ("jina", "jina-reranker-m0", [{"image": PNG, "text": " ", "tags": [""]}], [IMAGE]),
    ("elastic", "jina-m0", ["swift", {"text": "x"}], ["swift", "x"]),
    (
        "elastic",
        "jina-m0",
        ["swift", IMAGE, {"image": "HTTPS://img.example/s.png"}],
        [
            {"type": "text", "format": "text", "value": "swift"},
            {"type": "image", "format": "base64", "value": PNG},
            {"type": "image", "format": "url", "value": "HTTPS://img.example/s.png"},
        ],
    ),
    ("pinecone", None, ["swift", FIELDS], [{"text": "swift"}, FIELDS]),
    ("together", None, [FIELDS, {"name": "Swift"}], [FIELDS, {"name": "Swift"}]),
    ("mixedbread", None, [FIELDS], [FIELDS]),
    (
        "vertex",
        None,
        ["swift", FIELDS],
        [{"id": "0", "content": "swift"}, {"id": "1", "title": "Swift", "content": "It flies."}],
    ),
    (
        "bedrock",
        None,
        ["swift", FIELDS],
        [
            {"type": "INLINE", "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": "swift"}}},
            {"type": "INLINE", "inlineDocumentSource": {"type": "JSON", "jsonDocument": FIELDS}},
        ],
    ),
    ("contextual", None, ["swift", {"text": "It flies.", "metadata": "2026"}], ["swift", "It flies."]),
    ("cohere", None, [{"title": "Schwärme", "year": 2026}], ["title: Schwärme\nyear: 2026\n"]),
    ("azure", None, [{"title": "Swift"}], ["title: Swift\n"]),
    ("fireworks", None, [FIELDS, {"text": "It flies."}], [json.dumps(FIELDS), "It flies."]),
    ("openrouter", None, [{"image": PNG, "year": 2026}], [{"image": PNG, "text": '{"year": 2026}'}]),
    ("openrouter", None, [{"image": PNG, "title": "Swift"}], [{"image": PNG, "text": '{"title": "Swift"}'}]),
]
SETTINGS = {
    "vertex": {"params": {"project": "p"}},
    "bedrock": {"params": {"region": "us-east-1"}},
    "azure": {"params": {"resource": "r"}},
}


def body(row: str, model: str | None, documents: list[Any], **more: Any) -> dict[str, Any]:
    key = {"api_key": None} if row in ("vertex", "bedrock") else {}
    sent: dict[str, Any] = body_of(planned(row, documents, model=model, **key, **SETTINGS.get(row, {}), **more))
    return sent


@pytest.mark.parametrize(("row", "model", "documents", "sent"), AS_PARTS)
def test_each_api_gets_its_own_format(row: str, model: str | None, documents: list[Any], sent: list[Any]) -> None:
    """Parts go as the API takes them, beside plain texts; fields go as text where it takes none."""
    given = body(row, model, documents)
    for step in PROVIDERS[row].dialect.documents.split("."):
        given = given[step]
    assert given == sent


@pytest.mark.parametrize(("row", "model", "documents", "_sent"), AS_PARTS)
def test_the_local_server_takes_them(row: str, model: str | None, documents: list[Any], _sent: Any) -> None:
    """The local server takes what is sent to each API."""
    rows = pytest.importorskip("hosted_rerank.local.provider_apis", exc_type=ImportError)
    apis = importlib.import_module("hosted_rerank.local.apis")
    conditions = importlib.import_module("hosted_rerank.local.conditions")
    path = PROVIDERS[row].url.partition("//")[2].partition("/")[2]
    content = json.dumps(body(row, model, documents)).encode()
    request = apis.ApiRequest("POST", f"/{path}", {}, content)
    responses = [apis.respond(api, request, conditions.score_by_hash) for api in rows.make_apis()[row]]
    assert [response.status for response in responses if response.status != 404] == [200]


def test_metadata_beside_the_documents() -> None:
    """Contextual takes a list of metadata beside the documents; without any, it is sent none."""
    assert body("contextual", None, ["swift", {"text": "It flies.", "metadata": "2026"}])["metadata"] == ["", "2026"]
    assert "metadata" not in body("contextual", None, ["swift"])


@pytest.mark.parametrize(
    ("row", "model", "document", "says"),
    [
        ("fireworks", None, IMAGE, "has an image, which accounts/fireworks/models/qwen3-reranker-8b does not take"),
        ("cohere", None, BOTH, "has an image"),
        ("pinecone", None, BOTH, "has an image"),
        ("local", None, IMAGE, "has an image, which all-MiniLM-L6-v2 does not take"),
        ("jina", "jina-reranker-v3.5", IMAGE, "has an image, which jina-reranker-v3.5 does not take"),
        ("jina", "jina-reranker-m0", BOTH, r"has several parts \(image, text\)"),
        ("siliconflow", None, IMAGE, "has an image, which Qwen/Qwen3-Reranker-8B does not take"),
        ("elastic", None, IMAGE, "has an image, which .rerank-v1-elasticsearch does not take"),
        ("vllm", "Qwen/Qwen3-Reranker-0.6B", IMAGE, "has an image, which Qwen/Qwen3-Reranker-0.6B does not take"),
        ("elastic", "jina-m0", BOTH, r"has several parts \(image, text\)"),
        ("openrouter", None, {"image": "iVBORw0KGgo="}, "has an image that is neither a URL nor a data URI"),
        ("openrouter", None, {"audio": PNG}, "has an audio"),
        ("vllm", None, {"text": object()}, "cannot be written as JSON: a value of type object"),
        ("vllm", None, {"text": float("nan")}, "cannot be written as JSON"),
    ],
)
def test_what_cannot_be_sent_is_refused(
    row: str, model: str | None, document: Any, says: str, server: HostileServer, rerank: Rerank
) -> None:
    """An image, or another part that the API or the model does not take, is refused by name before any request."""
    where = {} if row == "local" else {"api_key": KEY, "base_url": server.url}
    with pytest.raises(InvalidRequestError, match=rf"documents\[1\] {says}") as refused:
        rerank(Reranker(row, model, **where), documents=["swift", document])
    assert isinstance(refused.value, ValueError)
    assert server.requests == []
    assert PNG not in str(refused.value)
    if "which" in says:
        assert f"({row}): pass a text in its place, or use a model that takes it (at jina," in str(refused.value)


def test_image_that_a_fallback_does_not_take(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """An image that one of the fallbacks does not take is refused before any request, and not in an outage."""
    row = {"dialect": Dialect(document_parts=DocumentParts(names=("text", "image")))}
    with pytest.raises(InvalidRequestError, match=r"documents\[1\] has an image, which rerank-v5.0-fast does not take"):
        rerank(acme(row=row, fallbacks=["cohere"]), documents=["swift", BOTH])
    assert server.requests == []
    rerank(acme(row=row, fallbacks=["cohere"]), documents=["swift", {"title": "Swift"}])
    assert len(server.requests) == 1


@pytest.mark.parametrize("row", ["pinecone", "together", "mixedbread"])
def test_rank_fields(row: str) -> None:
    """`rank_fields` names fields, so it goes with documents that have fields and is refused for texts."""
    options = {"rank_fields": ["title"]}
    assert body(row, None, [FIELDS, " ", {"title": "Heron"}], options=options)["rank_fields"] == ["title"]
    with pytest.raises(InvalidRequestError, match=r"documents\[1\] is a text, and options has rank_fields"):
        body(row, None, [FIELDS, "swift"], options=options)


ANY_FIELDS = {"dialect": Dialect(document_parts=DocumentParts(names=None))}


def test_promises_of_texts_hold(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Blank mappings are not sent, equal ones once, scores come back by index, and requests are split."""
    documents = [{"text": "1", "a": None}, {"text": " ", "b": ""}, {"b": 2, "a": 1}, {"text": "1"}, {}, {"c": 3}]
    response = rerank(acme(row=ANY_FIELDS, batch_size=2, max_concurrency=1), documents=documents)
    sent = [document for seen in server.requests for document in seen.body["documents"]]
    assert (len(server.requests), sent) == (2, [{"text": "1"}, {"b": 2, "a": 1}, {"c": 3}])
    assert {result.index for result in response.results if result.relevance_score is None} == {1, 4}
    assert (response.sent, response.deduplicated) == (3, 1)


def test_a_text_is_not_the_mapping_with_its_json(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A mapping and a text that is its JSON are two documents, also for the cache."""
    cache: dict[str, float] = {}
    rerank(acme(row=ANY_FIELDS, cache=cache), documents=['{"a": 1}', {"a": 1}])
    assert server.requests[0].body["documents"] == ['{"a": 1}', {"a": 1}]
    assert len(cache) == 2
    rerank(acme(row=ANY_FIELDS, cache=cache), documents=[{"a": 1}, '{"a": 1}'])
    assert len(server.requests) == 1


def test_values(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Dates go as text, surrogates as valid Unicode, texts are cut and images are not; the caller's own stay."""
    given = {"text": "abcdef\ud83d", "day": date(2026, 11, 27), "tags": ["x"], "image": PNG}
    row = {"dialect": Dialect(document_parts=DocumentParts(names=("text", "day", "tags", "image")))}
    rerank(acme(row=row, max_document_chars=4), documents=[given])
    assert server.requests[0].body["documents"] == [{"text": "abcd", "day": "2026", "tags": ["x"], "image": PNG}]
    assert given == {"text": "abcdef\ud83d", "day": date(2026, 11, 27), "tags": ["x"], "image": PNG}


@pytest.mark.parametrize("parts", [DocumentParts(), DocumentParts(as_text="yaml"), DocumentParts(names=None)])
def test_parts_are_masked(
    parts: DocumentParts, server: HostileServer, acme: Acme, rerank: Rerank, caplog: pytest.LogCaptureFixture
) -> None:
    """No error and no log line shows a part of a document, however it was sent."""
    caplog.set_level(logging.DEBUG)
    document = {name: value for name, value in SECRET.items() if name != "image"}
    server.play(reply(400, {"message": f"bad: {document['note']} in {document['text']}"}))
    with pytest.raises(InvalidRequestError) as raised:
        rerank(acme(row={"dialect": Dialect(document_parts=parts)}), documents=[document])
    assert "bad:" in str(raised.value)
    assert not [part for part in document.values() if part in str(raised.value) + caplog.text]


def test_an_image_counts_no_tokens(acme: Acme, server: HostileServer, rerank: Rerank) -> None:
    """The data of an image is not counted as text where a request may have so many tokens."""
    image = {"image": "data:image/png;base64," + "A" * 9_000}
    row = {"dialect": Dialect(document_parts=DocumentParts(names=("image",))), "max_tokens": 1_000}
    rerank(acme(row=row), documents=[image, {"image": image["image"] + "B"}])
    assert len(server.requests) == 1
