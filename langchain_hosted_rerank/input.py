"""The input of `HostedRerank` as a `Runnable`."""

from collections.abc import Mapping, Sequence

from langchain_core.documents import Document
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12


class RerankInput(TypedDict):
    """The input of the `Runnable`. Other keys are ignored, so the state of a graph is valid input."""

    query: str
    """The question; not blank."""
    documents: Sequence[Document]
    """The candidates."""


def parse_input(given: RerankInput) -> tuple[Sequence[Document], str]:
    """Return the documents and the query of an input.

    Args:
        given: The input of the `Runnable`.

    Returns:
        The documents and the query, unchanged.

    Raises:
        TypeError: The input is not a mapping, or a key is missing.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f'input must be a mapping with "query" and "documents", not {type(given).__name__}')
    if missing := [key for key in ("query", "documents") if key not in given]:
        raise TypeError(f'input must have the keys "query" and "documents"; missing: {", ".join(missing)}')
    return given["documents"], given["query"]
