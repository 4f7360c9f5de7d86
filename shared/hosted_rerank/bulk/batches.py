"""Batches of rows of each kind: a dict of columns, an Arrow table, a pandas or Polars frame, a list of dicts.

The columns that are added have the same Arrow types in every batch, whatever is in it: files that are written from
several batches can be read as one.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, TypeGuard

from hosted_rerank.bulk.rows import Columns, OutputColumns
from hosted_rerank.providers.json_path import is_object

KINDS = "a dict of columns, a list of dicts, an Arrow table, or a pandas or Polars DataFrame"


def is_list_of_rows(batch: object) -> TypeGuard[list[dict[str, Any]]]:
    """Whether a batch is a list of dicts."""
    return isinstance(batch, list) and all(map(is_object, batch))  # pyright: ignore[reportUnknownArgumentType] - checked


def open_batch(batch: Any) -> Any:
    """Return the Arrow table of a lazy batch of Hugging Face's `datasets`, and any other batch as it is."""
    return getattr(batch, "pa_table", batch)


def read_rows(batch: Any) -> list[dict[str, Any]]:
    """Return the rows of a batch.

    Raises:
        TypeError: The batch is of no known kind.
    """
    if is_object(batch):
        columns = [_read_column(column) for column in batch.values()]
        return [dict(zip(batch, row, strict=True)) for row in zip(*columns, strict=True)]
    if is_list_of_rows(batch):
        return batch
    rows: list[dict[str, Any]]
    if hasattr(batch, "to_pylist"):  # Arrow
        rows = batch.to_pylist()
    elif hasattr(batch, "to_dicts"):  # Polars
        rows = batch.to_dicts()
    elif hasattr(batch, "to_dict"):  # pandas
        rows = batch.to_dict("records")
    else:
        raise TypeError(f"batch must be {KINDS}, not {type(batch).__name__}")
    return rows


def _read_column(column: Any) -> list[Any]:
    """Return the values of a column as a list, with nested NumPy arrays as lists."""
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    return [value.tolist() if hasattr(value, "tolist") else value for value in values]


def add_columns(batch: Any, added: Sequence[OutputColumns], columns: Columns, *, plain: bool = False) -> Any:
    """Return a batch of the same kind with columns added and all other columns unchanged.

    Args:
        batch: The batch.
        added: The columns that each row gets.
        columns: The names of the columns.
        plain: Whether a pandas frame gets columns of Python objects, for Spark, which declares the types itself and
            reads no pandas column with Arrow's.
    """
    if is_list_of_rows(batch):
        return [{**row, **more} for row, more in zip(batch, added, strict=True)]
    arrays = _make_arrays(batch, added, columns)
    if is_object(batch):
        is_plain = all(isinstance(column, list) for column in batch.values())  # pyright: ignore[reportUnknownArgumentType]
        return {**batch, **({name: array.to_pylist() for name, array in arrays.items()} if is_plain else arrays)}
    if hasattr(batch, "with_columns"):  # Polars
        polars: Any = import_module("polars")
        return batch.with_columns(**{name: polars.from_arrow(array) for name, array in arrays.items()})
    if hasattr(batch, "assign"):  # pandas
        series = _make_series(arrays, batch.index, plain=plain)
        return batch.assign(**series)
    for name, array in arrays.items():
        if name in batch.column_names:
            batch = batch.drop_columns([name])
        batch = batch.append_column(name, array)
    return batch


def _make_series(arrays: Mapping[str, Any], index: Any, *, plain: bool) -> dict[str, Any]:
    """Return pandas columns of the arrays' types, or of Python objects."""
    pandas: Any = import_module("pandas")
    if plain:
        return {name: pandas.Series(array.to_pylist(), index, dtype=object) for name, array in arrays.items()}
    return {name: pandas.Series(pandas.arrays.ArrowExtensionArray(array), index) for name, array in arrays.items()}


def _make_arrays(batch: Any, added: Sequence[OutputColumns], columns: Columns) -> dict[str, Any]:
    """Return the added columns as Arrow arrays of fixed types."""
    pa: Any = import_module("pyarrow")  # untyped; an extra, and there wherever batches come from
    ids = pa.list_(_find_id_type(pa, batch, added, columns))
    kinds = (ids, pa.list_(pa.float64()), pa.list_(pa.int64()), pa.int64(), pa.string())
    return {
        name: pa.array([row.get(name) for row in added], kind)
        for name, kind in zip(columns.output_names, kinds, strict=True)
        if name is not None
    }


def _find_id_type(pa: Any, batch: Any, added: Sequence[OutputColumns], columns: Columns) -> Any:
    """Return the Arrow type of a document's id: that of its column where the batch declares one."""
    if hasattr(batch, "schema") and hasattr(batch, "column_names"):  # Arrow
        name = columns.documents if columns.ids is None else columns.ids
        field = batch.schema.field(name).type if name in batch.column_names else pa.null()
        value = getattr(field, "value_type", pa.null())
        if columns.ids is None and pa.types.is_struct(value):
            value = value.field("id").type if value.get_field_index("id") >= 0 else pa.int64()
        elif columns.ids is None:
            value = pa.int64()
        if not pa.types.is_null(value):
            return value
    ids = (each for row in added for each in (row.get(columns.ranked or "") or ())[:1])
    found: Any = next(ids, None if columns.ids is None else "")
    return pa.string() if isinstance(found, str) else pa.int64() if found is None else pa.scalar(found).type
