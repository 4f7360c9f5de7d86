"""Requests that are too large: which document is too long, how few requests it takes, and what later calls do."""

import logging

import pytest

from hosted_rerank import ModelFacts, Provider, RequestTooLargeError
from hosted_rerank.bulk import RerankBatch
from tests.conftest import Acme, Rerank
from tests.hostile import Act, HostileServer, Peer, ranking, reply

NGINX = 100_000
"""Bytes of a body that the server takes; nginx takes a megabyte, and a test needs not send that much."""
HTML = "<html><head><title>413 Request Entity Too Large</title></head><body><center>nginx</center></body></html>"
LONG = "long " * 24_000
SHORT = [f"text {number}" for number in range(99)]


def behind_nginx(most: int = NGINX) -> Act:
    """An act that refuses longer bodies, and else ranks as `ranking` does."""

    async def act(peer: Peer) -> None:
        await (reply(413, HTML) if len(peer.seen.content) > most else ranking())(peer)

    return act


def sizes(server: HostileServer) -> list[int]:
    return [len(seen.body["documents"]) for seen in server.requests]


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if "largest request" in each.getMessage()]


def test_one_document_too_long(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """It fails the call with its place, length and size, after few requests."""
    server.play(behind_nginx())
    with pytest.raises(RequestTooLargeError) as caught:
        rerank(acme(), documents=[*SHORT[:50], LONG, *SHORT[50:]])
    assert "documents[50] is too long by itself: it has 120,000 characters, a request with it" in str(caught.value)
    size = len(server.requests[-1].content)
    assert f"and the query has {size:,} bytes, and the limit is lower (6" in str(caught.value)
    assert "max_document_chars" in str(caught.value)
    assert "long long" not in str(caught.value)
    assert sizes(server) == [100, 99, 1]


def test_one_document_too_long_is_passed_over(
    server: HostileServer, acme: Acme, rerank: Rerank, caplog: pytest.LogCaptureFixture
) -> None:
    """Under passthrough the others are ranked, and it comes last, marked, with a warning that names it."""
    server.play(behind_nginx())
    response = rerank(acme(on_error="passthrough"), documents=[LONG, *SHORT])
    assert [result.index for result in response.results[-2:]] == [1, 0]
    assert response.results[-1][:3] == (0, None, "RequestTooLargeError")
    assert [result.error for result in response.results[:-1]] == [None] * 99
    assert isinstance(response.error, RequestTooLargeError)
    assert any("documents[0] is too long by itself" in each.getMessage() for each in caplog.records)
    assert sizes(server) == [100, 99, 1]


def test_one_document_too_long_and_a_fallback(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """It is passed over where it is found, and no reason to ask a fallback."""
    server.play(behind_nginx())
    fallback = acme(row={"name": "other"})
    response = rerank(acme(on_error="passthrough", fallbacks=[fallback]), documents=[LONG, *SHORT])
    assert (response.provider, response.results[-1].error) == ("acme", "RequestTooLargeError")


def test_one_document_too_long_for_a_fallback(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """The call's `on_error` holds for a fallback too."""
    server.play(reply(500), behind_nginx())
    fallback = acme(row={"name": "other"})
    response = rerank(acme(on_error="passthrough", fallbacks=[fallback]), documents=[LONG, *SHORT])
    assert (response.provider, response.results[-1].error) == ("other", "RequestTooLargeError")


def test_later_calls_are_not_cut_small(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A later call of usual documents is one request, and with the long one two: nothing goes one by one."""
    server.play(behind_nginx())
    rerank(acme(on_error="passthrough"), documents=[LONG, *SHORT])
    server.requests.clear()
    assert len(rerank(acme(), documents=SHORT).results) == 99
    assert sizes(server) == [99]
    server.requests.clear()
    response = rerank(acme(on_error="passthrough"), documents=[*SHORT, LONG])
    assert response.results[-1][:3] == (99, None, "RequestTooLargeError")
    assert sizes(server) == [1, 99]
    server.requests.clear()
    with pytest.raises(RequestTooLargeError, match=r"documents\[99\] is too long"):
        rerank(acme(), documents=[*SHORT, LONG])
    assert sizes(server) == [1]


def test_several_documents_too_long(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Of documents that are too long the shortest is asked about; the longer ones are not sent for nothing."""
    server.play(behind_nginx())
    texts = [LONG + "x" * number for number in range(20)]
    response = rerank(acme(on_error="passthrough"), documents=[*texts, *SHORT])
    assert [result.index for result in response.results[-20:]] == list(range(20))
    assert {result.error for result in response.results[-20:]} == {"RequestTooLargeError"}
    assert len(server.requests) <= 8


def test_long_documents_that_are_taken(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Documents that are too much together, but not alone, are all ranked; a success raises what was learned."""
    server.play(behind_nginx())
    texts = [f"{number}" + "x" * 80_000 for number in range(4)]
    assert len(rerank(acme(), documents=texts).results) == 4
    assert len(server.requests) <= 7
    server.requests.clear()
    assert len(rerank(acme(), documents=texts).results) == 4
    assert sizes(server) == [1, 1, 1, 1]


def test_all_refused(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A server that refuses every body is asked few times, is believed by no later call, and raises."""
    server.play(reply(413))
    with pytest.raises(RequestTooLargeError, match="is too long by itself"):
        rerank(acme(on_error="passthrough"), documents=SHORT)
    assert len(server.requests) <= 8
    server.play(ranking())
    server.requests.clear()
    assert len(rerank(acme(), documents=SHORT).results) == 99
    assert sizes(server) == [99]


def test_batch_size_comes_first(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """What the caller sets is sent, whatever was learned."""
    server.play(behind_nginx(1_000))
    rerank(acme(), documents=SHORT)
    server.play(ranking())
    server.requests.clear()
    rerank(acme(batch_size=50), documents=SHORT)
    assert sorted(sizes(server)) == [49, 50]


def test_batch_size_that_is_too_large(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """After a refusal the rest of the call keeps to what was accepted: what is refused comes first."""
    server.play(behind_nginx(400))
    rerank(acme(batch_size=99), documents=SHORT)
    refused = [len(seen.content) > 400 for seen in server.requests]
    assert refused == sorted(refused, reverse=True)
    assert 2 <= sum(refused) <= 3


def test_listwise_models_are_sent_whole(server: HostileServer, acme: Acme, rerank: Rerank, way: str) -> None:
    """What was learned from calls with `batch_size` does not keep a listwise model from being asked."""
    model, row = f"list-{way}-sizes", {"models": (ModelFacts(pattern="^list-", listwise=True),)}
    server.play(behind_nginx(400))
    with pytest.warns(UserWarning, match="listwise"):
        rerank(acme(row=row, model=model, batch_size=98), documents=SHORT)
    server.play(ranking())
    server.requests.clear()
    assert len(rerank(acme(row=row, model=model), documents=SHORT).results) == 99
    assert sizes(server) == [99]


def test_success_of_a_larger_request(
    server: HostileServer, acme: Acme, rerank: Rerank, caplog: pytest.LogCaptureFixture
) -> None:
    """What was learned ends when a larger request succeeds; each change is logged."""
    said = reply(400, {"message": "too many documents: at most 30"})

    async def act(peer: Peer) -> None:
        await (said if len(peer.seen.body["documents"]) > 30 else ranking())(peer)

    server.play(act)
    with caplog.at_level(logging.INFO, "hosted_rerank"):
        rerank(acme(), documents=SHORT)
        server.play(ranking())
        rerank(acme(batch_size=99), documents=SHORT)
        server.requests.clear()
        rerank(acme(), documents=SHORT)
    assert sizes(server) == [99]
    assert logged(caplog) == [
        "acme: the largest request is now 30 documents, it was no limit",
        "acme: the largest request is now no limit, it was 30 documents",
    ]


def test_bulk_job(server: HostileServer) -> None:
    """Hundreds of rows with such a document in one of them, or in each, are about as many requests."""
    server.play(behind_nginx())
    row = Provider(name="acme", url=f"{server.url}/v1/rerank", api_key_env=())
    rows = [{"query": "q", "documents": SHORT[:20]} for _ in range(100)]
    rows[7] = {"query": "q", "documents": [*SHORT[:20], LONG]}
    with RerankBatch(row) as batch:
        results = batch.rerank_rows(rows)
        assert [index for index, result in enumerate(results) if result.error] == [7]
        assert "documents[20] is too long by itself" in str(results[7].error)
        assert len(server.requests) <= 103
        server.requests.clear()
        results = batch.rerank_rows([rows[7]] * 50)
        assert all(result.error for result in results)
        assert len(server.requests) <= 60
