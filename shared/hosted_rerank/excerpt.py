"""What a server said about a failure, made short and safe to show.

A body is hostile until proven otherwise: it may be JSON of any vendor's envelope, a bare string, a page of HTML or
nothing, it may quote the request back, and it may hold escape sequences for the terminal that prints it.
"""

import re
from collections.abc import Iterable
from typing import Any

from hosted_rerank.body import is_array, is_object, parse

LONGEST = 300
"""Characters of a server's words that an error shows."""

_READ = 4 * LONGEST
_QUOTE = 12
"""A run of this many characters that also stands in the request counts as quoted from it."""
_MARKUP = re.compile(r"(?is)<(script|style|head)\b.*?</\1\s*>|<[^>]*>?")


def excerpt(content: bytes, texts: Iterable[str] = (), key: str | None = None) -> str:
    """Return the server's own words about what went wrong, without `texts`, `key` or control characters.

    Args:
        content: The body of a reply.
        texts: The query and the documents of the request.
        key: The API key of the request.

    Returns:
        At most `LONGEST` characters, empty if the body says nothing.
    """
    said = _said(_parse(content))[:_READ]
    if key:
        said = said.replace(key, "[key]")
    said = _unquote(said, texts)
    return " ".join("".join(c if c.isprintable() else " " for c in said).split())[:LONGEST]


def _parse(content: bytes) -> Any:
    """The body as JSON where it is JSON of a sane size, else as text without its markup."""
    body, is_json = parse(content) if len(content) <= 1 << 20 else (None, False)
    return body if is_json else _MARKUP.sub(" ", content[: 16 * _READ].decode("utf-8", "replace"))


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


def _unquote(said: str, texts: Iterable[str]) -> str:
    """Replace whatever `said` quotes from `texts`, whole or in part."""
    if not said:
        return said
    texts = list(texts)
    for text in {text.strip() for text in texts if len(text) <= 2 * _READ}:
        if len(text) >= 4:
            said = said.replace(text, "[...]")
    everything = "\0".join(texts)
    kept: list[str] = []
    at = 0
    while at < len(said):
        end = at + _QUOTE
        if end > len(said) or said[at:end] not in everything:
            kept.append(said[at])
            at += 1
            continue
        while end < len(said) and said[at : end + 1] in everything:
            end += 1
        kept.append("[...]")
        at = end
    return "".join(kept)
