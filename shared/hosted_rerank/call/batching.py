"""Checks a call before anything is sent: blank documents are in no batch, and equal documents are sent once.

A batch holds the documents of one request; `batch_sizes` decides how many.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from hosted_rerank._validation import check_count, check_list, check_sequence
from hosted_rerank.call.call_options import CallOptions
from hosted_rerank.errors import InvalidRequestError, SizeRefusal
from hosted_rerank.limits.learned_sizes import SizeLimit
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

    def check_unicode(self, text_indices: Sequence[TextIndex]) -> None:
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
