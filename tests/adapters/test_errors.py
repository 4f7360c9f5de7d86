"""Errors: one family, with what the API says, and never the key or anybody's text."""

import json
import logging
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from hosted_rerank import (
    AuthenticationError,
    InvalidRequestError,
    MalformedResponseError,
    NotFoundError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
    RerankConnectionError,
    RerankError,
    ServerError,
)
from tests.adapters.fixtures import Asking, Rank
from tests.conftest import KEY
from tests.hostile import Act, HostileServer, Peer, http, ranked, raw, reply

SECRET = "the patient in room twelve has a rare illness"
QUESTION = "who is ill in room twelve of the clinic?"
TASK = "prefer what the clinic wrote of room twelve"
QUIET = ("Room twelve", "clinic", SECRET, QUESTION, KEY, KEY[-8:])


def echo(status: int) -> Act:
    """An act that quotes the whole request, key included, in its error."""

    async def act(peer: Peer) -> None:
        said = f"cannot rank {peer.seen.content.decode()} for {peer.seen.headers['authorization']}"
        body = {"error": {"message": said}, "detail": [{"msg": said, "input": peer.seen.body}]}
        await peer.send(http(status, body, x_request_id="req-1"))

    return act


def told(error: BaseException) -> str:
    """Everything that a log, a console or an error tracker shows of an error."""
    return "".join([str(error), repr(error), repr(error.__dict__), *traceback.format_exception(error)])


def assert_quiet(shown: str) -> None:
    assert not [secret for secret in QUIET if secret.lower() in shown.lower()], shown


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (402, PaymentRequiredError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (422, InvalidRequestError),
        (429, RateLimitError),
        (500, ServerError),
    ],
)
def test_failed_request(
    host: ModuleType,
    asking: Asking,
    rank: Rank,
    server: HostileServer,
    caplog: pytest.LogCaptureFixture,
    status: int,
    kind: type[RerankError],
) -> None:
    """A refusal arrives as the one family's error with status, provider and request id, and quotes no request."""
    caplog.set_level(logging.DEBUG)
    server.play(echo(status))
    with pytest.raises(kind) as caught:
        rank(asking(host.FireworksRerank, instruction=TASK), host.candidates(SECRET, "salmon"), QUESTION)
    error = caught.value
    assert (error.status, error.provider, error.request_id) == (status, "fireworks", "req-1")
    assert_quiet(told(error))
    assert_quiet(caplog.text)


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (raw(end="reset"), RerankConnectionError),
        (reply(200, f"<html>{SECRET}</html>"), MalformedResponseError),
        (
            reply(200, {"data": [{"index": SECRET, "relevance_score": SECRET}] * 2, "error": SECRET}),
            MalformedResponseError,
        ),
        (reply(200, ranked(0.5)), MalformedResponseError),
    ],
    ids=["reset", "page", "text for numbers", "too few"],
)
def test_broken_answer(
    host: ModuleType, asking: Asking, rank: Rank, server: HostileServer, act: Act, kind: type[RerankError]
) -> None:
    """No answer, or one that cannot be trusted, is an error of the family too, and never a guess or a `KeyError`."""
    server.play(act)
    with pytest.raises(kind) as caught:
        rank(asking(host.FireworksRerank), host.candidates(SECRET, "salmon"), QUESTION)
    assert_quiet(told(caught.value))


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_key": f"{KEY}\n"},
        {"api_key": [KEY]},
        {"api_key": KEY, "topn": 3},
        {"api_key": KEY, "top_n": 0},
        {"api_key": KEY, "base_url": f"https://user:{KEY}@example.com"},
        {"api_key": KEY, "base_url": "ftp://example.com"},
        {"api_key": KEY, "headers": KEY},
        {"headers": {"authorization": f"Bearer {KEY}\n"}},
        {"timeout": KEY},
        {"instruction": [SECRET]},
        {"on_error": KEY},
        {"options": {"user": SECRET, "text": SECRET}},
    ],
    ids="-".join,
)
def test_refused_parameters(host: ModuleType, wrong: dict[str, Any]) -> None:
    """A constructor, a validation and an assignment that refuse a value do not show it, nor the key beside it."""
    kind, (*_, name) = host.FireworksRerank, wrong
    refusals: list[Callable[[], object]] = [
        lambda: kind(**wrong),
        lambda: kind.model_validate(wrong),
        lambda: kind.model_validate_json(json.dumps(wrong)),
        lambda: setattr(kind(api_key=KEY), name, wrong[name]),
    ]
    for refuse in refusals:
        with pytest.raises((ValueError, TypeError)) as caught:
            refuse()
        assert_quiet(told(caught.value))


@pytest.mark.parametrize("wrong", [[SECRET], [None], [{"page_content": SECRET}], [b"x" * 40, SECRET]])
def test_candidates_of_another_kind(
    host: ModuleType, asking: Asking, rank: Rank, server: HostileServer, wrong: list[Any]
) -> None:
    """An input that is no candidate of the framework is an error with its index only, and nothing is sent."""
    with pytest.raises(TypeError, match=r"\[1\]") as caught:
        rank(asking(host.FireworksRerank), [*host.candidates("swift"), *wrong])
    assert_quiet(told(caught.value))
    assert server.requests == []


@pytest.mark.parametrize(("query", "kind"), [(" \n", ValueError), ("", ValueError), (["a"], TypeError)])
def test_question_that_is_none(
    host: ModuleType, asking: Asking, rank: Rank, server: HostileServer, query: Any, kind: type[Exception]
) -> None:
    """A blank question, or one that is no text, is refused before anything is sent."""
    with pytest.raises(kind, match="query"):
        rank(asking(host.FireworksRerank, on_error="passthrough"), host.candidates("swift"), query)
    assert server.requests == []


def test_reprs_are_quiet(host: ModuleType, asking: Asking, rank: Rank) -> None:
    """The repr of a reranker holds no key, before and after it was used."""
    reranker = asking(host.FireworksRerank, headers={"x-api-key": KEY, "authorization": f"Token {KEY}"})
    for _ in range(2):
        assert_quiet("".join([repr(reranker), str(reranker), repr(reranker.reranker), repr(reranker.api_key)]))
        rank(reranker, host.candidates("swift"))
