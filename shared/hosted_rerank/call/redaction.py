"""Makes the body of an error response short and safe to show.

A body is not trusted. It may be JSON of any vendor, a bare string, a page of HTML, or empty. It may quote the request
with any escaping, and it may contain escape sequences for the terminal that prints it.
"""

import html
import re
from collections.abc import Iterable, Iterator
from typing import Any

from hosted_rerank.providers.json_path import at, is_array, is_object, parse

MAX_SHOWN = 300
"""Maximum characters of a body that an error shows."""

_MAX_SEARCHED = 4 * MAX_SHOWN
"""Maximum characters of a message that are searched for texts and secrets."""
_MAX_JSON = 4 << 20
"""Maximum bytes of a body that is parsed as JSON."""
_MARKUP = re.compile(r"(?is)<(script|style|head)\b.*?</\1\s*>|<[^>]*>?")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|[nrtbf]|([\"'/\\]))")
_WORD = re.compile(r"[^\W\u3040-\u30ff\u3400-\u9fff]+|[\u3040-\u30ff\u3400-\u9fff]")
"""A word; in Chinese and Japanese, which have no spaces, a character."""


def redact_error_body(content: bytes, texts: Iterable[str] = (), secrets: Iterable[str] = ()) -> str:
    """Returns the message in the body of an error response, without texts, secrets or control characters.

    Args:
        content: The body of the response.
        texts: The query, the instruction and the documents of the request.
        secrets: The API key of the request, and other secrets.

    Returns:
        At most `MAX_SHOWN` characters; empty if the body has no message.
    """
    said = _said(_read(content))[: 2 * _MAX_SEARCHED]
    for secret in secrets:
        said = _without(said, secret)
    said = _unescape(said)
    for secret in secrets:
        said = _without(said, _unescape(secret))
    said = _unquote(said, list(texts))
    return " ".join("".join(c if c.isprintable() else " " for c in said).split())[:MAX_SHOWN]


def error_code(content: bytes, status: int) -> str | None:
    """Returns the API's own code of an error, if the body has one other than the status."""
    paths = (
        *("error.status", "error.code", "code", "error_type", "error.type", "errors.0.code", "type"),
        *("error_code", "errorCode", "detail.code", "detail.error.code", "detail.error.type", "detail.type", "__type"),
        *("error.error.code", "error.error.type", "errors.0.type", "detail.0.code", "0.error.status", "0.error.code"),
    )
    return next((code for code in _found(content, paths) if code not in (str(status), "error")), None)


def error_id(content: bytes) -> str | None:
    """Returns the API's id of a failed request, if the body has one."""
    return next(_found(content, ("request_id", "requestId", "id", "trace", "error.request_id")), None)


def _found(content: bytes, paths: Iterable[str]) -> Iterator[str]:
    """Yields the strings and integers at the paths."""
    body, _ = parse(content) if len(content) <= _MAX_JSON else (None, False)
    for path in paths:
        word = at(body, path)
        if word and type(word) in (str, int) and len(str(word)) <= 128:
            yield str(word)


def _read(content: bytes) -> Any:
    """Returns the body parsed as JSON, else as text without markup; `None` for JSON that is incomplete."""
    body, is_json = parse(content) if len(content) <= _MAX_JSON else (None, False)
    if is_json or content.lstrip()[:1] in (b"{", b"["):
        return body
    return _MARKUP.sub(" ", content[: 16 * _MAX_SEARCHED].decode("utf-8", "replace"))


def _said(body: Any, depth: int = 0) -> str:
    """Returns the message in a body of any vendor. It ignores `input`, which is the request itself."""
    if isinstance(body, str) or depth > 3:
        return body if isinstance(body, str) else ""
    if is_array(body):
        return "; ".join(filter(None, (_said(part, depth + 1) for part in body[:5])))
    fields = body if is_object(body) else {}
    for name in ("message", "error", "detail", "errors", "msg", "reason", "title"):
        if said := _said(fields.get(name), depth + 1):
            place = fields.get("loc")  # FastAPI names the field and the problem
            return f"{'.'.join(map(str, place[:6]))}: {said}" if name == "msg" and is_array(place) else said
    return ""


def _without(said: str, secret: str) -> str:
    """Returns a message without a secret, and without the start of it at the end, where the message was cut."""
    said = said.replace(secret, "[key]")
    left = next((length for length in range(len(secret) - 1, 3, -1) if said.endswith(secret[:length])), 0)
    return said[: len(said) - left]


def _unescape(said: str) -> str:
    """Returns a message without the escaping of JSON, Python or HTML."""
    said = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2] or " ", said)
    return html.unescape(said)


def _unquote(said: str, texts: list[str]) -> str:
    """Returns a message with its quotations of `texts` replaced: runs of the same words, with anything between them.

    It stops when the result is long enough, because each search through megabytes of documents takes milliseconds.
    """
    words = list(_WORD.finditer(said))
    if not words:
        return said
    everything = " ".join(_WORD.findall("\0".join(texts)))
    wholes = {" ".join(_WORD.findall(text)) for text in texts if len(text) <= _MAX_SEARCHED}
    kept, shown, at = "", 0, 0  # the result so far, and the characters and words that were read
    while at < len(words):
        start = words[at].start()
        if len(kept) + start - shown > MAX_SHOWN:
            return kept + said[shown:start]
        end = _quoted(words, at, everything, wholes)
        if end > at:
            kept += said[shown:start] + "[...]"
            shown = words[end - 1].end()
        at = max(end, at + 1)
    return kept + said[shown:]


def _quoted(words: list[re.Match[str]], at: int, everything: str, wholes: set[str]) -> int:
    """Returns the end of the longest quotation that starts with word `at`; `at` if there is none.

    A quotation is three words in a row, twenty characters, or a whole text of at least four characters. Its first and
    last word may be parts of words, because a quotation can be cut anywhere.
    """
    longest, run = at, ""
    for end in range(at + 1, len(words) + 1):
        run = f"{run} {words[end - 1].group()}".lstrip()
        if run not in everything:
            break
        if (end - at >= 3 and len(run) >= 12) or len(run) >= 20 or (len(run) >= 4 and run in wholes):
            longest = end
    return longest
