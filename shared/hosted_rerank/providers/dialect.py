"""How an API says a rerank: the names and paths of a call on the wire, as data.

A request path is dotted where the API nests (`query="query.text"`), and a number in it is a place in an array
(`query="queries.0"`). A reply path likewise (`results="output.results"`), and the empty path is the whole of what it
is looked for in (`results=""` for an API that answers with a bare array). `None` says that the API has no such field.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeAlias

import orjson

from hosted_rerank.errors import MalformedResponseError
from hosted_rerank.providers.json_path import at, is_array, is_object, parse, put
from hosted_rerank.response import Usage

Kind: TypeAlias = type | tuple[str, ...]
"""What an optional field takes: `str`, `int`, `float`, `bool`, `dict`, `list`, or the strings that are allowed."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one reply says: scores by position in the request's documents, and what the API adds."""

    scores: Mapping[int, float]
    usage: Usage
    model: str | None
    id: str | None
    next_page: str | None = None
    """What to ask for the rest with, from an API that answers in pages."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """How a reranker that is asked as a language model is asked: one prompt for each document."""

    template: str
    """With `{instruction}`, `{query}` and `{document}`."""
    instruction: str
    """Where the caller gives none."""

    def write(self, query: str, document: str, instruction: str | None) -> str:
        """Return the prompt. What looks like a control token in a text (`<|im_end|>`) is defused: it could end it."""
        texts = {"query": query, "document": document, "instruction": instruction or self.instruction}
        return self.template.format_map({name: text.replace("<|", "< |") for name, text in texts.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The wire shape of a rerank API. The defaults are the most common one (Cohere's and Jina's)."""

    model: str | None = "model"
    query: str | None = "query"
    documents: str = "documents"
    document: str = ""
    """Path of the text within a document; the document is the text where it is empty."""
    document_fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Fields that each document has besides its text, by path."""
    document_id: str | None = None
    """Path, within a document, of an id that we choose; `index` is then where a result repeats it."""
    prompt: Prompt | None = None
    """For an API that takes prompts: they are the documents then."""
    top_n: str | None = "top_n"
    always_send_top_n: bool = False
    """Whether `top_n` is sent also where all results are wanted, because the API would return fewer, or none."""
    instruction: str | None = None
    static_fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Fields sent with every request, by path; such as the switch that keeps the API from echoing documents."""
    options: Mapping[str, Kind] = field(default_factory=dict[str, Kind])
    """Optional fields that a caller may set, by path, and what each takes."""
    allows_extra_fields: bool = False
    """Whether the API ignores fields that it does not know, so that a caller may try some (`extra_body`)."""
    results: str = "results"
    index: str | None = "index"
    """Path within a result; `None` for an API that answers in the order of the documents."""
    score: str = "relevance_score"
    """Path within a result."""
    default_score: float | None = None
    """What a result without a score means; `None`: nothing that could be trusted."""
    usage: tuple[str, ...] = ("usage",)
    """Paths of counts and of objects of counts."""
    id: str = "id"
    """Path of the reply's id."""
    served_model: str = "model"
    """Path, in the reply, of the model that answered."""
    error: str = "error.message"
    """Path of the message in a failure, empty for a bare string. The local server says it there; a client reads any."""
    next_page: str | None = None
    """Path of the token of the next page, in the reply and in the request for that page."""

    @property
    def takes_instruction(self) -> bool:
        """Whether the API can be told an instruction."""
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
        """Return the JSON body of a request: only fields that the API has, and no nulls.

        Raises:
            TypeError: A text is not valid Unicode (it has a lone surrogate), or an option is not JSON.
        """
        body: dict[str, Any] = {}
        given = (
            (self.model, model),
            (self.query, query),
            (self.documents, self._items(query, documents, instruction)),
            (self.top_n, len(documents) if top_n is None and self.always_send_top_n else top_n),
            (self.instruction, instruction),
        )
        for path, value in (*self.static_fields.items(), *given, *options.items()):
            if path is not None and value is not None:
                put(body, path, value)
        return orjson.dumps(body)

    def _items(self, query: str, documents: Sequence[str], instruction: str | None) -> Sequence[Any]:
        """The documents as the API takes them."""
        if self.prompt is not None:
            return [self.prompt.write(query, text, instruction) for text in documents]
        if not self.document:
            return documents
        items: list[Any] = []
        for place, text in enumerate(documents):
            item: dict[str, Any] = {}
            own_id = {} if self.document_id is None else {self.document_id: str(place)}
            for path, value in {**self.document_fields, **own_id, self.document: text}.items():
                put(item, path, value)
            items.append(item)
        return items

    def next_page_request(self, content: bytes, page: str) -> bytes:
        """Return the body of a request for the next page."""
        body: dict[str, Any] = orjson.loads(content)
        put(body, self.next_page or "", page)
        return orjson.dumps(body)

    def decode(
        self, content: bytes, *, sent: int, top_n: int | None, earlier: Mapping[int, float] | None = None
    ) -> Ranking:
        """Return the ranking in the body of a successful reply.

        Args:
            content: The body.
            sent: How many documents the request had.
            top_n: How many results it asked for; `None` for all.
            earlier: The scores of the pages before this one.

        Raises:
            MalformedResponseError: The body is not a complete and consistent ranking of the documents that were sent.
        """
        body, is_json = parse(content)
        if not is_json:
            raise MalformedResponseError("its body is not JSON")
        items = at(body, self.results)
        if not is_array(items):
            place = f"under {self.results!r}" if self.results else "as its body"
            raise MalformedResponseError(f"there is no list {place}")
        scores = self._scores(items, sent, earlier or {})
        asked = min(sent, top_n or sent)
        complete = len(scores) in (asked, sent)  # some APIs take `top_n` and ignore it
        more = _text(at(body, self.next_page)) if self.next_page and items and not complete else None
        if not (complete or more):
            raise MalformedResponseError(f"{asked} of {sent} documents were asked for, {len(scores)} came back")
        model, reply_id = _text(at(body, self.served_model)), _text(at(body, self.id))
        return Ranking(scores, self._usage(body), model, reply_id, more)

    def _scores(self, items: list[Any], sent: int, earlier: Mapping[int, float]) -> dict[int, float]:
        """The scores by index, each checked: a wrong index would give one document another's score."""
        plain = self.index and self.score and "." not in self.index + self.score and self.document_id is None
        quick = _quick_scores(items, self.index or "", self.score, sent) if plain and not earlier else None
        return self._checked_scores(items, sent, earlier) if quick is None else quick

    def _checked_scores(self, items: list[Any], sent: int, earlier: Mapping[int, float]) -> dict[int, float]:
        """The scores by index, or what is wrong with them."""
        scores = dict(earlier)
        find_index, find_score = _finder(self.index or ""), _finder(self.score)
        kind = dict if self.index or self.score else object
        for place, item in enumerate(items):
            if not isinstance(item, kind):
                raise MalformedResponseError(f"result {place} is {_kind(item)}, not an object")
            index = place if self.index is None else find_index(item, self.index)
            if self.document_id is not None:
                index = _number(index)
            if type(index) is not int or not 0 <= index < sent:
                shown = index if type(index) is int else _kind(index)
                raise MalformedResponseError(f"result {place} has {shown} as {self.index!r}, not 0 to {sent - 1}")
            if index in scores:
                raise MalformedResponseError(f"two results have the {self.index!r} {index}")
            score = find_score(item, self.score)
            if score is None:
                score = self.default_score
            if (type(score) is not float and type(score) is not int) or not isfinite(score):
                raise MalformedResponseError(
                    f"result {place} has {_kind(score)} as {self.score!r}, not a finite number"
                )
            scores[index] = float(score)
        return scores

    def _usage(self, body: Any) -> Usage:
        """The counts of a reply; whatever is no count is left out, for usage is best effort."""
        counts: dict[str, Any] = {}
        for path in self.usage:
            found = at(body, path)
            counts |= found if is_object(found) else {path.rpartition(".")[2]: found}
        return usage_of(counts)


