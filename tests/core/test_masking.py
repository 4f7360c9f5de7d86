"""Keys and texts in the words of a server are masked, in any case and encoding, and the rest stays readable."""

import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosted_rerank.call.redaction import redact, redact_error_body
from tests.conftest import KEY
from tests.core.test_excerpt import SECRET, leaks, parts
from tests.hostile import encoded

ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "swapped case": str.swapcase,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON of every character": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "Python": lambda text: "".join(f"\\x{ord(c):02X}" if ord(c) < 256 else c for c in text),
    "URL": quote,
    "URL of every character": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "URL in a URL": lambda text: quote(quote(text)),
    "HTML": html.escape,
    "HTML of every character": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "HTML in hexadecimal": lambda text: "".join(f"&#x{ord(c):X};" for c in text),
    "HTML in HTML": lambda text: html.escape(html.escape(text)),
    "HTML in a URL in JSON": lambda text: json.dumps(quote(html.escape(text)))[1:-1],
}
ODD_KEYS = [KEY, KEY.upper(), "Zm9v+/9ga2V5==", "a%41&amp;b\\u0042\"'c9", "correcthorsebatterystaple"]


@pytest.mark.parametrize("key", ODD_KEYS)
@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize(
    "envelope", [lambda said: {"message": said}, lambda said: f"<p>{said}</p>"], ids=["JSON", "page"]
)
def test_key_is_masked_in_every_encoding(key: str, encode: Callable[[str], str], envelope: Any) -> None:
    """A key is masked in any case and in every encoding in which a server may quote it, and the rest is readable."""
    said = redact_error_body(encoded(envelope(f"Wrong key {encode(key)} given")), [], [key])
    assert said == "Wrong key [key] given"


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("text", [SECRET, "50%41 of &amp; patients, \\u0041da Nunn's ward", "Ada Nunn & Co <ward>"])
def test_text_is_masked_in_every_encoding(text: str, encode: Callable[[str], str]) -> None:
    """So is a text of the request."""
    said = redact_error_body(encoded({"message": f"Not permitted: {encode(text)}, sorry"}), ["another", text], [KEY])
    assert leaks(said.lower(), text.lower()) == []
    assert said.startswith("Not permitted")
    assert said.endswith("sorry")


@pytest.mark.parametrize("before", ["", "u", "me", "ada"])
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_basic_authentication_is_masked(before: str, encode: Callable[[bytes], bytes]) -> None:
    """A key is masked in the base64 of Basic authentication, whatever the user; so is the password of a header's."""
    key = "sk-\xfb\xff?>~4f9d0b7a62c1e853"
    sent = encode(f"{before}:{key}".encode()).decode()
    assert "[key]" in redact_error_body(encoded({"message": f"Wrong {sent}"}), [], [key])
    assert [part for part in parts(sent.rstrip("="), 12) if part in redact(f"Wrong {sent}", [], [key])] == []
    assert redact(f"Wrong {key}!", [], [b64encode(f"{before}:{key}".encode()).decode()]) == "Wrong [key]!"


MESSAGE = "not known: none of the tokens is a token, EMPTY or 1234; 403 for model gpt-4 (k)"


@pytest.mark.parametrize(
    "key", ["", "k", "n", "no", "none", "None", "EMPTY", "empty", "token", "tokens", "key", "1234", "403", "-"]
)
def test_short_key_does_not_chop_up_a_message(key: str) -> None:
    """A key that is a word or a number of less than eight characters masks nothing of a message."""
    assert redact(MESSAGE, [], [key]) == MESSAGE


def test_key_that_may_be_a_word() -> None:
    """A longer word, and a short key that is no word, are masked as whole words only."""
    assert redact("authentication and reauthentications", [], ["AuthenticatioN"]) == "[key] and reauthentications"
    assert redact("hunter2 is no hunter22, nor is Hunter2.", [], ["hunter2"]) == "[key] is no hunter22, nor is [key]."


def test_key_that_a_server_cut() -> None:
    """The start of a key at the end of a message, where a server cut it, is not shown."""
    assert redact(f"Wrong key {KEY[:12]}", [], [KEY]) == "Wrong key [key]"


KEYS = st.sampled_from([KEY, "key", "k", "[key]", "none", "hunter2", "[...]", "key] is [key", "a[key]bcd"])
WORDS = st.sampled_from(
    ["[key]", "[...]", "key", "none", "not known", KEY, KEY[:9], "Ada", "Nunn", "ward", "%25", "&amp;", "\\"]
)


@given(st.lists(WORDS | st.text(max_size=5), max_size=12), st.lists(KEYS, max_size=3), st.lists(WORDS, max_size=4))
def test_masking_is_idempotent(said: list[str], secrets: list[str], words: list[str]) -> None:
    """What is redacted already stays as it is when it is redacted again."""
    texts = [" ".join(words)]
    once = redact(" ".join(said), texts, secrets)
    assert redact(once, texts, secrets) == once


def test_masks_count_as_no_words() -> None:
    """What is masked already is no word of a text, though "key" is one."""
    once = redact(f"use the {KEY} of the door", ["use the key of the door"], [KEY])
    assert once == "use the [key] of the door"
    assert redact(once, ["use the key of the door"], [KEY]) == once


def test_encodings_without_end() -> None:
    """A message that is encoded over and over is not shown, and reading it takes no time."""
    key = KEY
    for _ in range(30):
        key = quote(key.replace("-", "%2D"))
    assert KEY not in redact(f"Wrong key {key}", [], [KEY])
    assert redact("%" + "25" * 100 + "41", [], [KEY]) == ""
