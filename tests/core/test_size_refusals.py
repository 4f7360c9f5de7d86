"""A 400 that says that a request is too large, in documents or tokens, and one that only sounds like it."""

import math

import pytest

from hosted_rerank import InvalidRequestError, RequestTooLargeError
from hosted_rerank.providers import PROVIDERS
from tests.conftest import Acme, Rerank
from tests.hostile import Act, HostileServer, Peer, ranking, reply

SHORT = [f"text {number}" for number in range(99)]
LONG = "long " * 24_000


def sizes(server: HostileServer) -> list[int]:
    return [len(seen.body["documents"]) for seen in server.requests]


SOUNDS_LIKE = [
    "documents at index 3 exceed maximum",
    "you reached the limit of documents of your plan",
    "options.max_chunks_per_doc: maximum is 10",
    "Request contains a query+document pair with 1070 tokens, which exceeds the maximum token limit of 1024",
    "This model's maximum context length is 512 tokens",
    "document index:0 is invalid, it should not be larger than 300000: input.documents",
    "`inputs` must have less than 512 tokens. Given: 600",
    "batch size must be a number",
]


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("message", SOUNDS_LIKE)
def test_words_that_only_sound_like_it(
    server: HostileServer, acme: Acme, rerank: Rerank, status: int, message: str
) -> None:
    """An error about something else is one request."""
    server.play(reply(status, {"message": message}))
    with pytest.raises(InvalidRequestError) as caught:
        rerank(acme(), documents=SHORT)
    assert type(caught.value) is InvalidRequestError
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("message", "requests"),
    [
        ("too many documents", 2),
        ("batch size 99 > maximum allowed batch size 33", 2),
        ("too many documents: 99 (max 98)", 2),
    ],
)
def test_same_words_again(server: HostileServer, acme: Acme, rerank: Rerank, message: str, requests: int) -> None:
    """When a part is refused in the same words, it is not the size."""
    server.play(reply(400, {"message": message}))
    with pytest.raises(RequestTooLargeError):
        rerank(acme(on_error="passthrough"), documents=SHORT)
    assert len(server.requests) == requests
    server.play(ranking())
    assert len(rerank(acme(), documents=SHORT).results) == 99
    assert sizes(server)[-1] == 99


def voyage(most: int) -> Act:
    """An act with Voyage's limit on tokens, of which it counts a quarter of the characters."""

    async def act(peer: Peer) -> None:
        tokens = sum(len(text) + len(peer.seen.body["query"]) for text in peer.seen.body["documents"]) // 4
        detail = (
            f"Request to model 'rerank-1' failed. The max allowed tokens per submitted batch is {most}. Your batch has"
            f" {tokens} tokens after truncation. Please lower the number of tokens in the batch."
        )
        await (reply(400, {"detail": detail}) if tokens > most else ranking())(peer)

    return act


def test_too_many_tokens(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A limit on tokens cuts by tokens, measured by what the API counted; a later call keeps to it."""
    server.play(voyage(1_000))
    row = {"size_errors": PROVIDERS["voyage"].size_errors}
    texts = [f"{number} " + "word " * 20 for number in range(60)]
    assert len(rerank(acme(row=row), documents=texts).results) == 60
    least = math.ceil(sum(len(text) + 39 for text in texts) / 4 / 1_000)
    assert len(server.requests) <= least + 2
    server.requests.clear()
    rerank(acme(row=row), documents=texts)
    assert len(server.requests) <= least + 1


def test_one_document_with_too_many_tokens(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """It is named with the limit, and the others are ranked under passthrough."""
    server.play(voyage(1_000))
    reranker = acme(row={"size_errors": PROVIDERS["voyage"].size_errors}, on_error="passthrough")
    response = rerank(reranker, documents=["a", LONG, "b"])
    assert [(result.index, result.error) for result in response.results[1:]] == [
        (0, None) if response.results[0].index == 2 else (2, None),
        (1, "RequestTooLargeError"),
    ]
    assert "documents[1] is too long by itself" in str(response.error)
    assert "and the limit is 1,000" in str(response.error)