def _quick_scores(items: list[Any], index: str, score: str, sent: int) -> dict[int, float] | None:
    """The scores by index of a reply as it should be, looked at by loops in C; `None` for any other."""
    try:
        found: dict[Any, Any] = {item[index]: item[score] for item in items}
    except (TypeError, KeyError, IndexError):
        return None
    scores = found.values()
    right = len(found) == len(items) and {*map(type, found)} <= {int} and {*map(type, scores)} <= {float}
    if not right or not isfinite(sum(scores)) or (found and not 0 <= min(found) <= max(found) < sent):
        return None
    return found


PROMPT_TOKENS = ("prompt_tokens", "input_tokens", "input_token_count")
"""What APIs call the tokens that they read."""


def usage_of(counts: Mapping[str, Any]) -> Usage:
    """Return counts, by the names that an API has for them, in our terms."""
    units = {name: count for name, count in counts.items() if type(count) in (int, float)}
    prompts = [units.pop(name) for name in PROMPT_TOKENS if type(units.get(name)) is int]
    total = units.pop("total_tokens") if type(units.get("total_tokens")) is int else None
    return Usage(prompts[0] if prompts else None, total, units)


def _finder(path: str) -> Callable[[Any, str], Any]:
    """The quickest way to look up a path in a result."""
    return at if "." in path or not path else dict[str, Any].get


def _number(own_id: Any) -> Any:
    """The position that an id of ours stands for; what is no id of ours stays what it is."""
    return int(own_id) if isinstance(own_id, str) and own_id.isdecimal() and len(own_id) < 10 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


_KINDS = {bool: "a boolean", str: "a string", list: "an array", dict: "an object", type(None): "nothing"}


def _kind(value: Any) -> str:
    """What sort of JSON value it is; never the value, which may be text of ours."""
    return next((name for kind, name in _KINDS.items() if isinstance(value, kind)), "a number")
