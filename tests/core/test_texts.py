"""Bad data is not a bad call: texts that are not valid Unicode are made so, and what shows nothing is blank."""

import logging
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosted_rerank import InvalidRequestError
from hosted_rerank._text import has_surrogates, is_blank, may_have_blank, replace_surrogates
from tests.byhand import body_of, planned
from tests.conftest import Acme, Rerank
from tests.hostile import HostileServer, ranking, reply

REPLACED = [
    ("\ud83d\ude00", "\U0001f600"),
    ("a \ud83d\ude00\ud83d\ude00 b", "a \U0001f600\U0001f600 b"),
    ("\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
    ("\ude00\ud83d", "\ufffd\ufffd"),
    ("\ud800", "\ufffd"),
    ("a\ud800b\udfffc", "a\ufffdb\ufffdc"),
    ("\ufeffna\xefve\udce9", "\ufeffna\xefve\ufffd"),
]
INVISIBLE = {
    "zero-width space": "\u200b",
    "joiners": "\u200d\u200c\u2060",
    "byte order mark": "\ufeff",
    "soft hyphen": "\xad\xad",
    "control characters": "\x00\x1b\x7f\x85\x9f",
    "directions": "\u200e\u200f\u202a\u202e\u2066\u2069\u061c",
    "invisible operators": "\u2061\u2064\u206f",
    "fillers": "\u3164\u115f\u1160\uffa0\u2800",
    "variation selectors": "\ufe0f\u180b\U000e0100",
    "tags": "\U000e0001\U000e0041",
    "grapheme joiner": "\u034f",
    "annotation marks": "\ufff9\ufffa\ufffb",
    "spaces": " \t\r\n\v\f\x1c\xa0\u1680\u2003\u2028\u2029\u202f\u205f\u3000",
    "a mixture": "\ufeff \u200b\n\xad",
}


@pytest.mark.parametrize(("text", "valid"), REPLACED, ids=ascii)
def test_surrogates(text: str, valid: str) -> None:
    """Surrogates that are a pair are joined, lone ones become U+FFFD, and the rest stays."""
    assert replace_surrogates(text) == valid
    assert has_surrogates([text])
    assert not has_surrogates([valid])


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_can_be_sent(text: str) -> None:
    """Whatever a text holds, what is sent is valid Unicode; what is valid already stays as it is."""
    valid = replace_surrogates(text)
    valid.encode()
    assert has_surrogates([text]) == (valid != text)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        ({"query": "bad \ud800"}, "query"),
        ({"instruction": "bad \ud83d\ude00"}, "instruction"),
        ({"documents": ["fine", "", "s3cr3t \udfff"]}, "documents[2]"),
        (
            {"documents": ["s3cr3t \ud800", "b", "\udfff s3cr3t"], "query": "\ud800 s3cr3t"},
            "query, documents[0] and 1 more",
        ),
    ],
)
def test_surrogates_are_sent_repaired(
    call: dict[str, Any],
    named: str,
    server: HostileServer,
    acme: Acme,
    rerank: Rerank,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A surrogate in one text fails no call: it is sent repaired, and one warning names the text and shows none."""
    given = {"query": "q", "documents": ["a"], "instruction": "i"} | call
    rerank(acme(), **given)
    sent = server.requests[0].body
    assert (sent["query"], sent["task"]) == tuple(replace_surrogates(given[name]) for name in ("query", "instruction"))
    assert sent["documents"] == [replace_surrogates(text) for text in given["documents"] if text]
    (record,) = (each for each in caplog.records if each.name == "hosted_rerank")
    assert record.levelno == logging.WARNING
    assert record.getMessage().endswith(f": {named}")
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize(
    "settings", [{"cache": {}}, {"batch_size": 1}, {"max_document_chars": 3}, {"dedupe": False}], ids=str
)
def test_surrogates_in_every_setting(
    settings: dict[str, Any], server: HostileServer, acme: Acme, rerank: Rerank, caplog: pytest.LogCaptureFixture
) -> None:
    """That holds with a cache, for several requests, and for texts that are cut; the scores stay in place."""
    server.play(ranking(0.25))
    documents = ["a\ud800b", "c", "\ud83d\ude00"] if "batch_size" in settings else ["a\ud800b"]
    response = rerank(acme(**settings), documents=documents)
    assert sorted(result.index for result in response.results) == list(range(len(documents)))
    assert {result.relevance_score for result in response.results} == {0.25}
    sent = sorted(text for seen in server.requests for text in seen.body["documents"])
    assert sent == sorted(map(replace_surrogates, documents))
    assert len(caplog.records) == 1


def test_surrogates_are_one_warning_of_a_call(
    server: HostileServer, acme: Acme, rerank: Rerank, caplog: pytest.LogCaptureFixture
) -> None:
    """A call that falls back warns of them once."""
    server.play(reply(503, ""), ranking())
    rerank(acme(fallbacks=[acme(row={"name": "spare"})]), documents=["\ud800"])
    assert [seen.body["documents"] for seen in server.requests] == [["\ufffd"], ["\ufffd"]]
    assert [record.levelname for record in caplog.records if "U+FFFD" in record.getMessage()] == ["WARNING"]


def test_equal_once_they_are_repaired() -> None:
    """Texts that are equal once they are valid are sent once."""
    todo = planned(documents=["\ud83d\ude00", "\U0001f600", "\ud800", "\udfff"])
    assert body_of(todo)["documents"] == ["\U0001f600", "\ufffd"]


@pytest.mark.parametrize("text", INVISIBLE.values(), ids=INVISIBLE)
def test_invisible_text_is_blank(text: str, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A document that shows nothing is not sent and comes last; such a query or instruction is refused."""
    response = rerank(acme(), documents=[text, f"{text}a{text}"])
    assert [(result.index, result.relevance_score) for result in response.results] == [(1, 0.0), (0, None)]
    assert server.requests[0].body["documents"] == [f"{text}a{text}"]
    for call in ({"query": text}, {"instruction": text}):
        with pytest.raises(InvalidRequestError, match="is blank"):
            rerank(acme(), **call)


def test_text_that_is_cut_to_nothing(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """What shows nothing once it is cut is not sent either."""
    response = rerank(acme(max_document_chars=2), documents=["\u200b\u200ba", "b"])
    assert [result.index for result in response.results] == [1, 0]
    assert server.requests[0].body["documents"] == ["b"]


def test_characters_that_show_nothing() -> None:
    """All white space and all controls are invisible; no letter, digit, mark of punctuation or private character is."""
    fillers = set("\u115f\u1160\u3164\uffa0")
    for character in map(chr, range(sys.maxunicode + 1)):
        category = unicodedata.category(character)
        if character.isspace() or category in ("Cc", "Zs", "Zl", "Zp"):
            assert is_blank(character), hex(ord(character))
        elif category[0] in "LNP" or category == "Co":
            assert is_blank(character) == (character in fillers), hex(ord(character))


@given(st.lists(st.text(st.sampled_from("a\xe9\u200b\ufeff \n\U0001f600"), max_size=4), max_size=5))
def test_fast_look_misses_no_blank_text(texts: list[str]) -> None:
    """The fast look at all texts never overlooks a blank one, and passes over texts that begin with a visible one."""
    assert may_have_blank(texts) >= any(map(is_blank, texts))
    assert not may_have_blank([f"a{text}" for text in texts])
