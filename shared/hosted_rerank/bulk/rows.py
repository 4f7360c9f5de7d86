"""Rows of a batch, of whatever kind the batch is, and the columns that a rerank adds to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias, TypeGuard

from hosted_rerank.providers.json_path import is_object
from hosted_rerank.response import RerankResponse


@dataclass(frozen=True, slots=True)
class Columns:
    """What columns are called. An output's name of `None` leaves it out."""

    query: str = "query"
    documents: str = "documents"
    """A list of texts."""
    ids: str | None = None
    """A list of the documents' ids; their positions, from 0, where there is none."""
    ranked: str | None = "ranked_ids"
    """Ids, best first."""
    scores: str | None = "relevance_scores"
    """Scores of those, in the same order; null for a document without text."""
    ranks: str | None = "ranks"
    """The rank of each of `documents`, from 1, in their columns order; null for one that `top_n` cut off."""
    tokens: str | None = "tokens"
    """As the API counts them; null where it does not."""
    error: str | None = "error"
    """Why the row has no ranking; null where it has one."""

    @property
    def output_names(self) -> tuple[str | None, ...]:
        """The names of the output columns, in the order of the output."""
        return self.ranked, self.scores, self.ranks, self.tokens, self.error


DEFAULT_COLUMNS = Columns()
"""The names where the caller gives none."""


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of a row."""

    response: RerankResponse | None = None
    error: str | None = None

    @property
    def tokens(self) -> int | None:
        """As the API counts them."""
        return None if self.response is None else self.response.usage.tokens


OutputColumns: TypeAlias = dict[str, Any]
"""The columns that a row gets."""


def make_output_columns(row: Mapping[str, Any], result: RowResult, columns: Columns) -> OutputColumns:
    """Return the columns that a row gets."""
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
    """Return what keeps a row from being asked for."""
    query, documents = row.get(columns.query), row.get(columns.documents)
    if not isinstance(query, str) or not query.strip():
        return f"{columns.query!r} is no text"
    if not _is_list(documents):
        return f"{columns.documents!r} is no list of texts"
    if not all(isinstance(text, str) for text in documents):
        return f"{columns.documents!r} holds something that is no text"
    if columns.ids is not None and (not _is_list(ids := row.get(columns.ids)) or len(ids) != len(documents)):
        return f"{columns.ids!r} is not as long as {columns.documents!r}"
    return None


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether it is a list, or an array of NumPy's."""
    return not isinstance(value, (str, bytes, Mapping)) and hasattr(value, "__len__") and hasattr(value, "__iter__")


def read_rows(batch: Any) -> list[dict[str, Any]]:
    """Return the rows of a batch.

    Raises:
        TypeError: It is no dict of columns, Arrow table or pandas DataFrame.
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
    raise TypeError(f"a batch is a dict of columns, an Arrow table or a pandas DataFrame, not {type(batch).__name__}")


def _read_column(column: Any) -> list[Any]:
    """A column's rows; NumPy's arrays within it become lists."""
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    return [value.tolist() if hasattr(value, "tolist") else value for value in values]


def add_columns(batch: Any, added: Sequence[OutputColumns], columns: Columns) -> Any:
    """Return a batch, of the kind that it is, with columns added; all others are kept as they are."""
    given = columns.output_names
    values_by_name = {name: [row.get(name) for row in added] for name in given if name is not None}
    if is_object(batch):
        return {**batch, **{name: _to_object_array(values) for name, values in values_by_name.items()}}
    if hasattr(batch, "assign"):
        return batch.assign(**values_by_name)
    pa: Any = import_module("pyarrow")  # untyped; whoever hands in a table has it
    ids = pa.list_(pa.int64())
    if columns.ids is not None:
        known = columns.ids in batch.column_names  # not where no row has any
        ids = batch.schema.field(columns.ids).type if known else pa.list_(pa.string())
        if pa.types.is_fixed_size_list(ids):  # `top_n` may leave fewer
            ids = pa.list_(ids.value_type)
    kinds = (ids, pa.list_(pa.float64()), pa.list_(pa.int64()), pa.int64(), pa.string())
    for name, kind in zip(given, kinds, strict=True):
        if name is not None:
            if name in batch.column_names:
                batch = batch.drop_columns([name])
            batch = batch.append_column(name, pa.array(values_by_name[name], kind))
    return batch


def _to_object_array(values: Sequence[Any]) -> Any:
    import numpy as np  # noqa: PLC0415 - whoever hands in arrays has it

    array: Any = np.empty(len(values), dtype=object)
    array[:] = values
    return array
