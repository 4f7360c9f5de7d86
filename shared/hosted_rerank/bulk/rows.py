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
    """The rank of each of `documents`, from 1, in their own order; null for one that `top_n` cut off."""
    tokens: str | None = "tokens"
    """As the API counts them; null where it does not."""
    error: str | None = "error"
    """Why the row has no ranking; null where it has one."""


COLUMNS = Columns()
"""The names where the caller gives none."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a row."""

    response: RerankResponse | None = None
    error: str | None = None

    @property
    def tokens(self) -> int | None:
        """As the API counts them."""
        return None if self.response is None else self.response.usage.tokens


Added: TypeAlias = dict[str, Any]
"""The columns that a row gets."""


def added_to(row: Mapping[str, Any], done: Done, own: Columns) -> Added:
    """Return the columns that a row gets."""
    added: dict[str | None, Any] = dict.fromkeys((own.ranked, own.scores, own.ranks, own.tokens))
    added[own.error] = done.error
    if done.response is not None:
        results, count = done.response.results, len(row[own.documents])
        ids: Sequence[Any] = range(count) if own.ids is None else row[own.ids]
        ranks: list[int | None] = [None] * count
        for rank, result in enumerate(results, 1):
            ranks[result.index] = rank
        added[own.ranked] = [ids[result.index] for result in results]
        added[own.scores] = [result.relevance_score for result in results]
        added[own.ranks] = ranks
        added[own.tokens] = done.tokens
    return {name: value for name, value in added.items() if name is not None}


def wrong_row(row: Mapping[str, Any], own: Columns) -> str | None:
    """Return what keeps a row from being asked for."""
    query, documents = row.get(own.query), row.get(own.documents)
    if not isinstance(query, str) or not query.strip():
        return f"{own.query!r} is no text"
    if not _is_list(documents):
        return f"{own.documents!r} is no list of texts"
    if not all(isinstance(text, str) for text in documents):
        return f"{own.documents!r} holds something that is no text"
    if own.ids is not None and (not _is_list(ids := row.get(own.ids)) or len(ids) != len(documents)):
        return f"{own.ids!r} is not as long as {own.documents!r}"
    return None


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether it is a list, or an array of NumPy's."""
    return not isinstance(value, (str, bytes, Mapping)) and hasattr(value, "__len__") and hasattr(value, "__iter__")


def rows_of(batch: Any) -> list[dict[str, Any]]:
    """Return the rows of a batch.

    Raises:
        TypeError: It is no dict of columns, Arrow table or pandas DataFrame.
    """
    if is_object(batch):
        columns = [_values(column) for column in batch.values()]
        return [dict(zip(batch, row, strict=True)) for row in zip(*columns, strict=True)]
    if hasattr(batch, "to_pylist"):  # Arrow
        rows: list[dict[str, Any]] = batch.to_pylist()
        return rows
    if hasattr(batch, "to_dict"):  # pandas
        records: list[dict[str, Any]] = batch.to_dict("records")
        return records
    raise TypeError(f"a batch is a dict of columns, an Arrow table or a pandas DataFrame, not {type(batch).__name__}")


def _values(column: Any) -> list[Any]:
    """A column's rows; NumPy's arrays within it become lists."""
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    return [value.tolist() if hasattr(value, "tolist") else value for value in values]


def with_columns(batch: Any, added: Sequence[Added], own: Columns) -> Any:
    """Return a batch, of the kind that it is, with columns added; all others are kept as they are."""
    given = (own.ranked, own.scores, own.ranks, own.tokens, own.error)
    columns = {name: [row.get(name) for row in added] for name in given if name is not None}
    if is_object(batch):
        return {**batch, **{name: _array(values) for name, values in columns.items()}}
    if hasattr(batch, "assign"):
        return batch.assign(**columns)
    pa: Any = import_module("pyarrow")  # untyped; whoever hands in a table has it
    ids = pa.list_(pa.int64())
    if own.ids is not None:
        known = own.ids in batch.column_names  # not where no row has any
        ids = batch.schema.field(own.ids).type if known else pa.list_(pa.string())
        if pa.types.is_fixed_size_list(ids):  # `top_n` may leave fewer
            ids = pa.list_(ids.value_type)
    kinds = (ids, pa.list_(pa.float64()), pa.list_(pa.int64()), pa.int64(), pa.string())
    for name, kind in zip(given, kinds, strict=True):
        if name is not None:
            if name in batch.column_names:
                batch = batch.drop_columns([name])
            batch = batch.append_column(name, pa.array(columns[name], kind))
    return batch


def _array(values: Sequence[Any]) -> Any:
    import numpy as np  # noqa: PLC0415 - whoever hands in arrays has it

    array: Any = np.empty(len(values), dtype=object)
    array[:] = values
    return array
