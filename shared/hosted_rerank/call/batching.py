"""Plans a call before anything is sent: blank documents are in no batch, and equal documents are sent once.

A batch holds the documents of one request; `batch_sizes` decides how many.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from hosted_rerank._text import is_blank, may_have_blank
from hosted_rerank.call.call_options import CallOptions
from hosted_rerank.call.documents import prepare_documents
from hosted_rerank.call.passages import Span, check_long_documents, cut_passages
from hosted_rerank.errors import InvalidRequestError, SizeRefusal
from hosted_rerank.limits.learned_sizes import SizeLimit
from hosted_rerank.providers.document_parts import Parts
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.wire import Call, DocumentIndex, TextIndex


@dataclass(frozen=True, slots=True)
class Batch:
    """The documents of one request."""

    text_indices: Sequence[TextIndex]
    """The texts, by `RequestIndex`."""
    deferred: Sequence[TextIndex] = ()
    """Texts that are sent after this batch, because its outcome shows how large their requests may be."""
    refusal: SizeRefusal | None = None
    """Why the larger request was refused that this batch is a part of; `None` if there was none."""
    limit: SizeLimit | None = None
    """The limit that this batch tries out, as a part of a refused request."""


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
    spans: Mapping[tuple[DocumentIndex, str], Span] = field(default_factory=dict[tuple[DocumentIndex, str], Span])
    """The place of each text that is a passage of a document; empty if all documents are sent as they are."""

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
        return self.endpoint.facts.listwise is True

    @property
    def may_split(self) -> bool:
        """Returns whether the documents may be sent in several requests."""
        return not self.listwise or self.call_options.batch_size is not None

    def check_may_split(self, documents: int, requests: int) -> None:
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
        InvalidRequestError: The API cannot take the instruction, or the model no passages.
    """
    endpoint.check_instruction(call.instruction)
    check_long_documents(endpoint, call_options)
    documents = prepare_documents(endpoint, call, call_options.max_document_chars)
    texts: Sequence[str] = documents if isinstance(documents, list) else list(documents)
    document_indices = cast("Sequence[DocumentIndex]", range(len(texts)))
    blanks: Sequence[DocumentIndex] = ()
    if may_have_blank(texts):
        blanks = [DocumentIndex(index) for index, text in enumerate(texts) if is_blank(text)]
        document_indices = [DocumentIndex(index) for index, text in enumerate(texts) if not is_blank(text)]
        texts = [texts[index] for index in document_indices]
    spans: dict[tuple[DocumentIndex, str], Span] = {}
    if call_options.long_documents == "passages":
        texts, document_indices, spans = _expand(endpoint, call_options, call, texts, document_indices)
    distinct = set(texts) if call_options.dedupe else None
    copies: dict[TextIndex, list[DocumentIndex]] = {}
    if distinct is not None and len(distinct) < len(texts):
        texts, document_indices, copies = _unique(texts, document_indices)
    return Plan(endpoint, call_options, call, texts, document_indices, copies, blanks, spans)


def _expand(
    endpoint: Endpoint,
    options: CallOptions,
    call: Call,
    texts: Sequence[str],
    document_indices: Sequence[DocumentIndex],
) -> tuple[Sequence[str], Sequence[DocumentIndex], dict[tuple[DocumentIndex, str], Span]]:
    """Returns texts with passages in place of long ones, the document of each, and where in it a passage stands."""
    expanded: list[str] = []
    documents: list[DocumentIndex] = []
    spans: dict[tuple[DocumentIndex, str], Span] = {}
    for document, text in zip(document_indices, texts, strict=True):
        passages: dict[str, Span] = {}
        for span in cut_passages(endpoint, options, call, text) if not isinstance(text, Parts) else ():
            passages.setdefault(text[slice(*span)], span)
        spans |= {(document, passage): span for passage, span in passages.items()}
        expanded += passages or [text]
        documents += [document] * (len(passages) or 1)
    return (expanded, documents, spans) if spans else (texts, document_indices, spans)


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
