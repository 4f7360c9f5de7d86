"""Cuts the documents of a call into batches, before anything is sent.

A batch holds the documents of one request. Blank documents are in no batch, and equal documents are sent once. The size
of a batch is limited by `batch_size`, by the provider's limits on documents, bytes and tokens, and by the largest batch
that the API has accepted so far.
"""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from hosted_rerank._text import is_blank, may_have_blank
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
    """A call at one endpoint: the texts to score, and the documents in the caller's list that they belong to."""

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


_WARNED: set[str] = set()
"""The listwise models for which a warning was given."""


def plan(endpoint: Endpoint, call_options: CallOptions, call: Call) -> Plan:
    """Returns the plan of a call.

    Args:
        endpoint: Where the call is sent.
        call_options: The options of the call.
        call: The arguments, which `check_arguments` has checked.

    Raises:
        InvalidRequestError: The API cannot take the instruction.
    """
    endpoint.check_instruction(call.instruction)
    documents, max_chars = call.documents, call_options.max_document_chars
    if max_chars is not None:
        documents = [text[:max_chars] for text in documents]
    texts: Sequence[str] = documents if isinstance(documents, list) else list(documents)
    document_indices = cast("Sequence[DocumentIndex]", range(len(texts)))
    blanks: Sequence[DocumentIndex] = ()
    if may_have_blank(texts):
        blanks = [DocumentIndex(index) for index, text in enumerate(texts) if is_blank(text)]
        document_indices = [DocumentIndex(index) for index, text in enumerate(texts) if not is_blank(text)]
        texts = [texts[index] for index in document_indices]
    distinct = set(texts) if call_options.dedupe else None
    copies: dict[TextIndex, list[DocumentIndex]] = {}
    if distinct is not None and len(distinct) < len(texts):
        texts, document_indices, copies = _unique(texts, document_indices)
    return Plan(endpoint, call_options, call, texts, document_indices, copies, blanks)


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


def _size(text: str) -> int:
    """Returns the bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())
