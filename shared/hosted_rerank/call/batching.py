"""A call checked and cut into batches, before anything is sent.

A batch is the documents of one request. Blank documents are in none, and equal ones are in one of them once. How many a
batch holds is decided here: what the caller says (`batch_size`), what the provider's row says of documents, bytes and
tokens, and what the API was seen to refuse.
"""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from hosted_rerank._validation import check_count, check_list, check_sequence
from hosted_rerank.errors import InvalidRequestError
from hosted_rerank.limits.retry import RetryPolicy
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.wire import Call, DocumentIndex, TextIndex

CONCURRENCY = 1000
"""Requests under way at most, where the caller says nothing."""

_BYTES_OF_A_TOKEN = 3
"""What tokens are estimated by, on the safe side: English has some 4 bytes to a token, Chinese 3."""


@dataclass(frozen=True, slots=True)
class CallOptions:
    """The bounds on a call. Times are in seconds."""

    timeout: float = 30.0
    """For one attempt, from connecting to the last byte."""
    deadline: float | None = None
    """For the whole call, retries and waits included."""
    retry: RetryPolicy = RetryPolicy()
    batch_size: int | None = None
    """Documents of one request at most; `None` for the row's."""
    max_concurrency: int = CONCURRENCY
    """Requests under way at most, of all that ask the same model of the same host with the same key."""
    max_document_chars: int | None = None
    """Characters of a document that are sent at most."""
    dedupe: bool = True
    """Whether equal documents are sent once."""
    on_error: Literal["raise", "passthrough"] = "raise"
    """Whether an outage raises, or leaves the documents that it hit unscored and marked."""

    def __post_init__(self) -> None:
        for name, value in (("timeout", self.timeout), ("deadline", self.deadline)):
            if value is None and name == "deadline":
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive, finite number of seconds, not {value}")
        check_count("max_retries", self.retry.max_retries, least=0)
        check_count("max_concurrency", self.max_concurrency, least=1)
        for name in ("batch_size", "max_document_chars"):
            if (value := getattr(self, name)) is not None:
                check_count(name, value, least=1)
        if not isinstance(self.dedupe, bool):
            raise TypeError(f"dedupe must be a bool, not {type(self.dedupe).__name__}")
        if self.on_error not in ("raise", "passthrough"):
            raise ValueError("on_error must be 'raise' or 'passthrough'")

    def left(self, elapsed: float) -> float:
        """Return the seconds until the deadline; less than a millisecond is none."""
        return math.inf if self.deadline is None else max(0.0, self.deadline - elapsed - 0.001)


