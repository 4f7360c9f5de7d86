"""The input of `HostedRerank` as a `Runnable`."""

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    NamedTuple,
    NotRequired,  # pydantic needs this TypedDict before Python 3.12
    TypeAlias,
    cast,
)

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage, convert_to_messages
from pydantic import BaseModel
from typing_extensions import TypedDict

from hosted_rerank._validation import check_sequence
from hosted_rerank.frameworks.overrides import OVERRIDES, Overrides

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class RerankInput(TypedDict):
    """The input of the `Runnable`. Other keys are ignored, so the state of a graph is valid input."""

    query: str | BaseMessage
    """The question; not blank. Of a message its text is sent."""
    documents: Sequence[Document | Mapping[str, Any]]
    """The candidates. A mapping has the fields of a `Document`, as the JSON state of a graph does."""
    top_n: NotRequired[int | None]
    score_threshold: NotRequired[float | None]
    instruction: NotRequired[str | None]
    model: NotRequired[str | None]


State: TypeAlias = "RerankInput | Mapping[str, Any] | BaseModel | DataclassInstance"
"""What `invoke` takes: the input as a mapping, or an object of pydantic or a dataclass with the same names."""


_INPUT_OVERRIDES = [name for name in OVERRIDES if name in RerankInput.__annotations__]
"""The parameters of a call that an input may hold; `options` is not one, because the state of a graph may have some."""


class ParsedInput(NamedTuple):
    """An input with its parts as the reranker takes them."""

    documents: Sequence[Document]
    query: str
    overrides: Overrides
    """The parameters of the call that a mapping holds."""


def parse_input(given: State) -> ParsedInput:
    """Return the parts of an input.

    Args:
        given: The input of the `Runnable`.

    Returns:
        The documents, the query, and the parameters of the call.

    Raises:
        TypeError: The input is not a mapping or the state of a graph, or a part is missing or of the wrong type.
    """
    if isinstance(given, Mapping):
        values: Mapping[str, Any] = given
    elif isinstance(given, BaseModel) or (is_dataclass(given) and not isinstance(given, type)):
        values = {name: getattr(given, name) for name in ("query", "documents") if hasattr(given, name)}
    else:
        raise TypeError(
            'input must be a mapping or the state of a graph with "query" and "documents", '
            f'not {type(given).__name__}: pass {{"query": ..., "documents": ...}}'
        )
    if missing := [key for key in ("query", "documents") if key not in values]:
        raise TypeError(f'input must have the keys "query" and "documents"; missing: {", ".join(missing)}')
    overrides = cast("Overrides", {name: values[name] for name in _INPUT_OVERRIDES if name in values})
    return ParsedInput(_to_documents(values["documents"]), _to_text(values["query"]), overrides)


def _to_text(query: Any) -> Any:
    """Return the text of a message, and anything else as it is."""
    if isinstance(query, Mapping):
        (query,) = convert_to_messages([cast("dict[str, Any]", query)])
    return str(query.text) if isinstance(query, BaseMessage) else query


def _to_documents(documents: Any) -> Sequence[Document]:
    """Return documents, also for those that are mappings, and anything else as it is."""
    check_sequence("documents", documents)
    if set(map(type, documents)) == {Document}:  # in C, because there may be 10,000
        return cast("Sequence[Document]", documents)
    return [
        _to_document(index, cast("Mapping[str, Any]", each)) if isinstance(each, Mapping) else each
        for index, each in enumerate(documents)
    ]


def _to_document(index: int, given: Mapping[str, Any]) -> Document:
    """Return the document of a mapping that `model_dump` or langchain-core's `dumpd` wrote."""
    fields: Any = given.get("kwargs") if given.get("type") == "constructor" else given
    try:
        return Document.model_validate(fields if fields is None else dict(fields))
    except (ValueError, TypeError):  # their messages may show the document
        raise TypeError(
            f"documents[{index}] is a mapping that is no Document: pass the fields of one, such as"
            " {'page_content': ..., 'metadata': {...}}"
        ) from None
