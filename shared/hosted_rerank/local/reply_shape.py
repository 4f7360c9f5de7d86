"""The shape of an API's reply, besides the indexes and scores that its `Dialect` places."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from hosted_rerank.local.model import Scores
from hosted_rerank.providers.json_path import at

ABSENT: Any = object()
"""The value of a field that a reply does not have."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A request and its scores, for the fields of the reply."""

    body: Mapping[str, Any]
    model: str
    query: str
    scores: Scores


Value: TypeAlias = Any | Callable[[Answered], Any]
"""A value, or a function that returns it."""


@dataclass(frozen=True, slots=True)
class Echo:
    """How the results repeat the documents.

    Args:
        path: The path of the document in a result; empty if its fields stand in the result itself.
        form: The document as a string, as an object with the text, or as the request has it.
        asked_by: The paths of the request's fields that ask for it, of which the first one counts that a request has;
            `None` if it always comes.
        asks: The value of that field that asks for it.
        default: The value of that field in a request without it.
        otherwise: The value at `path` where nobody asks.
    """

    path: str = "document"
    form: Literal["text", "object", "sent"] = "object"
    asked_by: tuple[str, ...] | None = ("return_documents",)
    asks: bool = True
    default: bool = False
    otherwise: Any = ABSENT

    def is_asked(self, body: Mapping[str, Any]) -> bool:
        """Returns whether a request asks for the documents."""
        if self.asked_by is None:
            return True
        given = (at(body, path) for path in self.asked_by)
        return next((value for value in given if value is not None), self.default) is self.asks

    def repeat(self, body: Mapping[str, Any], item: Any, text: str) -> dict[str, Any]:
        """Returns the fields of a result that repeat a document.

        Args:
            body: The request.
            item: The document as the request has it.
            text: Its text.
        """
        if not self.is_asked(body):
            return {} if self.otherwise is ABSENT else {self.path: self.otherwise}
        forms: Mapping[str, Any] = {"text": text, "object": {"text": text}, "sent": item}
        return {self.path: forms[self.form]} if self.path else {**item}


@dataclass(frozen=True, slots=True)
class ReplyShape:
    """What a reply has besides indexes and scores, and what a request may have besides what our client sends.

    Args:
        body: The fields of the reply, by path.
        result: The fields of each result, by path.
        echo: How the results repeat the documents; `None` if they never do.
        takes: Other fields that a request may have.
        top_n: The path of the number of results in a request, if only our client does not send it.
        headers: The headers of each reply.
    """

    body: Mapping[str, Value] = field(default_factory=dict[str, Value])
    result: Mapping[str, Any] = field(default_factory=dict[str, Any])
    echo: Echo | None = None
    takes: Sequence[str] = ()
    top_n: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
