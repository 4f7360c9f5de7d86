"""Long documents: their passages are scored, and a document has the score and the place of its best passage."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosted_rerank import InvalidRequestError, ModelFacts, RerankError, RerankResponse
from hosted_rerank.call.call_options import CallOptions
from hosted_rerank.call.passages import OVERLAP, cut_passages
from hosted_rerank.providers import find_provider
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.wire import Call
from tests.byhand import planned
from tests.conftest import Acme, Rerank
from tests.hostile import Act, HostileServer, Peer, encoded, http, reply

FILLER = "Nothing of interest stands in this sentence. "
LONG = FILLER * 5 + "The dormouse sleeps until May. " + FILLER * 5
OTHER = FILLER * 4 + "Salmon return."
READS_40_TOKENS = {"models": (ModelFacts(pattern="small", max_document_tokens=40),)}


def by_word(*words: str) -> Act:
    """An act that scores a text by the first of some words in it, the first one best."""

    async def act(peer: Peer) -> None:
        texts = peer.seen.body["documents"]
        places = [next((place for place, word in enumerate(words) if word in text), len(words)) for text in texts]
        scores = [1 - place / (len(words) + 1) for place in places]
        order = sorted(range(len(texts)), key=lambda index: -scores[index])[: peer.seen.body.get("top_n")]
        results = [{"index": index, "relevance_score": scores[index]} for index in order]
        body = {"results": results, "usage": {"total_tokens": len(texts)}}
        await peer.send(http(200, encoded(body)))

    return act


def sent(server: HostileServer) -> list[str]:
    return [text for seen in server.requests for text in seen.body["documents"]]


def passages(response: RerankResponse, *documents: str) -> list[str | None]:
    """The best passage of each result, cut out of the caller's text by its place."""
    places = [result.extra.get("passage") for result in response.results]
    texts = [documents[result.index] for result in response.results]
    return [place and text[place["start"] : place["end"]] for place, text in zip(places, texts, strict=True)]


def spans(text: str, size: int) -> list[tuple[int, int]]:
    options = CallOptions(long_documents="passages", passage_chars=size)
    endpoint = Endpoint(provider=find_provider("local"))
    return [tuple(span) for span in cut_passages(endpoint, options, Call("q", [text], None, None), text)]