@dataclass(frozen=True, slots=True)
class Batch:
    """The documents of one request."""

    text_indices: Sequence[TextIndex]


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked call: what is to be scored, and for which document_indices of the caller's list."""

    endpoint: Endpoint
    call_options: CallOptions
    call: Call = field(repr=False)
    texts: Sequence[str] = field(repr=False)
    """What is sent, each once."""
    document_indices: Sequence[DocumentIndex]
    """Where each text stands first in the caller's list."""
    copies: Mapping[TextIndex, Sequence[DocumentIndex]]
    """Where else a text stands, by row."""
    blanks: Sequence[DocumentIndex]
    """Places of the documents without text, which are not sent."""

    @property
    def all_texts(self) -> Sequence[TextIndex]:
        """Returns the numbers of all texts."""
        return cast("Sequence[TextIndex]", range(len(self.texts)))

    @property
    def top_n(self) -> int | None:
        """How many results the caller wants."""
        return self.call.top_n

    @property
    def listwise(self) -> bool:
        """Whether the model's scores compare only within one request."""
        return bool(self.endpoint.model) and str(self.endpoint.model).startswith(self.endpoint.provider.listwise_models)

    @property
    def may_split(self) -> bool:
        """Whether documents may go in several requests."""
        return not self.listwise or self.call_options.batch_size is not None

    def cut(self, text_indices: Sequence[TextIndex], largest: int | None = None) -> list[Batch]:
        """Return text_indices as batches of about the same size, within every limit.

        Args:
            text_indices: What is to be sent.
            largest: The largest batch that the API was seen to take; `None` if none was refused yet.

        Raises:
            InvalidRequestError: They need several requests, and the model is listwise.
        """
        row, chosen = self.endpoint.provider, self.call_options.batch_size
        most = min(chosen or row.max_documents or len(text_indices), largest or len(text_indices))
        if len(text_indices) <= most and row.max_bytes is None and row.max_tokens is None:
            return [Batch(text_indices)] if text_indices else []
        batches = [Batch(part) for part in self._parts(text_indices, most)]
        if len(batches) > 1:
            self._check_may_split(len(text_indices), len(batches))
            self._check_unicode(text_indices)
        return batches

    def _parts(self, text_indices: Sequence[TextIndex], most: int) -> Iterator[Sequence[TextIndex]]:
        count = math.ceil(len(text_indices) / most)
        for number in range(count):
            part = text_indices[len(text_indices) * number // count : len(text_indices) * (number + 1) // count]
            yield from self._light_parts(part)

    def _light_parts(self, text_indices: Sequence[TextIndex]) -> Iterator[Sequence[TextIndex]]:
        """Yields the texts in parts within the limits; a text that exceeds them alone is a part of its own."""
        row = self.endpoint.provider
        most_bytes, most_tokens = row.max_bytes or math.inf, row.max_tokens or math.inf
        if most_bytes == most_tokens == math.inf:
            yield text_indices
            return
        query = _size(self.call.query) + _size(self.call.instruction or "")
        start = size = 0
        for place, at in enumerate(text_indices):
            more = _size(self.texts[at]) + 8  # quotes, a comma, a few escapes
            tokens = (size + more + (place - start + 1) * query) / _BYTES_OF_A_TOKEN
            if place > start and (query + size + more > most_bytes or tokens > most_tokens):
                yield text_indices[start:place]
                start, size = place, 0
            size += more
        yield text_indices[start:]

    def _check_may_split(self, documents: int, requests: int) -> None:
        """Refuse to split what a listwise model has to see at once, or warn of it if the caller insists."""
        if not self.listwise:
            return
        model = f"{self.endpoint.provider.name}'s {self.endpoint.model} is listwise: its scores compare only within one"
        if self.call_options.batch_size is None:
            raise InvalidRequestError(
                f"{model} request, and {documents} documents need {requests}: pass fewer documents, or batch_size= to"
                " split them nevertheless",
                provider=self.endpoint.provider.name,
            )
        if self.endpoint.model not in _WARNED:
            _WARNED.add(str(self.endpoint.model))
            warnings.warn(f"{model} request, and batch_size= makes {requests} of this call", stacklevel=6)

    def _check_unicode(self, text_indices: Sequence[TextIndex]) -> None:
        """Refuse a text that could not be sent before any of them is."""
        for row in text_indices:
            if not self.texts[row].isascii() and (wrong := self.not_unicode([row])):
                raise InvalidRequestError(wrong, provider=self.endpoint.provider.name)

    def unsendable(self, text_indices: Sequence[TextIndex]) -> InvalidRequestError:
        """Return the error for text_indices that cannot be written as JSON."""
        wrong = self.not_unicode(text_indices) or "options hold a value that is not JSON"
        return InvalidRequestError(wrong, provider=self.endpoint.provider.name)

    def not_unicode(self, text_indices: Sequence[TextIndex]) -> str | None:
        """Return which text cannot be sent and why, `None` if all can."""
        texts = {"query": self.call.query, "instruction": self.call.instruction or ""}
        texts |= {f"documents[{self.document_indices[row]}]": self.texts[row] for row in text_indices}
        for name, text in texts.items():
            try:
                text.encode()
            except UnicodeEncodeError:
                return f"{name} is not valid Unicode (a lone surrogate): use text.encode('utf-8', 'replace').decode()"
        return None


_WARNED: set[str] = set()
"""Listwise models whose users were warned."""


def plan(endpoint: Endpoint, call_options: CallOptions, call: Call) -> Plan:
    """Return a call, checked.

    Raises:
        InvalidRequestError: A value cannot be right.
        TypeError: A value is of the wrong kind.
    """
    _check(call)
    endpoint.check_instruction(call.instruction)
    documents, most = call.documents, call_options.max_document_chars
    blank = _some_blank(documents)
    if most is not None:
        documents = [text[:most] for text in documents]
        blank = _some_blank(documents)
    texts: Sequence[str] = documents if isinstance(documents, list) else list(documents)
    document_indices = cast("Sequence[DocumentIndex]", range(len(texts)))
    blanks: Sequence[DocumentIndex] = ()
    different = set(texts) if call_options.dedupe else None
    if blank or "" in (texts if different is None else different):
        blanks = [DocumentIndex(place) for place, text in enumerate(documents) if not text or text.isspace()]
        document_indices = [DocumentIndex(place) for place, text in enumerate(documents) if text and not text.isspace()]
        texts = [documents[place] for place in document_indices]
        different = set(texts) if call_options.dedupe else None
    copies: dict[TextIndex, list[DocumentIndex]] = {}
    if different is not None and len(different) < len(texts):
        texts, document_indices, copies = _unique(texts, document_indices)
    return Plan(endpoint, call_options, call, texts, document_indices, copies, blanks)


def _some_blank(documents: Sequence[str]) -> bool:
    """Whether a document is white space only. Refuses what is no str on the way: this is a loop in C."""
    try:
        if not any(map(str.isspace, documents)):
            return False
    except TypeError:
        pass  # said better below
    check_list("documents", documents, str)
    return True


def _unique(
    texts: Sequence[str], document_indices: Sequence[DocumentIndex]
) -> tuple[list[str], list[DocumentIndex], dict[TextIndex, list[DocumentIndex]]]:
    text_indices: dict[str, TextIndex] = {}
    first: list[DocumentIndex] = []
    copies: dict[TextIndex, list[DocumentIndex]] = {}
    for text, place in zip(texts, document_indices, strict=True):
        row = text_indices.setdefault(text, TextIndex(len(first)))
        if row == len(first):
            first.append(place)
        else:
            copies.setdefault(row, []).append(place)
    return list(text_indices), first, copies


def _check(call: Call) -> None:
    """Refuse what could only fail later, or be answered wrong."""
    query: Any = call.query
    if not isinstance(query, str):
        raise TypeError(f"query must be a str, not {type(query).__name__}")
    if not query.strip():
        raise InvalidRequestError("query is blank: there is nothing to compare documents with")
    check_sequence("documents", call.documents)
    if call.top_n is not None:
        check_count("top_n", call.top_n, least=1)


def _size(text: str) -> int:
    """The bytes of a text."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
