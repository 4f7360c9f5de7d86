"""How an API says a rerank: the names and paths of a call on the wire, as data.

A request path is dotted where the API nests (`query="query.text"`); a reply path likewise (`results="output.results"`),
and `""` is the whole body (`results=""` for an API that answers with a bare array). `None` says that the API has no
such field: it is never sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeAlias

import orjson

from hosted_rerank.body import at, is_array, is_object, parse, put
from hosted_rerank.errors import MalformedReplyError
from hosted_rerank.wire import Usage

Kind: TypeAlias = type | tuple[str, ...]
"""What an optional field takes: `str`, `int`, `float`, `bool`, `dict`, `list`, or the strings that are allowed."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one reply says: scores by position in the request's documents, and what the API adds."""

    scores: Sequence[tuple[int, float]]
    usage: Usage
    model: str | None
    id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The wire shape of a rerank API. The defaults are the most common one (Cohere's and Jina's)."""

    model: str | None = "model"
    query: str = "query"
    documents: str = "documents"
    top_n: str | None = "top_n"
    instruction: str | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Fields sent with every request, by path; such as the switch that keeps the API from echoing documents."""
    options: Mapping[str, Kind] = field(default_factory=dict[str, Kind])
    """Optional fields that a caller may set, by path, and what each takes."""
    results: str = "results"
    index: str = "index"
    """Key within a result."""
    score: str = "relevance_score"
    """Key within a result."""
    usage: str = "usage"
    """Path of the object of counts."""
    id: str = "id"
    """Path of the reply's id."""

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
            (self.documents, documents),
            (self.top_n, top_n),
            (self.instruction, instruction),
        )
        for path, value in (*self.fixed.items(), *given, *options.items()):
            if path is not None and value is not None:
                put(body, path, value)
        return orjson.dumps(body)

    def decode(self, content: bytes, *, sent: int, top_n: int | None) -> Ranking:
        """Return the ranking in the body of a successful reply.

        Args:
            content: The body.
            sent: How many documents the request had.
            top_n: How many results it asked for; `None` for all.

        Raises:
            MalformedReplyError: The body is not a complete and consistent ranking of the documents that were sent.
        """
        body, is_json = parse(content)
        if not is_json:
            raise MalformedReplyError("its body is not JSON")
        items = at(body, self.results)
        if not is_array(items):
            place = f"under {self.results!r}" if self.results else "as its body"
            raise MalformedReplyError(f"there is no list {place}")
        scores = self._scores(items, sent)
        asked = min(sent, top_n or sent)
        if len(scores) not in (asked, sent):  # some APIs take `top_n` and ignore it
            raise MalformedReplyError(f"{asked} of {sent} documents were asked for, {len(scores)} came back")
        model, reply_id = at(body, "model"), at(body, self.id)
        return Ranking(
            list(scores.items()),
            _usage(at(body, self.usage)),
            model if isinstance(model, str) and model else None,
            reply_id if isinstance(reply_id, str) and reply_id else None,
        )

    def _scores(self, items: list[Any], sent: int) -> dict[int, float]:
        """The scores by index, each checked: a wrong index would give one document another's score."""
        scores: dict[int, float] = {}
        for place, item in enumerate(items):
            if not is_object(item):
                raise MalformedReplyError(f"result {place} is {_kind(item)}, not an object")
            index, score = item.get(self.index), item.get(self.score)
            if type(index) is not int or not 0 <= index < sent:
                shown = index if type(index) is int else _kind(index)
                raise MalformedReplyError(f"result {place} has {shown} as {self.index!r}, not 0 to {sent - 1}")
            if index in scores:
                raise MalformedReplyError(f"two results have the {self.index!r} {index}")
            if (type(score) is not float and type(score) is not int) or not isfinite(score):
                raise MalformedReplyError(f"result {place} has {_kind(score)} as {self.score!r}, not a finite number")
            scores[index] = float(score)
        return scores


def _usage(counts: Any) -> Usage:
    """The counts of a usage object; whatever is no count is left out, for usage is best effort."""
    fields = counts if is_object(counts) else {}
    units = {name: count for name, count in fields.items() if type(count) in (int, float)}
    tokens = {name: units.pop(name) for name in ("prompt_tokens", "total_tokens") if type(units.get(name)) is int}
    return Usage(**tokens, units=units)


_KINDS = {bool: "a boolean", str: "a string", list: "an array", dict: "an object", type(None): "nothing"}


def _kind(value: Any) -> str:
    """What sort of JSON value it is; never the value, which may be text of ours."""
    return next((name for kind, name in _KINDS.items() if isinstance(value, kind)), "a number")