def test_document_has_the_score_of_its_best_passage(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A long document goes as passages, its score is the best one's, and `extra` has the place of that passage."""
    server.play(by_word("dormouse", "swift", "Salmon"))
    documents = [OTHER, "The swift.", LONG]
    response = rerank(acme(long_documents="passages", passage_chars=100), documents=documents)
    assert [result.index for result in response.results] == [2, 1, 0]
    assert [result.relevance_score for result in response.results] == [1.0, 0.75, 0.5]
    best, short, other = passages(response, *documents)
    assert best is not None
    assert "The dormouse sleeps until May." in best
    assert short is None
    assert str(other).endswith("Salmon return.")
    assert max(map(len, sent(server))) <= 100
    assert response.usage.total_tokens == response.sent == len(sent(server))
    assert "passage" not in repr(response.results[0])


def test_without_the_setting_nothing_changes(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """By default a long document goes as it is, also to a model whose limit is known."""
    server.play(by_word("dormouse"))
    response = rerank(acme(model="small", row=READS_40_TOKENS), documents=[LONG])
    assert sent(server) == [LONG]
    assert response.results[0].extra == {}


def test_size_follows_the_model(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Without `passage_chars`, a passage and the query fit into what the facts say that the model reads."""
    server.play(by_word("dormouse"))
    rerank(acme(model="small", row=READS_40_TOKENS, long_documents="passages"), "winter sleep", [LONG])
    assert 60 < max(map(len, sent(server))) <= 40 * 3 - len("winter sleep")


@pytest.mark.parametrize(
    ("provider", "model", "options", "tokens"),
    [
        ("cohere", "rerank-v5.0-fast", {}, 4096),
        ("cohere", "rerank-v5.0-fast", {"max_tokens_per_doc": 9000}, 9000),
        ("cohere", "rerank-v5.0-fast", {"max_tokens_per_doc": 90_000}, 32_768),
        ("cohere", "rerank-v3.5", {"max_tokens_per_doc": 9000}, 4096),
        ("pinecone", "bge-reranker-v2-m3", {"parameters.max_tokens_per_doc": 300}, 300),
        ("tei", "BAAI/bge-reranker-base", {}, 512),
        ("local", None, {}, 128),
    ],
)
def test_limits_of_models_and_apis(provider: str, model: str | None, options: dict[str, Any], tokens: int) -> None:
    """The smaller of what the model reads and what the API reads, whose default an option changes."""
    long = "word " * 40_000
    limits = CallOptions(long_documents="passages")
    todo = planned(provider, [long], query="q", model=model, options=options, limits=limits)
    assert max(map(len, todo.texts)) == pytest.approx(tokens * 3, abs=8)


def test_other_alphabets(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A Chinese text has a token for each three bytes, so its passages have fewer characters; they end at its marks."""
    server.play(by_word("x"))
    text = "睡鼠冬天睡觉。" * 30
    rerank(acme(model="small", row=READS_40_TOKENS, long_documents="passages"), "冬", [text])
    assert all(30 < len(passage.encode()) <= 120 and passage.endswith("觉。") for passage in sent(server))


def test_top_n_counts_documents(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """The best passages may all be of one document, so a request asks for all; `top_n` cuts the documents."""
    server.play(by_word("Nothing", "swift", "salmon"))
    response = rerank(acme(long_documents="passages", passage_chars=100), documents=["salmon", LONG, "swift"], top_n=2)
    assert [result.index for result in response.results] == [1, 2]
    assert "top_n" not in server.requests[0].body


def test_requests_cache_and_equal_passages(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Passages are split into requests, sent once where they are equal, and cached, as texts are."""
    server.play(*[by_word("dormouse", "Salmon")] * 20)
    cache: dict[str, float] = {}
    reranker = acme(long_documents="passages", passage_chars=100, batch_size=3, cache=cache)
    first = rerank(reranker, documents=[LONG, OTHER, LONG])
    assert max(len(seen.body["documents"]) for seen in server.requests) == 3
    assert len(sent(server)) == len(set(sent(server))) == len(cache) == first.sent
    assert first.deduplicated > 2
    assert [result.index for result in first.results] == [0, 2, 1]
    assert first.results[0].extra == first.results[1].extra != first.results[2].extra
    again = rerank(reranker, documents=[LONG, OTHER, LONG])
    assert (again.attempts, again.results) == (0, first.results)


def test_document_of_a_failed_passage_has_no_score(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """With `on_error="passthrough"`, a document whose passages are not all scored is unscored."""

    async def fails_for_the_dormouse(peer: Peer) -> None:
        hit = any("dormouse" in text for text in peer.seen.body["documents"])
        await (reply(503) if hit else by_word("Nothing"))(peer)

    server.play(*[fails_for_the_dormouse] * 20)
    reranker = acme(long_documents="passages", passage_chars=100, batch_size=1, on_error="passthrough")
    response = rerank(reranker, documents=[LONG, OTHER])
    assert [(result.index, result.error) for result in response.results] == [(1, None), (0, "ServerError")]
    server.play(*[fails_for_the_dormouse] * 20)
    alone = rerank(reranker, documents=[LONG])
    assert [(result.index, result.relevance_score, result.error) for result in alone.results] == [
        (0, None, "ServerError")
    ]


def test_fallback_has_passages_of_its_own_size(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """The passages are those of the model that is asked; a fallback by its own settings."""
    server.play(reply(503), by_word("dormouse"))
    spare = acme(
        model="large",
        row={"models": (ModelFacts(pattern="large", max_document_tokens=90),)},
        long_documents="passages",
    )
    response = rerank(
        acme(model="small", row=READS_40_TOKENS, long_documents="passages", fallbacks=[spare]), documents=[LONG]
    )
    small, large = ([len(text) for text in seen.body["documents"]] for seen in server.requests)
    assert max(small) <= 120 < max(large) <= 270
    assert "dormouse" in str(passages(response, LONG)[0])


def test_fallback_by_name_sends_passages_too(acme: Acme) -> None:
    """A fallback by name inherits the setting, so one that cannot follow it is refused when the reranker is made."""
    with pytest.raises(InvalidRequestError, match="passage_chars"):
        acme(long_documents="passages", passage_chars=100, fallbacks=["litellm"])


@pytest.mark.parametrize(
    ("row", "settings", "said"),
    [
        ({"models": (ModelFacts(pattern="m", listwise=True),)}, {"passage_chars": 9}, "listwise"),
        ({}, {}, "passage_chars"),
    ],
)
def test_models_that_cannot(
    acme: Acme, rerank: Rerank, row: dict[str, Any], settings: dict[str, Any], said: str
) -> None:
    """A listwise model, or an unknown limit, is refused when the reranker is made, or when a call names the model."""
    with pytest.raises(InvalidRequestError, match=said):
        acme(model="m", row=row, long_documents="passages", **settings)
    willing = {"models": (*row.get("models", ()), ModelFacts(pattern="other", max_document_tokens=90))}
    reranker = acme(model="other", row=willing, long_documents="passages", **settings)
    with pytest.raises(RerankError, match=said):
        rerank(reranker, documents=[LONG], model="m")


def test_blank_stretches_are_not_sent(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A passage without ink is not sent, and a long blank document is a blank one."""
    server.play(by_word("swift"))
    documents = ["\n" * 500, "The salmon." + " " * 500 + "The swift."]
    response = rerank(acme(long_documents="passages", passage_chars=100), documents=documents)
    assert [(result.index, result.relevance_score) for result in response.results] == [(1, 1.0), (0, None)]
    assert passages(response, *documents) == ["The swift.", None]
    assert sent(server) == ["The salmon.", "The swift."]


def test_cuts_are_at_sentences() -> None:
    """A passage is whole sentences where there are some, else whole words, else characters."""
    text = "One sentence is here. Another one follows it. " * 20
    assert all(text[start:end].endswith(".") and text[start] in "OA" for start, end in spans(text, 100))
    words = "lorem ipsum " * 50
    assert {word for start, end in spans(words, 100) for word in words[start:end].split()} == {"lorem", "ipsum"}
    assert [end - start for start, end in spans("x" * 500, 100)] == [100] * 7


@given(st.text("ab. \n", min_size=1, max_size=300), st.integers(1, 60))
def test_passages_cover_the_text(text: str, size: int) -> None:
    """Every visible character is in a passage, no passage is longer than it may be, and they go forward."""
    found = spans(text, size)
    covered = {place for start, end in found for place in range(start, end)}
    assert len(text) <= size or not text.strip() or covered >= {p for p, letter in enumerate(text) if letter.strip()}
    assert all(0 < end - start <= size for start, end in found)
    assert found == sorted(found)
    assert len(found) <= 2 + len(text) / max(1, size // 2 + 1 - int(size * OVERLAP))


@pytest.mark.parametrize("settings", [{"long_documents": "cut"}, {"passage_chars": 0}, {"passage_chars": -1}])
def test_impossible_settings(acme: Acme, settings: dict[str, Any]) -> None:
    """A setting with another value is refused by its name."""
    with pytest.raises(ValueError, match=next(iter(settings))):
        acme(**settings)
