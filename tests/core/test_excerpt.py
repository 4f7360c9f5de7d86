"""Promise 7, the words of errors: the server's message, short, without the key and the texts of the request."""

import html
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosted_rerank.call.redaction import MAX_SHOWN, redact_error_body
from tests.conftest import KEY
from tests.hostile import encoded

SECRET = 'Patient Ada Nunn, ward 7: "mild" naïve dyspnœa <72 bpm & rising>\nshort line\nother\n日本語のカルテ番号は四二'


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "Too long", "type": "error", "code": 5}}, "Too long"),
        ({"error": "Too Many", "message": "The rate is used up"}, "The rate is used up"),
        ({"error": "Unauthorized"}, "Unauthorized"),
        ({"error": "no such input", "error_type": "Validation"}, "no such input"),
        ({"detail": "Not known here"}, "Not known here"),
        ({"detail": "No balance", "code": "X", "request_id": "r"}, "No balance"),
        ({"detail": {"error": "Overloaded"}}, "Overloaded"),
        ({"message": "Bad id", "id": "a1"}, "Bad id"),
        ({"code": 20042, "message": "Batch of 33 is over 32", "data": None}, "Batch of 33 is over 32"),
        ({"object": "error", "message": "Longer than the context", "code": 400}, "Longer than the context"),
        ({"errors": [{"code": 1, "message": "First"}, {"message": "Second"}], "trace": "t"}, "First; Second"),
        ({"errors": ["plain"], "success": False}, "plain"),
        ({"status": 429, "title": "Too Many Requests"}, "Too Many Requests"),
        (
            {"detail": [{"loc": ["body", "top_n"], "msg": "Less than 1", "type": "t", "input": 0}]},
            "body.top_n: Less than 1",
        ),
        ('"Invalid token"', "Invalid token"),
        ("404 page not found", "404 page not found"),
        ("<html><head><style>p{}</style></head><body><h1>502 Bad Gateway</h1></body>", "502 Bad Gateway"),
        ("null", ""),
        ("", ""),
        ({}, ""),
        ([], ""),
        ({"error": None, "message": None, "detail": []}, ""),
        ({"error": {"message": {"nested": "deep"}}}, ""),
        ({"type": "about:blank", "title": "Forbidden", "instance": "/x"}, "Forbidden"),
        ({"Message": "Missing token"}, "Missing token"),
        ({"error": "invalid_grant", "error_description": "expired"}, "invalid_grant"),
        ({"code": 7, "description": "No such plan"}, "No such plan"),
        ({"message": '{"error": {"message": "From upstream", "input": "u-17"}}'}, "From upstream"),
        (b"\xef\xbb\xbf" + b'{"message": "After a mark", "input": "u-17"}', "After a mark"),
        ('<?xml version="1.0"?><Error><Input>u-17</Input><Message>Slow down</Message></Error>', "Slow down"),
        ('<?xml version="1.0"?><!DOCTYPE html><html><body>502 Bad Gateway</body></html>', "502 Bad Gateway"),
    ],
)
def test_words_of_every_envelope(body: Any, words: str) -> None:
    """The message is found in any envelope that vendors use, and nothing is made up where there is none."""
    assert redact_error_body(encoded(body)) == words


def test_input_is_never_read() -> None:
    """The parts of a request that FastAPI quotes under `input` and `ctx` are left out, for any number of fields."""
    entry = {"type": "t", "loc": ["body"], "msg": "Wrong", "input": {"user": "u-17"}, "ctx": {"given": "u-17"}}
    assert "u-17" not in redact_error_body(encoded({"detail": [entry] * 3}))


UNKNOWN = [
    {"input": "u-17"},
    {"error": {"input": "u-17", "param": "u-17", "metadata": {"raw": "u-17"}}},
    {"error": {"details": [{"value": "u-17"}], "message": "Wrong"}},
    {"detail": [{"loc": ["body", "u-17 said so"], "msg": "Wrong"}]},
    {"errors": {"u-17": ["u-17"]}, "title": "Wrong"},
    {"data": "u-17", "message": None},
    [{"text": "u-17", "index": 0}],
    'data: {"input": "u-17"}',
    'upstream said {"input": "u-17"}',
    '\n{"message": "u-17", "input": ',
    b'\xef\xbb\xbf{"message": "u-17", "input": ',
    '<?xml version="1.0"?><fault><input>u-17</input></fault>',
]


@pytest.mark.parametrize("body", UNKNOWN, ids=repr)
def test_unknown_fields_are_never_read(body: Any) -> None:
    """Only the fields in which vendors put messages are read, in whatever a body is wrapped."""
    assert "u-17" not in redact_error_body(encoded(body))


@pytest.mark.parametrize("damage", [lambda body: body, lambda body: body[:-1]], ids=["long", "cut"])
def test_input_is_never_read_of_a_long_or_broken_body(damage: Any) -> None:
    """Nor does it appear where the body is long, as one that quotes a thousand documents is, or is cut short."""
    entry = {
        "type": "missing",
        "loc": ["body", "x"],
        "msg": "Wrong",
        "input": {"user": "u-17", "documents": ["d" * 999]},
    }
    body = damage(encoded({"detail": [entry] * 1200}))
    assert len(body) > 1 << 20
    assert "u-17" not in redact_error_body(body)


