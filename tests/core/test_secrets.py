"""Promise 7: neither the key nor a text comes out in an error, its causes, its pickle, a log or a trace."""

import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hosted_rerank import Provider, Reranker, RerankError
from hosted_rerank.call.call_state import CallState
from tests.byhand import planned, request_of
from tests.conftest import KEY, Acme, Rerank
from tests.hostile import Act, HostileServer, Peer, http, raw, reply

QUERY = "Which treatment did Ada Nunn of ward seven receive?"
DOCUMENTS = ["Ada Nunn, born 1815, was given laudanum twice a day.", 'Ward seven has\tsix beds — all "taken".']
SECRETS = (KEY, "Ada Nunn", "laudanum", "treatment did", "six beds", "Ward seven has")


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def told(error: BaseException) -> str:
    """All that a program may show or store of an error, but the locals of its frames."""
    parts = [f"{link!s} {link!r} {link.args!r} {vars(link)!r}" for link in chain(error)]
    parts += traceback.format_exception(error)
    return " ".join([*parts, pickle.dumps(error).decode("latin-1")])


def echo(status: int, envelope: str, **headers: str) -> Act:
    """BatchResult with an envelope in which `%s` is the whole request, key included, as text."""

    async def act(peer: Peer) -> None:
        body = peer.seen.body
        quoted = " ".join([peer.seen.headers["authorization"], body["query"], *body["documents"]])
        content = envelope % json.dumps(quoted, ensure_ascii=False)
        await peer.send(http(status, content, **headers))

    return act


ENVELOPES = [
    '{"error": {"message": %s, "type": "error"}}',
    '{"error": %s, "message": "Too many"}',
    '{"error": "Bad", "message": %s}',
    '{"detail": %s}',
    '{"detail": {"error": %s}}',
    '{"detail": [{"loc": ["body", %s], "msg": "wrong", "input": null}]}',
    '{"detail": [{"loc": ["body"], "msg": %s, "input": {"query": "Ada Nunn, laudanum"}}]}',
    '{"message": %s, "id": "a1"}',
    '{"errors": [{"message": %s}, %s]}'.replace("%s]", '"x"]'),
    '{"title": %s}',
    "%s",
    "[%s, 5]",
    "<html><body><p>%s</p></body></html>",
    "Invalid request: %s",
    '{"error": {"message": %s',
]


