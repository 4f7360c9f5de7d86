"""Makes the words of a server short and safe to show: without texts, secrets and control characters.

The words may quote the request with any escaping, and they may contain escape sequences for the terminal that prints
them.
"""

import re
from collections.abc import Iterable, Sequence

from hosted_rerank._masking import MASK, TEXT_MASK, decode_fully, mask_secrets
from hosted_rerank.call.error_body import cut, error_message

MAX_SHOWN = 300
"""Maximum characters of a message that an error shows."""

_MAX_SEARCHED = 8 * MAX_SHOWN
"""Maximum characters of a message that are searched for texts and secrets."""
_SHOWN = {MASK: "[key]", TEXT_MASK: "[...]"}
_WORD = re.compile(r"[^\W\u3040-\u30ff\u3400-\u9fff]+|[\u3040-\u30ff\u3400-\u9fff]")
"""A word; in Chinese and Japanese, which have no spaces, a character."""
_WORD_OR_MASK = re.compile(rf"{_WORD.pattern}|[{MASK}{TEXT_MASK}]")
"""A mask is a word that no text has, so that nothing around it counts as one quotation."""


def redact_error_body(content: bytes, texts: Sequence[str] = (), secrets: Iterable[str] = ()) -> str:
    """Returns the message in the body of an error response as `redact` shows it.

    Args:
        content: The body of the response.
        texts: The query, the instruction and the documents of the request.
        secrets: The API key of the request, and other secrets.
    """
    return redact(error_message(content), texts, secrets)


def redact(said: str, texts: Sequence[str] = (), secrets: Iterable[str] = ()) -> str:
    """Returns the words of a server without texts, secrets and control characters; what is redacted stays the same.

    Args:
        said: The words.
        texts: The query, the instruction and the documents of the request.
        secrets: The API key of the request, and other secrets.

    Returns:
        At most `MAX_SHOWN` characters.
    """
    line = _masked(cut(said, _MAX_SEARCHED), texts, secrets)
    for mask, shown in _SHOWN.items():
        line = line.replace(mask, shown)
    return line if len(line) <= MAX_SHOWN else cut(line, MAX_SHOWN).rstrip() or line[:MAX_SHOWN]


def repeats_request(word: str, texts: Sequence[str], secrets: Iterable[str]) -> bool:
    """Returns whether a word of a server has a secret or a text of the request in it.

    Args:
        word: The word, such as an id.
        texts: The query, the instruction and the documents of the request.
        secrets: The API key of the request, and other secrets.
    """
    masked = _masked(word, texts, secrets)
    return not masked or any(mask in masked for mask in _SHOWN)


def _masked(said: str, texts: Sequence[str], secrets: Iterable[str]) -> str:
    """Returns a message decoded, with a private character for each secret and each quotation of a text."""
    for mask, shown in _SHOWN.items():
        said = said.replace(mask, " ").replace(shown, mask)  # the message may be redacted already
    return _mask_texts(mask_secrets(said, secrets), texts)


def _mask_texts(said: str, texts: Sequence[str]) -> str:
    """Returns a message with its quotations of `texts` masked: runs of the same words, with anything between them.

    It stops when the result is long enough, because each search through megabytes of documents takes milliseconds.
    """
    words = list(_WORD_OR_MASK.finditer(said)) if texts else []
    if not words:
        return said
    quotable = [*texts, *(plain for text in texts if (plain := decode_fully(text)) != text)]
    everything = _words("\0".join(quotable))
    wholes = {_words(text) for text in quotable if len(text) <= _MAX_SEARCHED}
    kept, shown, at = "", 0, 0  # the result so far, and the characters and words that were read
    while at < len(words):
        start = words[at].start()
        if len(kept) + start - shown > MAX_SHOWN:
            return kept + said[shown:start]
        end = _quoted(words, at, everything, wholes)
        if end > at:
            kept += said[shown:start] + TEXT_MASK
            shown = words[end - 1].end()
        at = max(end, at + 1)
    return kept + said[shown:]


def _words(text: str) -> str:
    """Returns the words of a text in lower case, with one space between them."""
    return " ".join(_WORD.findall(text)).lower()


def _quoted(words: Sequence[re.Match[str]], at: int, everything: str, wholes: set[str]) -> int:
    """Returns the end of the longest quotation that starts with word `at`; `at` if there is none.

    A quotation is three words in a row, twenty characters, or a whole text of at least four characters. Its first and
    last word may be parts of words, because a quotation can be cut anywhere.
    """
    longest, run = at, ""
    for end in range(at + 1, len(words) + 1):
        run = f"{run} {words[end - 1].group().lower()}".lstrip()
        if run not in everything:
            break
        if (end - at >= 3 and len(run) >= 12) or len(run) >= 20 or (len(run) >= 4 and run in wholes):
            longest = end
    return longest