@pytest.mark.parametrize("length", [MAX_SHOWN, 10 * MAX_SHOWN, 5_000_000])
@pytest.mark.parametrize("envelope", ['{"message": "%s"}', "%s", "<p>%s", '["%s"]'])
def test_words_are_bounded(envelope: str, length: int) -> None:
    """However much a server says, an error shows little of it."""
    assert len(redact_error_body((envelope % ("word " * (length // 5))).encode())) <= MAX_SHOWN


def test_words_are_harmless_to_a_terminal() -> None:
    """Escape sequences, line breaks and directions of text do not reach the terminal."""
    said = redact_error_body(encoded({"message": "a\x1b[31mred\x07\r\nb\u202ec\u2028d\x00"}))
    assert said.isprintable()
    assert said.split() == ["a", "[31mred", "b", "c", "d"]


QUOTES = {
    "plain": str,
    "stripped": str.strip,
    "on one line": lambda text: " ".join(text.split()),
    "cut": lambda text: text[:60],
    "as JSON": json.dumps,
    "as JSON of Unicode": lambda text: json.dumps(text, ensure_ascii=False),
    "as HTML": html.escape,
    "as Python": repr,
    "in a list": lambda text: repr(["x", text]),
    "twice": lambda text: f"{text} {text}",
}


def leaks(said: str, text: str = SECRET) -> list[str]:
    """The words of a text, of four letters and more, that are in what was said."""
    words = {word for word in text.replace("\n", " ").split() if len(word) > 3}
    escaped = {json.dumps(word)[1:-1] for word in words} | {html.escape(word) for word in words}
    return sorted(word for word in words | escaped if word in said)


@pytest.mark.parametrize("quote", QUOTES.values(), ids=QUOTES.keys())
@pytest.mark.parametrize("envelope", ['{"error": {"message": %s}}', '{"detail": %s}', '{"error": %s}', "[%s]", "%s"])
def test_quotes_of_the_request_are_taken_out(quote: Any, envelope: str) -> None:
    """A text of the request does not come back in an error, plain, cut, or escaped in the ways that servers do."""
    body = envelope % json.dumps(f"Not permitted, value: {quote(SECRET)}, sorry")
    said = redact_error_body(body.encode(), [SECRET, "another"], [KEY])
    assert "Not permitted" in said
    assert leaks(said) == []


@pytest.mark.parametrize("text", ["Bob Lee", "42 Elm St", "AB12"])
def test_short_texts_are_taken_out(text: str) -> None:
    """A short text is taken out where it is quoted whole."""
    assert text not in redact_error_body(encoded({"message": f"Input '{text}' is wrong"}), [f" {text}\n"])


@pytest.mark.parametrize("quote", [str, repr, lambda key: f"Bearer {key}", lambda key: f"{key}{key}", html.escape])
def test_key_is_taken_out(quote: Any) -> None:
    """The key does not come back in an error."""
    for body in ({"message": f"Wrong key {quote(KEY)}!"}, f"<p>{quote(KEY)}</p>", json.dumps(quote(KEY))):
        assert KEY[:8] not in redact_error_body(encoded(body), [], [KEY])


@pytest.mark.parametrize(
    "key", ["s&lt;9f8e7d6c-5b4a", r"s\n9f8e7d6c-5b4a", r"s\u00419f8e7d6c-5b4a", "s&amp9f8e7d6c-5b4a"]
)
def test_key_of_odd_characters_is_taken_out(key: str) -> None:
    """A key may hold any character that can be sent, such as those that escapes begin with."""
    assert "9f8e7d6c" not in redact_error_body(encoded({"message": f"Wrong key {key}!"}), [], [key])


def parts(text: str, length: int = 8) -> set[str]:
    return {text[at : at + length] for at in range(len(text) - length + 1)}


LONG = "Die Würmer schlafen länger. " * 200
BEFORE = {
    "plain": lambda length: json.dumps(LONG[:length])[1:-1],
    "JSON": lambda length: json.dumps(json.dumps(LONG)[1:-1][:length])[1:-1],
    "HTML": lambda length: json.dumps(html.escape(LONG)[:length])[1:-1],
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_no_bound_leaves_half_a_key(before: Any) -> None:
    """Wherever in a long message the key stands, no part of it is shown, whatever is taken out before it."""
    for length in range(0, len(LONG), len(KEY) - 8):
        said = redact_error_body(f'{{"message": "{before(length)} Bearer {KEY} is wrong"}}'.encode(), [LONG], [KEY])
        assert "Bearer" in said or length > 1000
        assert [part for part in parts(KEY) if part in said] == [], length


def test_no_bound_leaves_half_a_key_of_a_page() -> None:
    """Nor is it shown of a page, whatever markup stands before it."""
    for length in range(0, 30_000, len(KEY) - 8):
        said = redact_error_body(f"<p class={'a' * length}>Bearer {KEY} is wrong".encode(), [], [KEY])
        assert [part for part in parts(KEY) if part in said] == [], length


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode), st.lists(st.text(max_size=20), max_size=3))
def test_no_body_breaks_the_reading(content: bytes, texts: list[str]) -> None:
    """Any bytes come to a short, printable line."""
    said = redact_error_body(content, texts, [KEY])
    assert len(said) <= MAX_SHOWN
    assert said.isprintable()


@given(st.text(max_size=400), st.text(max_size=400))
def test_key_is_taken_out_wherever_it_stands(before: str, after: str) -> None:
    """Whatever stands around it, the key is not shown."""
    assert KEY not in redact_error_body(encoded({"message": before + KEY + after}), [], [KEY])


def test_quotes_without_spaces() -> None:
    """In Chinese and Japanese, where the server's words stand right beside the quotation, it is found as well."""
    text = "\u60a3\u8005\u738b\u5c0f\u660e\u5728\u4e03\u53f7\u75c5\u623f\u63a5\u53d7\u4e86\u6cbb\u7597"
    said = redact_error_body(encoded({"message": f"\u6587\u6863{text}\u8fc7\u957f"}), [text + "\u3002" + text])
    assert said == "\u6587\u6863[...]\u8fc7\u957f"
