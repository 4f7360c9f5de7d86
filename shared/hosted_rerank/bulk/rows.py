"""The fields of a row, its result, and the columns that a rerank adds to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias, TypeGuard

from hosted_rerank._text import is_blank
from hosted_rerank.providers.json_path import is_object
from hosted_rerank.response import RerankResponse


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of input and output columns. `None` leaves an output column out.

    Args:
        query: The input column of the query.
        documents: The input column of the documents, a list of texts, or of mappings with `text` and, for all or none,
            `id`.
        ids: The input column of the documents' ids, a list as long as `documents`; `None` to use the `id` of
            documents that are mappings, else positions from 0.
        ranked: The output column of document ids, best first.
        scores: The output column of scores, in the order of `ranked`; null for a document without text.
        ranks: The output column of the rank of each document from 1, in the order of `documents`; null for a document
            that `top_n` cuts off.
        tokens: The output column of billed tokens; null if the API does not count them.
        error: The output column of the reason why a row has no ranking; null for a row with a ranking.
    """

    query: str = "query"
    documents: str = "documents"
    ids: str | None = None
    ranked: str | None = "ranked_ids"
    scores: str | None = "relevance_scores"
    ranks: str | None = "ranks"
    tokens: str | None = "tokens"
    error: str | None = "error"

    @property
    def output_names(self) -> tuple[str | None, ...]:
        """The names of the output columns, in the order of the output."""
        return self.ranked, self.scores, self.ranks, self.tokens, self.error


DEFAULT_COLUMNS = Columns()
"""The default names."""


Ranking: TypeAlias = tuple[tuple[int, float | None], ...]
"""The index and the score of each document, best first."""


@dataclass(frozen=True, slots=True)
class RowResult:
    """The ranking of a row, or the error that failed it.

    Args:
        ranking: The ranking; `None` if the row failed.
        tokens: The billed tokens; `None` if the API does not count them or the row failed.
        error: Why the row has no ranking.
    """

    ranking: Ranking | None = None
    tokens: int | None = None
    error: str | None = None

    @classmethod
    def from_response(cls, response: RerankResponse) -> Self:
        """Return the result of a row with a response."""
        return cls(tuple((each.index, each.relevance_score) for each in response.results), response.usage.tokens)


OutputColumns: TypeAlias = dict[str, Any]
"""The output columns of one row, by name."""


def make_output_columns(row: Mapping[str, Any], result: RowResult, columns: Columns) -> OutputColumns:
    """Return the output columns of a row."""
    added: dict[str | None, Any] = dict.fromkeys((columns.ranked, columns.scores, columns.ranks, columns.tokens))
    added[columns.error] = result.error
    if result.ranking is not None:
        ids = read_ids(row, columns)
        ranks: list[int | None] = [None] * len(ids)
        for rank, (index, _) in enumerate(result.ranking, 1):
            ranks[index] = rank
        added[columns.ranked] = [ids[index] for index, _ in result.ranking]
        added[columns.scores] = [score for _, score in result.ranking]
        added[columns.ranks] = ranks
        added[columns.tokens] = result.tokens
    return {name: value for name, value in added.items() if name is not None}


def read_texts(row: Mapping[str, Any], columns: Columns) -> list[str]:
    """Return the texts of a row's documents, each a string or a mapping with `text`."""
    return [each["text"] if is_object(each) else each for each in row[columns.documents]]


def read_ids(row: Mapping[str, Any], columns: Columns) -> Sequence[Any]:
    """Return the ids of a row's documents: of their own column, or the `id` of each, or their positions."""
    if columns.ids is not None:
        ids: Sequence[Any] = row[columns.ids]
        return ids
    documents = row[columns.documents]
    if len(documents) and all(is_object(each) and each.get("id") is not None for each in documents):
        return [each["id"] for each in documents]
    return range(len(documents))


def find_row_error(row: Mapping[str, Any], columns: Columns) -> str | None:
    """Return why a row cannot be sent, or `None` if it can."""
    query, documents = row.get(columns.query), row.get(columns.documents)
    if not isinstance(query, str) or is_blank(query):
        return f"{columns.query!r} must be a string that is not blank"
    if not _is_list(documents):
        return f"{columns.documents!r} must be a list of strings"
    if not all(isinstance(each.get("text") if is_object(each) else each, str) for each in documents):
        return f"{columns.documents!r} must hold only strings, or mappings with a string 'text'"
    if columns.ids is not None and (not _is_list(ids := row.get(columns.ids)) or len(ids) != len(documents)):
        return f"{columns.ids!r} must be a list as long as {columns.documents!r}"
    return None


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether a value is a list or a NumPy array."""
    return not isinstance(value, (str, bytes, Mapping)) and hasattr(value, "__len__") and hasattr(value, "__iter__")
