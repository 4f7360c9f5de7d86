"""Masks secrets in the words of a server, in any case and in the encodings in which servers quote a request."""

import html
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from urllib.parse import unquote

from hosted_rerank._text import has_surrogates, replace_surrogates

MASK = "\ue000"
"""Stands for a secret until a message is shown: a private character, which no key and no word has."""
TEXT_MASK = "\ue001"
"""Stands for a text of the request, likewise."""

_MAX_LEVELS = 8
"""Encodings of encodings that are undone; a message with more of them is not shown."""
_MAX_BODY = 1 << 20
"""Maximum bytes of a body in which secrets are looked for."""
_MIN_LENGTH = 8
"""A shorter secret protects nothing, and may be a word or a number of any message ("none", "EMPTY", "1")."""
_MIN_SHORT_LENGTH = 4
"""A secret of fewer characters is never masked; one of this length is, if it is neither a word nor a number."""
_MAX_WORD_LENGTH = 20
"""Letters of the longest secret that may be a word of a message."""
_ESCAPE = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|[nrtbfv]|([\"'/\\]))")


def mask_secrets(said: str, secrets: Iterable[str]) -> str:
    """Returns a message decoded, on one line, with `MASK` in place of each secret.

    A secret of letters alone, or of less than eight characters, may be a word of the message: it is masked as a whole
    word only, and not at all if it is both.

    Args:
        said: The message.
        secrets: API keys, and other values that only the caller and the server know.

    Returns:
        The message; empty if it is encoded too many times over.
    """
    secrets = tuple(secrets)
    pattern = _pattern(secrets)
    said = decode_fully(said, (lambda part: pattern.sub(MASK, part)) if pattern is not None else str)
    return _mask_start(_one_line(said), secrets)


def mask_verbatim(content: bytes, secrets: Iterable[str]) -> bytes:
    """Returns a body with `[key]` for each secret; empty if it has one in another encoding, or is very long.

    Args:
        content: The body.
        secrets: As for `mask_secrets`.
    """
    secrets = tuple(secrets)
    pattern = _pattern(secrets)
    if pattern is None:
        return content
    said = content[: _MAX_BODY + 1].decode("utf-8", "replace")
    masked = pattern.sub("[key]", said)
    if len(content) > _MAX_BODY or MASK in mask_secrets(masked, secrets):
        return b""
    return content if masked == said else masked.encode()


def decode_fully(text: str, mask: Callable[[str], str] = str) -> str:
    """Returns a text without the escapes of JSON, Python, HTML and URLs.

    Args:
        text: The text.
        mask: Is applied to the text before each level of escapes is undone, and at last.

    Returns:
        The text; empty if it is encoded too many times over.
    """
    for _ in range(_MAX_LEVELS):
        text = mask(text)
        decoded = _decode(text)
        if decoded == text:
            return text
        text = decoded
    return ""


def _decode(text: str) -> str:
    """Returns a text without one level of escapes."""
    if "\\" not in text and "&" not in text and "%" not in text:
        return text
    text = _ESCAPE.sub(_unescaped, text)
    return unquote(html.unescape(replace_surrogates(text) if has_surrogates([text]) else text))


def _one_line(said: str) -> str:
    """Returns a message with one space for whatever is not printable."""
    if said.isprintable():
        return " ".join(said.split())
    return " ".join("".join(c if c.isprintable() or c in (MASK, TEXT_MASK) else " " for c in said).split())


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else found[3] or " "


@lru_cache(maxsize=64)
def _pattern(secrets: Sequence[str]) -> re.Pattern[str] | None:
    """Returns what finds the secrets; `None` if there is none to find."""
    parts = {part for secret in secrets for form in {secret, decode_fully(secret)} for part in _parts(form)}
    return re.compile("|".join(sorted(parts, key=len, reverse=True)), re.IGNORECASE) if parts else None


def _parts(secret: str) -> Iterator[str]:
    """Yields patterns of a secret: itself, and what base64 makes of it, which Basic authentication sends."""
    if len(secret) < (_MAX_WORD_LENGTH if secret.isalpha() else _MIN_LENGTH):
        if len(secret) >= (_MIN_LENGTH if secret.isalpha() or secret.isdecimal() else _MIN_SHORT_LENGTH):
            yield rf"(?<!\w){re.escape(secret)}(?!\w)"
        return
    yield re.escape(secret)
    for each in _base64(secret):
        yield re.escape(each)
    if password := _password(secret):
        yield from _parts(password)


def _base64(secret: str) -> Iterator[str]:
    """Yields what is the same in the base64 of every text with the secret in it, in both alphabets."""
    data = secret.encode("utf-8", "replace")
    for before in range(3):
        encoded = b64encode(bytes(before) + data).decode().rstrip("=")
        start = (before * 8 + 5) // 6
        stop = (before + len(data)) * 8 // 6
        for altered in {encoded[start:stop], encoded[start:stop].replace("+", "-").replace("/", "_")}:
            if len(altered) >= _MIN_LENGTH:
                yield altered


def _password(secret: str) -> str | None:
    """Returns the password in the base64 of a user name and a password; `None` if the secret is something else."""
    try:
        user, colon, password = b64decode(secret, validate=True).decode().partition(":")
    except ValueError:
        return None
    return password if user.isprintable() and colon and password.isprintable() else None


def _mask_start(said: str, secrets: Iterable[str]) -> str:
    """Returns a message with a mask for the start of a secret at its end, where a server has cut it."""
    lowered = said.lower()
    for secret in secrets:
        start = secret[:_MIN_LENGTH].lower()
        for length in range(len(secret) - 1, _MIN_LENGTH - 1, -1) if start in lowered else ():
            if lowered.endswith(secret[:length].lower()):
                return said[:-length] + MASK
    return said
