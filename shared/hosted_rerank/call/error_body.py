"""Reads the message, the code and the id in the body of an error response.

A body is not trusted. It may be JSON of any vendor, a bare string, a page of HTML, or empty. Only the fields in which
vendors put messages are read: others, such as `input`, repeat the request.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from typing import Any

from hosted_rerank.providers.json_path import at, is_array, is_object, parse

_MAX_JSON = 4 << 20
"""Maximum bytes of a body that is parsed as JSON."""
_MAX_TEXT = 20_000
"""Maximum bytes of a body that is read as text."""
_MESSAGE_FIELDS = (
    *("message", "error", "detail", "errors", "msg", "title", "description", "error_description", "reason"),
)
"""The fields with a message, or with an object or a list that has such fields, in the order in which they are read."""
_MARKUP = re.compile(r"(?is)<(script|style|head)\b.*?</\1\s*>|<[^>]*>?")
_XML_FIELD = re.compile(rf"(?is)<(?:{'|'.join(_MESSAGE_FIELDS)})\b[^>]*>([^<]+)<")
_FIELD_NAME = re.compile(r"[A-Za-z_]\w{0,39}")
_ASCII_RUN = re.compile(r"[!-~]*\Z")


def error_message(content: bytes) -> str:
    """Returns the message in the body of an error response, as the server wrote it; empty if there is none."""
    content = content.lstrip().removeprefix(BOM_UTF8).lstrip()
    body, is_json = _parse(content)
    if is_json:
        return _message(body)
    if content[:1] in (b"{", b"["):  # JSON that is incomplete
        return ""
    text = cut(content[: 2 * _MAX_TEXT].decode("utf-8", "replace"), _MAX_TEXT)
    if text.startswith("<?xml") and "<html" not in text.lower():
        field = _XML_FIELD.search(text)
        return field[1] if field else ""
    return _MARKUP.sub(" ", text).partition("{")[0]  # what follows is JSON, with fields of any kind


def cut(text: str, length: int) -> str:
    """Returns the first characters of a text, without a word, a key or an escape at the end that may be incomplete."""
    return text if len(text) <= length else _ASCII_RUN.sub("", text[:length])


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
    body, _ = _parse(content)
    for path in paths:
        word = at(body, path)
        if word and type(word) in (str, int) and len(str(word)) <= 128:
            yield str(word)


def _parse(content: bytes) -> tuple[Any, bool]:
    return parse(content) if len(content) <= _MAX_JSON else (None, False)


def _message(body: Any, depth: int = 0) -> str:
    """Returns the message in a body, or in a part of it."""
    if isinstance(body, str):
        inner, is_json = parse(body.encode()) if body[:1] == "{" else (None, False)  # the body of another server
        return _message(inner, depth + 1) if is_json else body
    if depth > 3:
        return ""
    if is_array(body):
        return "; ".join(filter(None, (_message(part, depth + 1) for part in body[:5])))
    fields = {name.lower(): value for name, value in body.items()} if is_object(body) else {}
    for name in _MESSAGE_FIELDS:
        if said := _message(fields.get(name), depth + 1):
            return f"{_place(fields['loc'])}{said}" if name == "msg" and is_array(fields.get("loc")) else said
    return ""


def _place(location: list[Any]) -> str:
    """Returns FastAPI's name for the field that an error is about."""
    steps = [str(step) for step in location[:6] if isinstance(step, int) or _FIELD_NAME.fullmatch(str(step))]
    return f"{'.'.join(steps)}: " if steps else ""
