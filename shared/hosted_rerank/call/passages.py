"""Passages of long documents: a model scores each passage, and a document has the score of its best one.

(MaxP: Dai and Callan, "Deeper Text Understanding for IR with Contextual Neural Language Modeling", SIGIR 2019.)
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hosted_rerank._text import BYTES_PER_TOKEN, is_blank
from hosted_rerank.call.call_options import CallOptions
from hosted_rerank.errors import InvalidRequestError
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.wire import Call

OVERLAP = 1 / 4
"""The largest share of a passage that the next one repeats, so that what stands at a cut is whole in one of them."""
_LEAST_SHARE = 1 / 4
"""The share of the model's limit that is left to a passage beside a long query."""

_SENTENCE_END = re.compile(r"(?<=[.!?…][\"')\]])\s+|(?<=[.!?…])\s+|(?<=[。！？])|\n\s*")  # noqa: RUF001 - Chinese marks
_WORD_END = re.compile(r"\s+")

_DOCUMENT_LENGTHS = ("max_tokens_per_doc", "max_doc_length", "truncate_input_tokens", "truncate_prompt_tokens")
"""The options of APIs that say how many tokens of a document are read."""


class Span(NamedTuple):
    """The place of a passage in the caller's text, in characters."""

    start: int
    end: int


def check_long_documents(endpoint: Endpoint, options: CallOptions) -> None:
    """Checks that a model can be asked for passages.

    Args:
        endpoint: The endpoint, with the model.
        options: The options of the call.

    Raises:
        InvalidRequestError: Passages are wanted, and the model is listwise, or its limit is unknown.
    """
    if options.long_documents != "passages":
        return
    name = endpoint.provider.name
    if endpoint.facts.listwise:
        raise InvalidRequestError(
            f"long_documents='passages' is not for {name}'s {endpoint.model}, which is listwise: passages of one"
            " document would compete with each other: leave it out, or use another model",
            provider=name,
        )
    if options.passage_chars is None and _document_tokens(endpoint) is None:
        raise InvalidRequestError(
            f"long_documents='passages' needs passage_chars= for {name}'s {endpoint.model or 'model'}: nobody states"
            " how much of a document it reads",
            provider=name,
        )


def cut_passages(endpoint: Endpoint, options: CallOptions, call: Call, text: str) -> Sequence[Span]:
    """Returns the passages of a document; none if the model reads all of it.

    Args:
        endpoint: The endpoint, with the model.
        options: The options of the call, which `check_long_documents` has checked.
        call: The call, whose query and instruction share the model's limit.
        text: The document.
    """
    size = options.passage_chars or _passage_chars(_document_tokens(endpoint) or 0, call, text)
    if len(text) <= size:
        return ()
    stripped = (_strip(text, *span) for span in _windows(text, size))
    return [span for span in stripped if not is_blank(text[slice(*span)])]


def long_document_remedy(endpoint: Endpoint, options: CallOptions) -> str:
    """Returns what to do about a document that is too long.

    Args:
        endpoint: The endpoint, with the model.
        options: The options of the call.
    """
    if options.long_documents == "passages":
        return "set a smaller passage_chars"
    if endpoint.facts.listwise:
        return "shorten it, or pass max_document_chars="
    size = "" if _document_tokens(endpoint) else " with passage_chars="
    return f"shorten it, or pass max_document_chars=, or long_documents='passages'{size} to score its passages"


def _document_tokens(endpoint: Endpoint) -> int | None:
    """Returns the tokens that the model reads of a document with its query; `None` if nobody states them."""
    set_by_caller = [
        value
        for name, value in endpoint.options.items()
        if name.rpartition(".")[2] in _DOCUMENT_LENGTHS and type(value) is int and value > 0
    ]
    api_limit = min(set_by_caller, default=endpoint.provider.max_document_tokens)
    limits = (endpoint.facts.max_document_tokens, api_limit)
    return min((limit for limit in limits if limit is not None), default=None)


def _passage_chars(tokens: int, call: Call, text: str) -> int:
    """Returns the characters of a document that fit beside the query, by an estimate on the safe side."""
    limit = tokens * BYTES_PER_TOKEN
    query = len(call.query.encode()) + len((call.instruction or "").encode())
    left = max(limit - query, limit * _LEAST_SHARE)
    return max(1, int(left * len(text) / max(1, len(text.encode()))))


def _windows(text: str, size: int) -> Iterator[Span]:
    """Yields passages of at most `size` characters that overlap; the last one is about as long as the others."""
    start, overlap = 0, int(size * OVERLAP)
    while len(text) - start > size:
        end = _last_break(text, start + size // 2 + 1, start + size)
        yield Span(start, end)
        start = _first_break(text, end - overlap, end)
    yield Span(min(start, _first_break(text, len(text) - size, len(text))), len(text))


def _last_break(text: str, low: int, high: int) -> int:
    """Returns the last end of a sentence between two places, else of a word, else the second place."""
    for pattern in (_SENTENCE_END, _WORD_END):
        if found := [match.end() for match in pattern.finditer(text, low, high)]:
            return found[-1]
    return high


def _first_break(text: str, low: int, high: int) -> int:
    """Returns the first end of a sentence between two places, else of a word, else the first place."""
    for pattern in (_SENTENCE_END, _WORD_END):
        if (match := pattern.search(text, low, high)) and match.end() < high:
            return match.end()
    return low


def _strip(text: str, start: int, end: int) -> Span:
    """Returns a place without the white space around it."""
    passage = text[start:end]
    return Span(end - len(passage.lstrip()), start + len(passage.rstrip()))
