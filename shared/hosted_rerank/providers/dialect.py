"""What the JSON of a rerank API looks like: the names and paths of its fields, as data.

A path in a request is dotted where the API nests (`query="query.text"`), and a number in it is a position in an array
(`query="queries.0"`). A path in a response is alike (`results="output.results"`). The empty path is the whole value:
`results=""` is for an API whose response body is an array. `None` means that the API has no such field.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from hosted_rerank.errors import MalformedResponseError
from hosted_rerank.providers.document_parts import TEXT_ONLY, DocumentParts, Parts
from hosted_rerank.providers.json_path import (
    at,
    copy_with,
    explain_not_json,
    is_array,
    is_object,
    parse,
    put,
    without,
)
from hosted_rerank.providers.prompt import Prompt
from hosted_rerank.providers.ranking import Ranking, result_extras, usage_of
from hosted_rerank.providers.score_decoding import decode_scores
from hosted_rerank.response import Usage

OptionType: TypeAlias = type | tuple[str, ...]
"""The type of an optional field: `str`, `int`, `float`, `bool`, `dict`, `list`, or a tuple of the allowed strings."""

NO_ECHO = {"return_documents": False}
"""The field that keeps most APIs from repeating the documents in a response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The wire format of a rerank API. The defaults are the most common format, that of Cohere and Jina.

    Args:
        model: The path of the model in a request.
        query: The path of the query in a request.
        documents: The path of the list of documents in a request.
        document: The path of the text in a document; empty if a document is a string.
        document_fields: Other fields of each document, by path.
        document_query: The path of the query in a document, for an API of pairs: "0" if a pair is `[query, text]`.
        document_id: The path, in a document, of an id that the request chooses; a result repeats the id at `index`.
        document_parts: What the API takes of documents of several parts, such as images and fields.
        document_count: The path of the number of documents in a request.
        prompt: The prompt template of an API that takes prompts in place of documents.
        top_n: The path of the number of results in a request.
        always_send_top_n: Whether a request for all results sends `top_n`, because the API returns fewer without it.
        instruction: The path of the instruction in a request.
        static_fields: Fields of every request, by path, such as the one that keeps the API from repeating documents.
        options: The optional fields that a caller may set, by path, each with its type.
        refused_options: Fields that the API has and that are refused here, by path, each with the reason.
        allows_extra_fields: Whether the API ignores unknown fields, so that a caller may pass any as `extra_body`.
        results: The path of the list of results in a response.
        index: The path of the document's position in a result; `None` if results are in the order of the documents.
        score: The path of the score in a result.
        default_score: The score of a result that has none; `None` if such a result is malformed.
        usage: The paths, in a response, of counts and of objects of counts.
        id: The path, in a response, of its id.
        served_model: The path, in a response, of the model that answered.
        error: The path of the message in an error response, empty if the body is the message. Only the local server
            uses it; a client understands the error format of every provider.
        next_page: The path of the next page's token, in a response and in the request of that page.
    """

    model: str | None = "model"
    query: str | None = "query"
    documents: str = "documents"
    document: str = ""
    document_fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    document_query: str | None = None
    document_id: str | None = None
    document_parts: DocumentParts = TEXT_ONLY
    document_count: str | None = None
    prompt: Prompt | None = None
    top_n: str | None = "top_n"
    always_send_top_n: bool = False
    instruction: str | None = None
    static_fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    options: Mapping[str, OptionType] = field(default_factory=dict[str, OptionType])
    refused_options: Mapping[str, str] = field(default_factory=dict[str, str])
    allows_extra_fields: bool = False
    results: str = "results"
    index: str | None = "index"
    score: str = "relevance_score"
    default_score: float | None = None
    usage: tuple[str, ...] = ("usage",)
    id: str = "id"
    served_model: str = "model"
    error: str = "error.message"
    next_page: str | None = None

    @property
    def takes_instruction(self) -> bool:
        """Whether a request can carry an instruction."""
        return self.instruction is not None or self.prompt is not None

    def encode(
        self,
        query: str,
        documents: Sequence[str],
        *,
        model: str | None,
        top_n: int | None,
        instruction: str | None,
        options: Mapping[str, Any],
    ) -> bytes:
        """Returns the JSON body of a request: only fields that the API has, and no nulls.

        Args:
            query: The query.
            documents: The texts of the documents.
            model: The id of the model; `None` for the API's own choice.
            top_n: The number of results to return; `None` for all.
            instruction: The instruction; `None` for none.
            options: Values of optional fields, by path.

        Raises:
            TypeError: An option is not JSON.
        """
        body: dict[str, Any] = {}
        call_fields = (
            (self.document_count, len(documents)),
            (self.model, model),
            (self.query, query),
            (self.documents, self._encode_documents(query, documents, instruction)),
            (self.top_n, len(documents) if top_n is None and self.always_send_top_n else top_n),
            (self.instruction, instruction),
            *self._parts_beside(documents),
        )
        for path, value in (*self.static_fields.items(), *call_fields, *options.items()):
            if path is not None and value is not None:
                put(body, path, value)
        return orjson.dumps(body)

    def _encode_documents(self, query: str, documents: Sequence[str], instruction: str | None) -> Sequence[Any]:
        """Returns the documents in the format of the API."""
        if self.prompt is not None:
            return [self.prompt.write(query, text, instruction) for text in documents]
        has_parts = self.document_parts is not TEXT_ONLY and Parts in {*map(type, documents)}
        if not self.document and not has_parts:
            return documents
        return [self._encode_document(query, place, text) for place, text in enumerate(documents)]

    def _encode_document(self, query: str, place: int, text: str) -> Any:
        """Returns a document that is an object or a pair, or has parts."""
        own: tuple[str, Any] = (self.document, text)
        fields, taken = self.document_fields, self.document_parts
        if isinstance(text, Parts) or taken.alike:
            parts = text.parts if isinstance(text, Parts) else {"text": text}
            own, fields = (taken.path, taken.encode(parts)), taken.fields
        item: Any = None
        for path, value in (own, *fields.items(), (self.document_id, str(place)), (self.document_query, query)):
            if path is not None:
                item = copy_with(item, path, value)
        return item

    def _parts_beside(self, documents: Sequence[str]) -> Iterator[tuple[str, list[Any]]]:
        """Yields the lists of parts that stand beside the documents, by path."""
        for name, path in self.document_parts.beside.items():
            values = [text.parts.get(name, "") if isinstance(text, Parts) else "" for text in documents]
            if any(values):
                yield path, values

    def next_page_request(self, content: bytes, page: str) -> bytes:
        """Returns the body of the request for the next page.

        Args:
            content: The body of the request for the page before.
            page: The token of the next page.
        """
        body: dict[str, Any] = orjson.loads(content)
        put(body, self.next_page or "", page)
        return orjson.dumps(body)

    def decode(
        self, content: bytes, *, sent: int, top_n: int | None, earlier: Mapping[int, float] | None = None
    ) -> Ranking:
        """Returns the ranking in the body of a successful response.

        Args:
            content: The body.
            sent: The number of documents in the request.
            top_n: The number of results that the request asked for; `None` for all.
            earlier: The scores in the pages before this one.

        Raises:
            MalformedResponseError: The body is not a consistent ranking of documents that were sent.
        """
        body, is_json = parse(content)
        if not is_json:
            raise MalformedResponseError(explain_not_json(content))
        results = at(body, self.results)
        if not is_array(results):
            place = f"under {self.results!r}" if self.results else "as its body"
            raise MalformedResponseError(f"there is no list of results {place}")
        scores = decode_scores(
            results,
            sent=sent,
            earlier=earlier or {},
            index=self.index,
            score=self.score,
            index_is_id=self.document_id is not None,
            default_score=self.default_score,
        )
        requested = min(sent, top_n or sent)
        complete = len(scores) in (requested, sent)  # some APIs take `top_n` and ignore it
        next_page = _text_or_none(at(body, self.next_page)) if self.next_page and results and not complete else None
        fine = complete or next_page
        incomplete = None if fine else f"{len(scores)} results came back, {requested} of {sent} were requested"
        if incomplete and self.index is None:  # nobody knows which documents the scores belong to
            raise MalformedResponseError(incomplete)
        model, response_id = _text_or_none(at(body, self.served_model)), _text_or_none(at(body, self.id))
        return Ranking(
            *(scores, self._decode_usage(body), model, response_id, next_page, incomplete),
            extra=without(body, self.results) if is_object(body) else {},
            result_extras=result_extras(results, list(scores)[len(earlier or ()) :], self.index, self.score),
        )

    def _decode_usage(self, body: Any) -> Usage:
        """Returns the counts in a response; it leaves out values that are not numbers, and never fails."""
        counts: dict[str, Any] = {}
        for path in self.usage:
            value = at(body, path)
            counts |= value if is_object(value) else {path.rpartition(".")[2]: value}
        return usage_of(counts)


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
