"""The rows of a batch of any supported kind, and the columns that a rerank adds to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias, TypeGuard

from hosted_rerank._text import is_blank
from hosted_rerank.providers.json_path import is_object
from hosted_rerank.response import RerankResponse


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of input and output columns. `None` leaves an output column out.

    Args:
        query: The input column of the query.
        documents: The input column of the documents, a list of texts.
        ids: The input column of the documents' ids, a list as long as `documents`; `None` to use positions from 0.
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


@dataclass(frozen=True, slots=True)
class RowResult:
    """The response for a row, or the error that failed it."""

    response: RerankResponse | None = None
    error: str | None = None

    @property
    def tokens(self) -> int | None:
        """The billed tokens; `None` if the API does not count them or the row failed."""
        return None if self.response is None else self.response.usage.tokens


OutputColumns: TypeAlias = dict[str, Any]
"""The output columns of one row, by name."""


def make_output_columns(row: Mapping[str, Any], result: RowResult, columns: Columns) -> OutputColumns:
    """Return the output columns of a row."""
    added: dict[str | None, Any] = dict.fromkeys((columns.ranked, columns.scores, columns.ranks, columns.tokens))
    added[columns.error] = result.error
    if result.response is not None:
        results, count = result.response.results, len(row[columns.documents])
        ids: Sequence[Any] = range(count) if columns.ids is None else row[columns.ids]
        ranks: list[int | None] = [None] * count
        for rank, ranked in enumerate(results, 1):
            ranks[ranked.index] = rank
        added[columns.ranked] = [ids[ranked.index] for ranked in results]
        added[columns.scores] = [ranked.relevance_score for ranked in results]
        added[columns.ranks] = ranks
        added[columns.tokens] = result.tokens
    return {name: value for name, value in added.items() if name is not None}


def find_row_error(row: Mapping[str, Any], columns: Columns) -> str | None:
    """Return why a row cannot be sent, or `None` if it can."""
    query, documents = row.get(columns.query), row.get(columns.documents)
    if not isinstance(query, str) or is_blank(query):
        return f"{columns.query!r} must be a string that is not blank"
    if not _is_list(documents):
        return f"{columns.documents!r} must be a list of strings"
    if not all(isinstance(text, str) for text in documents):
        return f"{columns.documents!r} must hold only strings"
    if columns.ids is not None and (not _is_list(ids := row.get(columns.ids)) or len(ids) != len(documents)):
        return f"{columns.ids!r} must be a list as long as {columns.documents!r}"
    return None


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether a value is a list or a NumPy array."""
    return not isinstance(value, (str, bytes, Mapping)) and hasattr(value, "__len__") and hasattr(value, "__iter__")


def read_rows(batch: Any) -> list[dict[str, Any]]:
    """Return the rows of a batch.

    Raises:
        TypeError: The batch is not a dict of columns, an Arrow table or a pandas DataFrame.
    """
    if is_object(batch):
        columns = [_read_column(column) for column in batch.values()]
        return [dict(zip(batch, row, strict=True)) for row in zip(*columns, strict=True)]
    if hasattr(batch, "to_pylist"):  # Arrow
        rows: list[dict[str, Any]] = batch.to_pylist()
        return rows
    if hasattr(batch, "to_dict"):  # pandas
        records: list[dict[str, Any]] = batch.to_dict("records")
        return records
    raise TypeError(
        f"batch must be a dict of columns, an Arrow table or a pandas DataFrame, not {type(batch).__name__}"
    )


def _read_column(column: Any) -> list[Any]:
    """Return the values of a column as a list, with nested NumPy arrays as lists."""
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    return [value.tolist() if hasattr(value, "tolist") else value for value in values]


def add_columns(batch: Any, added: Sequence[OutputColumns], columns: Columns) -> Any:
    """Return a batch of the same kind with columns added and all other columns unchanged."""
    given = columns.output_names
    values_by_name = {name: [row.get(name) for row in added] for name in given if name is not None}
    if is_object(batch):
        return {**batch, **{name: _to_object_array(values) for name, values in values_by_name.items()}}
    if hasattr(batch, "assign"):
        return batch.assign(**values_by_name)
    pa: Any = import_module("pyarrow")  # untyped; a caller with a table has it
    ids = pa.list_(pa.int64())
    if columns.ids is not None:
        known = columns.ids in batch.column_names  # the column is missing if no row has ids
        ids = batch.schema.field(columns.ids).type if known else pa.list_(pa.string())
        if pa.types.is_fixed_size_list(ids):  # `top_n` may keep fewer
            ids = pa.list_(ids.value_type)
    kinds = (ids, pa.list_(pa.float64()), pa.list_(pa.int64()), pa.int64(), pa.string())
    for name, kind in zip(given, kinds, strict=True):
        if name is not None:
            if name in batch.column_names:
                batch = batch.drop_columns([name])
            batch = batch.append_column(name, pa.array(values_by_name[name], kind))
    return batch


def _to_object_array(values: Sequence[Any]) -> Any:
    import numpy as np  # noqa: PLC0415 - a caller with arrays has it

    array: Any = np.empty(len(values), dtype=object)
    array[:] = values
    return array
