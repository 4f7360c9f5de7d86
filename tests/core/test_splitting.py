"""Any number of documents: cutting into requests, halving, lists that are judged as a whole, over-long documents."""

import asyncio
import threading
import warnings
from dataclasses import replace
from typing import Any

import pytest

from hosted_rerank import (
    DeadlineExceededError,
    InvalidRequestError,
    Provider,
    RequestTooLargeError,
    Reranker,
    ServerError,
)
from hosted_rerank.call.call_options import CallOptions
from tests.bounded import ends_within
from tests.byhand import ACME, answered, planned, walk
from tests.conftest import QUERY, Acme, Rerank
from tests.hostile import Act, HostileServer, Peer, eventually, ranking, reply, silence

NUMBERS = [f"text {number}" for number in range(10)]


def by_number(most: int | None = None, refusal: Act | None = None) -> Act:
    """An act that scores "text 7" with 0.7, and refuses more than `most` documents."""

    async def act(peer: Peer) -> None:
        documents = peer.seen.body["documents"]
        if most is not None and len(documents) > most:
            await (refusal or reply(413))(peer)
            return
        scores = [int(text.split()[1]) / 10 for text in documents]
        await ranking(*scores, x_request_id="r-1")(peer)

    return act


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
    """The best of all are the best of the parts, and no part is asked for more than it has."""
    server.play(by_number())
    response = rerank(acme(batch_size=4), documents=NUMBERS, top_n=4)
    assert [result.index for result in response.results] == [9, 8, 7, 6]
    assert sorted(seen.body["top_n"] for seen in server.requests) == [3, 3, 4]


@pytest.mark.parametrize(
    ("row", "documents", "expected"),
    [
        ({"max_documents": 4}, NUMBERS, [3, 3, 4]),
        ({"max_bytes": 60}, ["x" * 10] * 6, [3, 3]),
        ({"max_bytes": 110}, [f"{n}" + "x" * 9 for n in range(6)], [1, 5]),
        ({"max_tokens": 16}, [f"{n}" + "x" * 9 for n in range(6)], [2, 2, 2]),
        ({"max_bytes": 5}, [f"{n}" + "x" * 9 for n in range(3)], [1, 1, 1]),
    ],
)
def test_limits_of_a_row(row: dict[str, Any], documents: list[str], expected: list[int]) -> None:
    """A row's documents, bytes and tokens bound a request; a document that is too much alone goes alone."""
    todo = planned(replace(ACME, **row), documents=documents, limits=CallOptions(dedupe=False))
    assert sorted(len(batch.text_indices) for batch in todo.cut(range(len(documents)))) == expected


REFUSALS = {
    "413": reply(413),
    "422 of TEI": reply(422, {"error": "batch size 10 > maximum allowed batch size 3", "error_type": "Validation"}),
    "400 too many": reply(400, {"message": "too many documents: at most 3 are allowed"}),
    "422 of FastAPI": reply(422, {"detail": [{"type": "too_long", "msg": "List should have at most 3 items"}]}),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_too_many_documents_are_halved(server: HostileServer, acme: Acme, rerank: Rerank, refusal: Act) -> None:
    """A request that is too large goes again in halves, until they are taken; the next call knows what is taken."""
    server.play(by_number(3, refusal))
    reranker = acme()
    response = rerank(reranker, documents=NUMBERS)
    assert [result.index for result in response.results] == list(range(9, -1, -1))
    assert response.attempts == len(server.requests) == 7
    server.requests.clear()
    assert len(rerank(acme(), documents=NUMBERS).results) == 10
    assert max(sizes(server)) <= 3


def test_one_document_that_is_too_large(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Halving ends with one document, and the error."""
    server.play(reply(413))
    with pytest.raises(RequestTooLargeError) as caught:
        rerank(acme(), documents=["a"])
    assert (caught.value.status, len(server.requests)) == (413, 1)


LISTWISE = {"listwise_models": ("list-",), "max_documents": 4}


def test_listwise_models_are_not_split(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """What scores only within one request is not cut into several, and the error says why."""
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


def test_overlong_document_is_named_by_its_place() -> None:
    """An error of the context's length names the longest document by index, and shows nothing of it."""
    todo = planned(documents=["a", "", "long and secret", "b"])
    _, error = walk(todo, answered(400, {"message": "This model's maximum context length is 8 tokens"}))
    assert isinstance(error, InvalidRequestError)
    assert "documents[2], with 15 characters" in str(error)
    assert "max_document_chars" in str(error)
    assert "secret" not in str(error)


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
    """`max_concurrency` holds for all that is under way."""
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


def test_lent_client(server: HostileServer, acme: Acme) -> None:
    """Over a custom client the parts go out in threads, and a failure ends the call."""
    import httpx  # noqa: PLC0415 - custom_client

    server.play(by_number())
    with httpx.Client() as client:
        reranker = acme(batch_size=2, client=client)
        assert [result.index for result in reranker.rerank(QUERY, NUMBERS).results] == list(range(9, -1, -1))
        server.play(reply(400))
        with pytest.raises(InvalidRequestError):
            reranker.rerank(QUERY, NUMBERS)
        # What was on its way ends by itself, and the client is needed so long.
        assert eventually(lambda: not any(each.name.startswith("hosted-rerank_") for each in threading.enumerate()))


def test_lent_client_has_no_sleepers(server: HostileServer, acme: Acme) -> None:
    """When a call over a custom client has failed, no thread of it sleeps until a retry that nobody wants."""
    import httpx  # noqa: PLC0415 - custom_client

    async def act(peer: Peer) -> None:
        if peer.seen.body["documents"] == ["a"]:
            await asyncio.sleep(0.2)  # the other one waits by now
            await reply(400, "")(peer)
        else:
            await reply(500, "", retry_after="10")(peer)

    server.play(act)
    with httpx.Client() as client:
        with pytest.raises(InvalidRequestError):
            acme(batch_size=1, client=client, max_retries=2).rerank(QUERY, ["a", "b"])
        assert len(server.requests) == 2
        assert eventually(lambda: not any(each.name.startswith("hosted-rerank_") for each in threading.enumerate()), 2)


def test_blocking_call_within_a_running_loop(server: HostileServer, acme: Acme) -> None:
    """A blocking call of several requests works in a thread that runs an event loop, as in a notebook."""
    server.play(by_number())

    async def main() -> int:
        return len(acme(batch_size=2).rerank(QUERY, NUMBERS).results)

    assert asyncio.run(main()) == 10


def test_nothing_stays(server: HostileServer, acme: Acme) -> None:
    """When the last reranker lets go, the shared event loop ends with its thread and connections."""
    server.play(by_number())
    reranker = acme(batch_size=2)
    reranker.rerank(QUERY, NUMBERS)
    assert any(thread.name == "hosted-rerank" for thread in threading.enumerate())
    reranker.close()
    assert not any(thread.name == "hosted-rerank" for thread in threading.enumerate())
    assert eventually(lambda: server.open == 0)
    assert len(reranker.rerank(QUERY, NUMBERS).results) == 10


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
    """What cannot be right is refused at once, by name."""
    with pytest.raises(kind, match=next(iter(settings)) if settings.get("fallbacks") != ["nobody"] else "nobody"):
        Reranker(Provider(name="acme", url="https://h.example"), **settings)
