"""What a server said about a failure, made short and safe to show.

A body is hostile until proven otherwise: it may be JSON of any vendor's envelope, a bare string, a page of HTML or
nothing, it may quote the request back in whatever escaping, and it may hold escape sequences for the terminal that
prints it.
"""

import html
import re
from collections.abc import Iterable, Iterator
from typing import Any

from hosted_rerank.providers.json_path import at, is_array, is_object, parse

LONGEST = 300
"""Characters of a server's words that an error shows."""

_READ = 4 * LONGEST
_LARGEST = 4 << 20
"""Bytes of a body that are looked at as JSON."""
_MARKUP = re.compile(r"(?is)<(script|style|head)\b.*?</\1\s*>|<[^>]*>?")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|[nrtbf]|([\"'/\\]))")
_WORD = re.compile(r"[^\W\u3040-\u30ff\u3400-\u9fff]+|[\u3040-\u30ff\u3400-\u9fff]")
"""A word; in Chinese and Japanese, which have no spaces, a character."""


def redact_error_body(content: bytes, texts: Iterable[str] = (), secrets: Iterable[str] = ()) -> str:
    """Return the server's own words about what went wrong, without `texts`, `secrets` or control characters.

    Args:
        content: The body of a reply.
        texts: The query and the documents of the request.
        secrets: The API key of the request, and what else must not be shown.

    Returns:
        At most `LONGEST` characters, empty if the body says nothing.
    """
    said = _said(_read(content))[: 2 * _READ]
    for secret in secrets:
        said = _without(said, secret)
    said = _unescape(said)
    for secret in secrets:
        said = _without(said, _unescape(secret))
    said = _unquote(said, list(texts))
    return " ".join("".join(c if c.isprintable() else " " for c in said).split())[:LONGEST]


def error_code(content: bytes, status: int) -> str | None:
    """Return the vendor's own code of a failure, where its body has one that says more than the status."""
    paths = ("error.status", "error.code", "code", "error_type", "error.type", "errors.0.code", "type")
    return next((code for code in _found(content, paths) if code not in (str(status), "error")), None)


def error_id(content: bytes) -> str | None:
    """Return the vendor's id of a failed request, where its body has one."""
    return next(_found(content, ("request_id", "requestId", "id", "trace", "error.request_id")), None)


def _found(content: bytes, paths: Iterable[str]) -> Iterator[str]:
    """The words and whole numbers that stand at the paths."""
    body, _ = parse(content) if len(content) <= _LARGEST else (None, False)
    for path in paths:
        word = at(body, path)
        if word and type(word) in (str, int) and len(str(word)) <= 128:
            yield str(word)


def _read(content: bytes) -> Any:
    """The body as JSON where it is JSON, else as text without its markup; nothing where it is JSON cut short."""
    body, is_json = parse(content) if len(content) <= _LARGEST else (None, False)
    if is_json or content.lstrip()[:1] in (b"{", b"["):
        return body
    return _MARKUP.sub(" ", content[: 16 * _READ].decode("utf-8", "replace"))


def _said(body: Any, depth: int = 0) -> str:
    """The message in any envelope that vendors use; never what stands under `input`, which is the request itself."""
    if isinstance(body, str) or depth > 3:
        return body if isinstance(body, str) else ""
    if is_array(body):
        return "; ".join(filter(None, (_said(part, depth + 1) for part in body[:5])))
    fields = body if is_object(body) else {}
    for name in ("message", "error", "detail", "errors", "msg", "title"):
        if said := _said(fields.get(name), depth + 1):
            place = fields.get("loc")  # FastAPI says where, and what
            return f"{'.'.join(map(str, place[:6]))}: {said}" if name == "msg" and is_array(place) else said
    return ""


def _without(said: str, secret: str) -> str:
    """Take out a secret, and the beginning of it that a cut left at the end."""
    said = said.replace(secret, "[key]")
    left = next((length for length in range(len(secret) - 1, 3, -1) if said.endswith(secret[:length])), 0)
    return said[: len(said) - left]


def _unescape(said: str) -> str:
    """Undo what JSON, Python or HTML do to a text that they quote."""
    said = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2] or " ", said)
    return html.unescape(said)


def _unquote(said: str, texts: list[str]) -> str:
    """Replace whatever `said` quotes from `texts`: runs of the same words, whatever stands between them.

    Stops where enough is left to show: each look through megabytes of documents costs milliseconds.
    """
    words = list(_WORD.finditer(said))
    if not words:
        return said
    everything = " ".join(_WORD.findall("\0".join(texts)))
    wholes = {" ".join(_WORD.findall(text)) for text in texts if len(text) <= _READ}
    kept, shown, at = "", 0, 0  # what is left so far, and the characters and the words dealt with
    while at < len(words):
        start = words[at].start()
        if len(kept) + start - shown > LONGEST:
            return kept + said[shown:start]
        end = _quoted(words, at, everything, wholes)
        if end > at:
            kept += said[shown:start] + "[...]"
            shown = words[end - 1].end()
        at = max(end, at + 1)
    return kept + said[shown:]


def _quoted(words: list[re.Match[str]], at: int, everything: str, wholes: set[str]) -> int:
    """Where the longest quotation that begins with word `at` ends; `at` if none does.

    Three words in a row, twenty characters, or a whole text of four are no coincidence. The first word may be the end
    of the text's, and the last the beginning, for quotations are cut anywhere.
    """
    longest, run = at, ""
    for end in range(at + 1, len(words) + 1):
        run = f"{run} {words[end - 1].group()}".lstrip()
        if run not in everything:
            break
        if (end - at >= 3 and len(run) >= 12) or len(run) >= 20 or (len(run) >= 4 and run in wholes):
            longest = end
    return longest
