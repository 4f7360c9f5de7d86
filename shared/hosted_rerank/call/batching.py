"""Checks a call and cuts its documents into batches, before anything is sent.

A batch holds the documents of one request. Blank documents are in no batch, and equal documents are sent once. The size
of a batch is limited by `batch_size`, by the provider's limits on documents, bytes and tokens, and by the largest batch
that the API has accepted so far.
"""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from hosted_rerank._validation import check_count, check_list, check_sequence
from hosted_rerank.call.call_options import CallOptions
from hosted_rerank.errors import InvalidRequestError
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.wire import Call, DocumentIndex, TextIndex

_BYTES_PER_TOKEN = 3
"""Estimates the tokens of a text, on the safe side: English has about 4 bytes per token, Chinese 3."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The documents of one request."""

    text_indices: Sequence[TextIndex]
    """The texts, by `RequestIndex`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked call: the texts to score, and the documents in the caller's list that they belong to."""

    endpoint: Endpoint
    call_options: CallOptions
    call: Call = field(repr=False)
    texts: Sequence[str] = field(repr=False)
    """The texts to send, by `TextIndex`."""
    document_indices: Sequence[DocumentIndex]
    """The first document with each text, by `TextIndex`."""
    copies: Mapping[TextIndex, Sequence[DocumentIndex]]
    """The other documents with the same text."""
    blanks: Sequence[DocumentIndex]
    """The blank documents, which are not sent."""

    @property
    def all_texts(self) -> Sequence[TextIndex]:
        """Returns the indices of all texts."""
        return cast("Sequence[TextIndex]", range(len(self.texts)))

    def documents_with(self, text: TextIndex) -> Sequence[DocumentIndex]:
        """Returns the documents that have a text, in input order."""
        return (self.document_indices[text], *self.copies.get(text, ()))

    @property
    def top_n(self) -> int | None:
        """Returns the number of results to return; `None` for all."""
        return self.call.top_n

    @property
    def listwise(self) -> bool:
        """Returns whether the model's scores are comparable only within one request."""
        return bool(self.endpoint.model) and str(self.endpoint.model).startswith(self.endpoint.provider.listwise_models)

    @property
    def may_split(self) -> bool:
        """Returns whether the documents may be sent in several requests."""
        return not self.listwise or self.call_options.batch_size is not None

    def cut(self, text_indices: Sequence[TextIndex], largest: int | None = None) -> list[Batch]:
        """Returns texts as batches of about the same size, within all limits.

        Args:
            text_indices: The texts to send.
            largest: Documents of the largest batch that the API may accept; `None` if it refused none.

        Raises:
            InvalidRequestError: The texts need several requests, and the model is listwise.
        """
        provider, batch_size = self.endpoint.provider, self.call_options.batch_size
        max_documents = min(batch_size or provider.max_documents or len(text_indices), largest or len(text_indices))
        if len(text_indices) <= max_documents and provider.max_bytes is None and provider.max_tokens is None:
            return [Batch(text_indices)] if text_indices else []
        batches = [Batch(part) for part in self._parts(text_indices, max_documents)]
        if len(batches) > 1:
            self._check_may_split(len(text_indices), len(batches))
            self._check_unicode(text_indices)
        return batches

    def _parts(self, text_indices: Sequence[TextIndex], max_documents: int) -> Iterator[Sequence[TextIndex]]:
        """Yields the texts in parts within all limits."""
        count = math.ceil(len(text_indices) / max_documents)
        for number in range(count):
            part = text_indices[len(text_indices) * number // count : len(text_indices) * (number + 1) // count]
            yield from self._parts_by_size(part)

    def _parts_by_size(self, text_indices: Sequence[TextIndex]) -> Iterator[Sequence[TextIndex]]:
        """Yields the texts in parts within the limits on bytes and tokens; a longer text is a part of its own."""
        provider = self.endpoint.provider
        max_bytes, max_tokens = provider.max_bytes or math.inf, provider.max_tokens or math.inf
        if max_bytes == max_tokens == math.inf:
            yield text_indices
            return
        query = _size(self.call.query) + _size(self.call.instruction or "")
        start = size = 0
        for position, text in enumerate(text_indices):
            added = _size(self.texts[text]) + 8  # quotes, a comma, a few escapes
            tokens = (size + added + (position - start + 1) * query) / _BYTES_PER_TOKEN
            if position > start and (query + size + added > max_bytes or tokens > max_tokens):
                yield text_indices[start:position]
                start, size = position, 0
            size += added
        yield text_indices[start:]

    def _check_may_split(self, documents: int, requests: int) -> None:
        """Warns if the documents of a listwise model are split by `batch_size`; raises if they exceed a limit."""
        if not self.listwise:
            return
        model = (
            f"{self.endpoint.provider.name}'s {self.endpoint.model} is listwise: its scores are comparable only within"
            " one"
        )
        if self.call_options.batch_size is None:
            raise InvalidRequestError(
                f"{model} request, and {documents} documents need {requests}: pass fewer documents, or set"
                " batch_size= to split them nevertheless",
                provider=self.endpoint.provider.name,
            )
        if self.endpoint.model not in _WARNED:
            _WARNED.add(str(self.endpoint.model))
            warnings.warn(f"{model} request, and batch_size= makes {requests} of this call", stacklevel=6)

    def _check_unicode(self, text_indices: Sequence[TextIndex]) -> None:
        """Raises the error for a text that is not valid Unicode, before any text is sent."""
        for index in text_indices:
            if not self.texts[index].isascii() and (problem := self._unicode_problem([index])):
                raise InvalidRequestError(problem, provider=self.endpoint.provider.name)

    def encoding_error(self, text_indices: Sequence[TextIndex]) -> InvalidRequestError:
        """Returns the error for a request that cannot be written as JSON."""
        problem = self._unicode_problem(text_indices) or (
            "options or extra_body hold a value that is not JSON serializable: pass str, int, float, bool, list, dict"
        )
        return InvalidRequestError(problem, provider=self.endpoint.provider.name)

    def _unicode_problem(self, text_indices: Sequence[TextIndex]) -> str | None:
        """Returns which text is not valid Unicode, and the remedy; `None` if all texts are valid."""
        texts = {"query": self.call.query, "instruction": self.call.instruction or ""}
        texts |= {f"documents[{self.document_indices[index]}]": self.texts[index] for index in text_indices}
        for name, text in texts.items():
            try:
                text.encode()
            except UnicodeEncodeError:
                return f"{name} is not valid Unicode (a lone surrogate): use text.encode('utf-8', 'replace').decode()"
        return None


_WARNED: set[str] = set()
"""The listwise models for which a warning was given."""


def plan(endpoint: Endpoint, call_options: CallOptions, call: Call) -> Plan:
    """Returns a checked call.

    Args:
        endpoint: Where the call is sent.
        call_options: The options of the call.
        call: The query and the documents.

    Raises:
        InvalidRequestError: An argument has an impossible value.
        TypeError: An argument has the wrong type.
    """
    _check(call)
    endpoint.check_instruction(call.instruction)
    documents, max_chars = call.documents, call_options.max_document_chars
    blank = _any_blank(documents)
    if max_chars is not None:
        documents = [text[:max_chars] for text in documents]
        blank = _any_blank(documents)
    texts: Sequence[str] = documents if isinstance(documents, list) else list(documents)
    document_indices = cast("Sequence[DocumentIndex]", range(len(texts)))
    blanks: Sequence[DocumentIndex] = ()
    distinct = set(texts) if call_options.dedupe else None
    if blank or "" in (texts if distinct is None else distinct):
        blanks = [DocumentIndex(index) for index, text in enumerate(documents) if not text or text.isspace()]
        document_indices = [DocumentIndex(index) for index, text in enumerate(documents) if text and not text.isspace()]
        texts = [documents[index] for index in document_indices]
        distinct = set(texts) if call_options.dedupe else None
    copies: dict[TextIndex, list[DocumentIndex]] = {}
    if distinct is not None and len(distinct) < len(texts):
        texts, document_indices, copies = _unique(texts, document_indices)
    return Plan(endpoint, call_options, call, texts, document_indices, copies, blanks)


def _any_blank(documents: Sequence[str]) -> bool:
    """Returns whether a document is white space only, but not empty. Checks the types too, in one fast loop.

    Raises:
        TypeError: A document is not a str.
    """
    try:
        if not any(map(str.isspace, documents)):
            return False
    except TypeError:
        pass  # check_list names the document
    check_list("documents", documents, str)
    return True


def _unique(
    texts: Sequence[str], document_indices: Sequence[DocumentIndex]
) -> tuple[list[str], list[DocumentIndex], dict[TextIndex, list[DocumentIndex]]]:
    """Returns each text once, the first document with it, and the other documents with it."""
    text_indices: dict[str, TextIndex] = {}
    first: list[DocumentIndex] = []
    copies: dict[TextIndex, list[DocumentIndex]] = {}
    for text, document in zip(texts, document_indices, strict=True):
        index = text_indices.setdefault(text, TextIndex(len(first)))
        if index == len(first):
            first.append(document)
        else:
            copies.setdefault(index, []).append(document)
    return list(text_indices), first, copies


def _check(call: Call) -> None:
    """Raises the error for an argument that an API would refuse or misunderstand."""
    query: Any = call.query
    if not isinstance(query, str):
        raise TypeError(f"query must be a str, not {type(query).__name__}")
    if not query.strip():
        raise InvalidRequestError("query is blank: pass the text to compare the documents with")
    check_sequence("documents", call.documents)
    if call.top_n is not None:
        check_count("top_n", call.top_n, least=1)


def _size(text: str) -> int:
    """Returns the bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
