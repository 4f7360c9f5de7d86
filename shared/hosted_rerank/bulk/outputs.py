"""The content of the files that a job writes: Parquet, and lines of dead-letter files and TREC runs."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import orjson

from hosted_rerank.bulk.errors import JobError
from hosted_rerank.bulk.parts import Record
from hosted_rerank.bulk.rows import Ranking


def find_query_id(row: Mapping[str, Any]) -> Any:
    """Return the `query_id` or `id` of a row, or `None`."""
    return next((row[name] for name in ("query_id", "id") if row.get(name) is not None), None)


def is_trec_id(value: Any) -> bool:
    """Whether a value can be an id in a TREC run. `None` can, because such a row gets a generated id."""
    return value is None or isinstance(value, int) or (isinstance(value, str) and value.split() == [value])


def format_trec_lines(query_id: Any, document_ids: Sequence[Any], ranking: Ranking) -> Iterator[str]:
    """Yield the lines of a TREC run for the ranking of one query. An id that stands twice keeps its best rank."""
    best: dict[Any, float | None] = {}
    for index, score in ranking:
        best.setdefault(document_ids[index], score)
    for rank, (document_id, score) in enumerate(best.items(), 1):
        value = float("-inf") if score is None else score
        yield f"{query_id} Q0 {document_id} {rank} {value!r} hosted-rerank\n"


def format_dead_letter(part: int, index: int, reason: str, record: Record) -> bytes:
    """Return one line of a dead-letter file."""
    return orjson.dumps({"part": part, "row": index, "reason": reason})[:-1] + b',"input":' + record.to_json() + b"}\n"


def make_table(records: Sequence[Record]) -> Any:
    """Return JSON records as an Arrow table with all columns that any record has.

    Raises:
        JobError: A column holds values of several types.
    """
    pa: Any = import_module("pyarrow")  # untyped, and an extra
    columns: dict[str, Any] = {}
    for name in dict.fromkeys(name for record in records for name in record.fields):
        try:
            columns[name] = pa.array([record.fields.get(name) for record in records])
        except (pa.ArrowException, OverflowError):
            raise JobError(
                f"column {name!r} has values that do not fit one type of Parquet: set format to 'jsonl'"
            ) from None
    return pa.table(columns)


def select_rows(table: Any, indices: Sequence[int]) -> Any:
    """Return the rows of an Arrow table at the given indices."""
    pa: Any = import_module("pyarrow")  # untyped, and an extra
    return table.take(pa.array(indices, pa.int64()))


def encode_parquet(table: Any) -> bytes:
    """Return an Arrow table as the bytes of a Parquet file."""
    pa: Any = import_module("pyarrow")  # untyped, and an extra
    pq: Any = import_module("pyarrow.parquet")
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content