def check(error: RerankError, log: pytest.LogCaptureFixture) -> None:
    everything = told(error) + log.text + " ".join(str(vars(record)) for record in log.records)
    assert [secret for secret in SECRETS if secret in everything] == []


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("status", [200, 302, 401, 422, 500])
def test_request_quoted_in_a_reply(
    status: int, envelope: str, server: HostileServer, acme: Acme, rerank: Rerank, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that quotes the request back, in whatever envelope, does not bring it into an error or a log."""
    caplog.set_level(logging.DEBUG)
    server.play(echo(status, envelope))
    with pytest.raises(RerankError) as caught:
        rerank(acme(max_retries=0), QUERY, DOCUMENTS)
    check(caught.value, caplog)


@pytest.mark.parametrize(
    "act",
    [
        raw(end="reset"),
        raw(f"HTTP/1.1 {DOCUMENTS[0]} {KEY}\r\n\r\n".encode(), end="hang_up"),
        raw(http(200, "", content_length=KEY), end="hang_up"),
        reply(200, f"laudanum {KEY}", content_encoding="gzip"),
        reply(200, f"laudanum {KEY}", content_encoding=KEY),
        reply(200, {"results": [{"index": KEY, "relevance_score": "laudanum"}] * 2}),
        reply(302, "", location=f"https://example.invalid/?key={KEY}"),
    ],
    ids=["reset", "status line", "length", "compressed", "encoding", "result", "location"],
)
def test_request_quoted_below_the_body(
    act: Act, server: HostileServer, acme: Acme, rerank: Rerank, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does one that quotes it where HTTP has no place for it."""
    caplog.set_level(logging.INFO)
    server.play(act)
    with pytest.raises(RerankError) as caught:
        rerank(acme(max_retries=0), QUERY, DOCUMENTS)
    check(caught.value, caplog)


@pytest.mark.parametrize(
    "call",
    [
        {"query": " "},
        {"top_n": 0},
        {"instruction": " "},
        {"documents": [*DOCUMENTS, 5]},
        {"documents": DOCUMENTS[0]},
    ],
    ids=str,
)
def test_wrong_argument_shows_no_text(call: dict[str, Any], acme: Acme, rerank: Rerank, server: HostileServer) -> None:
    """An error about an argument names it and does not show it."""
    with pytest.raises((RerankError, TypeError)) as caught:
        rerank(acme(), **{"query": QUERY, "documents": DOCUMENTS} | call)
    assert [secret for secret in SECRETS if secret in "".join(traceback.format_exception(caught.value))] == []


def test_success_is_logged_without_texts(
    server: HostileServer, acme: Acme, rerank: Rerank, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does anything come out when all goes well, at any level of logging."""
    caplog.set_level(logging.DEBUG)
    response = rerank(acme(), QUERY, DOCUMENTS)
    everything = caplog.text + repr(response) + " ".join(str(vars(record)) for record in caplog.records)
    assert [secret for secret in SECRETS if secret in everything] == []


def test_reprs_show_no_key() -> None:
    """No repr of the package shows a key, nor a header that holds one."""
    reranker = Reranker(Provider(name="acme", url="https://h.example"), api_key=KEY, headers={"x-api-key": KEY})
    parts = [reranker, reranker._endpoint, vars(reranker)]
    assert KEY not in "".join(map(repr, parts))


def test_reprs_of_a_plan_show_no_text() -> None:
    """Nor does what is prepared for sending."""
    todo = planned(documents=DOCUMENTS, query=QUERY, api_key=KEY)
    state = CallState(todo, 0.0)
    prepared = [todo, request_of(todo), state.start_exchange(*state.start_batches({}))]
    assert [secret for secret in SECRETS if secret in repr(prepared)] == []


def test_request_id_is_harmless(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """An id that a server makes up is short and printable."""
    server.play(reply(500, "", x_request_id="r-1\x9b31m" + "9" * 5000))
    with pytest.raises(RerankError) as caught:
        rerank(acme())
    assert caught.value.request_id is not None
    assert caught.value.request_id.isprintable()
    assert len(caught.value.request_id) <= 200


@pytest.mark.parametrize("key", ["k", "none", "EMPTY", "1234", "token"])
def test_key_that_is_a_word(key: str, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A key that is a word of the message does not chop it up, nor does it cost an id that has it."""
    said = "not known: none of 1234 is a token, or EMPTY"
    server.play(reply(401, {"error": said, "code": f"bad_{key}"}, x_request_id=f"id-{key}-1"))
    with pytest.raises(RerankError, match=said) as caught:
        rerank(acme(api_key=key))
    assert (caught.value.code, caught.value.request_id) == (f"bad_{key}", f"id-{key}-1")


@pytest.mark.parametrize("quote", [str.upper, str.lower, lambda key: "".join(f"%{ord(c):x}" for c in key)])
def test_key_in_another_case_or_encoding(
    quote: Callable[[str], str], server: HostileServer, acme: Acme, rerank: Rerank
) -> None:
    """The key comes back in no case and no encoding, in a message, a code or an id."""
    quoted = quote(KEY)
    server.play(reply(401, {"error": f"who is {quoted}?", "code": quoted}, x_request_id=f"id-{quoted}"))
    with pytest.raises(RerankError, match=r"who is \[key\]\?") as caught:
        rerank(acme())
    assert (caught.value.code, caught.value.request_id) == (None, None)
    assert quoted not in told(caught.value)


@pytest.mark.parametrize("where", ["headers", "params"])
def test_secret_of_ones_own_header_or_parameter(where: str, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A key that goes along in a header or a parameter of the caller's is as secret as `api_key`."""
    server.play(reply(401, {"error": f"who is {KEY}?"}, x_request_id=f"id-{KEY}"))
    with pytest.raises(RerankError, match="who is") as caught:
        rerank(acme(api_key=None, **{where: {"x-api-key": f"Token {KEY}"}}))
    assert KEY not in told(caught.value)
