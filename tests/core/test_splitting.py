"""Any number of documents: cutting into requests, halving, lists that are judged as a whole, over-long documents."""

import asyncio
import warnings
from dataclasses import replace
from typing import Any

import pytest

from hosted_rerank import (
    DeadlineExceededError,
    InvalidRequestError,
    ModelFacts,
    Provider,
    RequestTooLargeError,
    Reranker,
    ServerError,
)
from hosted_rerank.call.batch_sizes import RequestSizes, cut
from hosted_rerank.call.call_options import CallOptions
from tests.bounded import ends_within
from tests.byhand import ACME, planned
from tests.conftest import Acme, Rerank
from tests.hostile import NUMBERS, Act, HostileServer, Peer, by_number, eventually, ranking, reply, silence


def sizes(server: HostileServer) -> list[int]:
    return sorted(len(seen.body["documents"]) for seen in server.requests)


def test_batches_of_a_size(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Documents go out in even parts, come back as one ranking, and attempts and ids add up."""
    server.play(by_number())
    response = rerank(acme(batch_size=4), documents=NUMBERS)
    assert [result.index for result in response.results] == list(range(9, -1, -1))
    assert sizes(server) == [3, 3, 4]
    assert (response.attempts, response.sent, len(response.request_ids)) == (3, 10, 3)


def test_top_n_over_batches(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """The best of all are the best of the parts, and no request has a `top_n` above its documents."""
    server.play(by_number())
    response = rerank(acme(batch_size=4), documents=NUMBERS, top_n=4)
    assert [result.index for result in response.results] == [9, 8, 7, 6]
    assert sorted(seen.body["top_n"] for seen in server.requests) == [3, 3, 4]


@pytest.mark.parametrize(
    ("row", "documents", "expected"),
    [
        ({"max_documents": 4}, NUMBERS, [3, 3, 4]),
        ({"max_bytes": 71}, ["x" * 10] * 6, [3, 3]),  # 33 of {"query":"which?","documents":[]}, less a comma
        ({"max_bytes": 70}, ["x" * 10] * 6, [2, 2, 2]),
        ({"max_bytes": 97}, [f"{n}" + "x" * 9 for n in range(6)], [1, 5]),
        ({"max_bytes": 81}, ["\n" * 5 + "x" * 5] * 6, [2, 2, 2]),  # escaped
        ({"max_tokens": 16}, [f"{n}" + "x" * 9 for n in range(6)], [2, 2, 2]),
        ({"max_bytes": 5}, [f"{n}" + "x" * 9 for n in range(3)], [1, 1, 1]),
    ],
)
def test_limits_of_a_row(row: dict[str, Any], documents: list[str], expected: list[int]) -> None:
    """A row's documents, bytes and tokens bound a request; a document that is too much alone goes alone."""
    todo = planned(replace(ACME, **row), documents=documents, limits=CallOptions(dedupe=False))
    assert sorted(len(batch.text_indices) for batch in cut(RequestSizes(todo), todo.all_texts, {})) == expected


TOO_LONG = {
    "type": "too_long",
    "loc": ["body", "documents"],
    "msg": "List should have at most 3 items after validation, not 10",
    "input": ["long and secret", "batch size 10 > maximum allowed batch size 1"],
}
REFUSALS = {
    "413": (reply(413), 7),
    "413 of TEI": (reply(413, {"error": "batch size 10 > maximum allowed batch size 3"}), 5),
    "422 of TEI": (reply(422, {"error": "batch size 10 > maximum allowed batch size 3", "error_type": "X"}), 5),
    "400 too many": (reply(400, {"message": "too many documents: at most 3 are allowed"}), 5),
    "422 of FastAPI": (reply(422, {"detail": [TOO_LONG]}), 5),
}


@pytest.mark.parametrize(("refusal", "requests"), REFUSALS.values(), ids=REFUSALS)
def test_too_many_documents(server: HostileServer, acme: Acme, rerank: Rerank, refusal: Act, requests: int) -> None:
    """A request that is too large goes again in parts: of the size that is said, or halved until one is taken.

    One part goes first, then the others; the next call knows what is taken.
    """
    server.play(by_number(3, refusal))
    reranker = acme()
    response = rerank(reranker, documents=NUMBERS)
    assert [result.index for result in response.results] == list(range(9, -1, -1))
    assert response.attempts == len(server.requests) == requests
    server.requests.clear()
    assert len(rerank(acme(), documents=NUMBERS).results) == 10
    assert max(sizes(server)) <= 3


def test_one_document_that_is_too_large(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A document that is too much alone is the end, with its name in the error."""
    server.play(reply(413))
    with pytest.raises(
        RequestTooLargeError, match=r"documents\[1\] is too long by itself: it has 4 characters"
    ) as caught:
        rerank(acme(), documents=["", "long"])
    assert (caught.value.status, len(server.requests)) == (413, 1)


LISTWISE = {"models": (ModelFacts(pattern="^list-", listwise=True),), "max_documents": 4}


def test_listwise_models_are_not_split(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A model whose scores compare only within one request is not split, and the error says why."""
    with pytest.raises(InvalidRequestError, match=r"listwise.*batch_size"):
        rerank(acme(row=LISTWISE, model="list-1"), documents=NUMBERS)
    assert server.requests == []
    server.play(reply(413))
    with pytest.raises(RequestTooLargeError, match="listwise"):
        rerank(acme(row=LISTWISE, model="list-2"), documents=NUMBERS[:3])
    assert len(server.requests) == 1


def test_listwise_models_are_split_if_one_insists(server: HostileServer, acme: Acme, rerank: Rerank, way: str) -> None:
    """With `batch_size` they are, with one warning."""
    server.play(by_number())
    reranker = acme(row=LISTWISE, model=f"list-{way}", batch_size=5)
    with pytest.warns(UserWarning, match="listwise"):
        assert len(rerank(reranker, documents=NUMBERS).results) == 10
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rerank(reranker, documents=NUMBERS)
    assert sizes(server) == [5] * 4


def test_long_documents_are_cut_if_asked(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """`max_document_chars` cuts what is sent; what is blank then is not sent."""
    response = rerank(acme(max_document_chars=3), documents=["abcdef", "   x", "xyz"])
    assert server.requests[0].body["documents"] == ["abc", "xyz"]
    assert response.results[-1].relevance_score is None


def test_failure_in_the_middle_cancels_the_others(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """When one part fails, the call fails at once and the other requests are ended on the wire."""

    async def act(peer: Peer) -> None:
        if "text 0" in peer.seen.body["documents"]:
            await asyncio.sleep(0.1)
            await reply(500)(peer)
        else:
            await silence()(peer)

    server.play(act)
    with ends_within(5), pytest.raises(ServerError):
        rerank(acme(batch_size=2, timeout=20), documents=NUMBERS)
    assert eventually(lambda: server.left == 4)


def test_failure_in_the_middle_is_passed_through(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """With `on_error="passthrough"` the rest is scored; what was hit follows in input order, marked, then blanks."""

    async def act(peer: Peer) -> None:
        if "text 0" in peer.seen.body["documents"]:
            await reply(503)(peer)
        else:
            await by_number()(peer)

    server.play(act)
    response = rerank(acme(batch_size=2, on_error="passthrough"), documents=["", *NUMBERS[:6]])
    assert [result.index for result in response.results] == [6, 5, 4, 3, 1, 2, 0]
    assert [result.error for result in response.results] == [None] * 4 + ["ServerError"] * 2 + [None]
    assert isinstance(response.error, ServerError)


def test_wrong_request_in_the_middle_is_not(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A wrong request fails the call, `passthrough` or not."""
    server.play(reply(400, {"message": "no"}))
    with pytest.raises(InvalidRequestError):
        rerank(acme(batch_size=2, on_error="passthrough"), documents=NUMBERS)


def test_deadline_in_the_middle(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """The deadline is for all parts together."""
    server.play(by_number(), silence())
    with ends_within(5), pytest.raises(DeadlineExceededError):
        rerank(acme(batch_size=2, deadline=0.5), documents=NUMBERS)


def test_bound_on_requests_under_way(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """`max_concurrency` bounds all requests in flight."""
    under_way, most = 0, 0

    async def act(peer: Peer) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        await by_number()(peer)

    server.play(act)
    assert len(rerank(acme(batch_size=1, max_concurrency=3), documents=NUMBERS).results) == 10
    assert most == 3


def test_equal_documents_are_sent_once(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Each copy gets the score, and its own place among equals."""
    server.play(ranking(0.2, 0.9))
    response = rerank(acme(), documents=["a", "b", "a", "", "b"])
    assert server.requests[0].body["documents"] == ["a", "b"]
    assert [(result.index, result.relevance_score) for result in response.results] == [
        *((1, 0.9), (4, 0.9), (0, 0.2), (2, 0.2), (3, None))
    ]
    assert (response.sent, response.deduplicated) == (2, 2)
    server.play(ranking(0.1, 0.2, 0.3))
    assert len(rerank(acme(dedupe=False), documents=["a", "a", "a"]).results) == 3


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"batch_size": 0}, ValueError),
        ({"batch_size": "9"}, TypeError),
        ({"max_concurrency": 0}, ValueError),
        ({"max_document_chars": 0}, ValueError),
        ({"dedupe": "no"}, TypeError),
        ({"on_error": "ignore"}, ValueError),
        ({"cache": [1]}, TypeError),
        ({"fallbacks": [7]}, TypeError),
        ({"fallbacks": ["nobody"]}, ValueError),
    ],
)
def test_wrong_settings(settings: dict[str, Any], kind: type[Exception]) -> None:
    """A wrong setting is refused at once, by name."""
    with pytest.raises(kind, match=next(iter(settings)) if settings.get("fallbacks") != ["nobody"] else "nobody"):
        Reranker(Provider(name="acme", url="https://h.example"), **settings)
