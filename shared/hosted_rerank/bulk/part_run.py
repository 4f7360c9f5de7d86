"""`PartRun`: a part under way. `PartWriter`: opens parts and writes the files of finished ones."""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from hosted_rerank.bulk.batch_run import PendingRow
from hosted_rerank.bulk.batches import add_columns
from hosted_rerank.bulk.job import JobRun, PartResult
from hosted_rerank.bulk.manifest import write_entry
from hosted_rerank.bulk.outputs import (
    encode_parquet,
    find_query_id,
    format_dead_letter,
    format_trec_lines,
    is_trec_id,
    make_table,
    select_rows,
)
from hosted_rerank.bulk.parts import Input, Part, Record
from hosted_rerank.bulk.row_log import RowLog, hash_row
from hosted_rerank.bulk.rows import Columns, RowResult, find_row_error, make_output_columns, read_ids, read_texts
from hosted_rerank.bulk.storage import FileHash

logger = logging.getLogger("hosted_rerank")

MAX_REMEMBERED_IDS = 1_000_000
"""The number of ids among which a worker looks for equal ones."""


class PartRun:
    """A part under way: its records, its log, and the results so far.

    Args:
        part: The part.
        records: The records, with an error each that cannot be sent.
        table: The usable records as an Arrow table, for Parquet.
        log: The log.
    """

    def __init__(self, part: Part, records: Sequence[Record], table: Any, log: RowLog) -> None:
        self.part, self.records, self.table, self.log = part, records, table, log
        self.results: dict[int, RowResult] = {
            index: RowResult(error=record.error) for index, record in enumerate(records) if record.error is not None
        }

    @property
    def number(self) -> int:
        """The number of the part."""
        return self.part.number

    @property
    def is_finished(self) -> bool:
        """Whether each row has a result."""
        return len(self.results) == len(self.records)

    @property
    def known_results(self) -> list[RowResult]:
        """The results that are there before a request."""
        return list(self.results.values())

    def find_pending(
        self, columns: Columns, *, retry_failed: bool, on_result: Callable[["PartRun", int, RowResult], None]
    ) -> list[PendingRow]:
        """Take the results of the log, and return the rows that are to be sent."""
        logged, pending = self.log.read(), list[PendingRow]()
        for index, record in enumerate(self.records):
            if index in self.results:
                continue
            query, texts = record.fields[columns.query], read_texts(record.fields, columns)
            key = hash_row(query, texts)
            result = logged.get(key)
            if result is None or (retry_failed and result.error) or not _is_ranking_of(result, len(texts)):
                pending.append(PendingRow(query, texts, partial(self._finish_row, on_result, index, key)))
            else:
                self.results[index] = result
        return pending

    def _finish_row(
        self, on_result: Callable[["PartRun", int, RowResult], None], index: int, key: str, result: RowResult
    ) -> None:
        self.log.append(key, result)
        on_result(self, index, result)


def _is_ranking_of(result: RowResult, count: int) -> bool:
    """Whether a logged result can be that of a row with so many documents."""
    indices = [index for index, _ in result.ranking or ()]
    return len(set(indices)) == len(indices) and all(0 <= index < count for index in indices)


class PartWriter:
    """Opens the parts of a run, and writes the files of finished ones.

    Args:
        run: The run.
        source: The input.
    """

    def __init__(self, run: JobRun, source: Input) -> None:
        self._run, self._input = run, source
        self._suffix = run.job.format or source.suffix
        self._unwarned_columns = {name for name in source.columns.output_names if name is not None}
        """Output columns that no warning has named yet; a warning names those that the input has as well."""
        self._ids: set[int] = set()
        """Hashes of the ids of rows."""

    def open(self, part: Part) -> PartRun:
        """Read a part.

        Raises:
            JobError: The rows cannot be written in the output format.
        """
        found, table = self._input.read(part)
        records = [self._check(record) for record in found]
        self._warn_of_replaced_columns(records)
        self._warn_of_equal_ids(part, records)
        if self._suffix == "parquet":  # before any paid request, because JSON may hold values that Parquet cannot
            usable = [index for index, record in enumerate(records) if record.error is None]
            table = make_table([records[index] for index in usable]) if table is None else select_rows(table, usable)
        return PartRun(
            part, records, table, RowLog(self._run.job.folder, part.number, self._run.id, self._run.accepted)
        )

    def _check(self, record: Record) -> Record:
        error = record.error or find_row_error(record.fields, self._input.columns)
        return record if error is None else Record(record.fields, record.raw, error)

    def write(self, done: PartRun) -> PartResult:
        """Write the files of a finished part, and its entry last."""
        folder, name = self._run.job.folder, f"{done.number:08}"
        results = [done.results[index] for index in range(len(done.records))]
        failed = {index: result.error for index, result in enumerate(results) if result.error is not None}
        good = [index for index in range(len(results)) if index not in failed]
        files: dict[str, FileHash] = {}

        def write(path: str, content: bytes) -> None:
            files[path] = folder.write(path, content)

        write(f"parts/{name}.{self._suffix}", self._encode(done, good))
        if self._run.job.trec:
            write(f"runs/{name}.run", "".join(self._trec_lines(done, good)).encode())
        if failed:
            letters = (
                format_dead_letter(done.number, index, why, done.records[index]) for index, why in failed.items()
            )
            write(f"dead-letter/{name}.jsonl", b"".join(letters))
        else:
            folder.delete(f"dead-letter/{name}.jsonl")  # of rows that failed before
        done.log.compact()
        result = PartResult(done.number, len(results), len(failed), sum(each.tokens or 0 for each in results))
        write_entry(self._run, result, files)
        return result

    def _encode(self, done: PartRun, good: Sequence[int]) -> bytes:
        """Return the good rows with their rankings in the output format."""
        columns = self._input.columns
        added = [make_output_columns(done.records[index].fields, done.results[index], columns) for index in good]
        if self._suffix == "parquet":
            usable = [index for index, record in enumerate(done.records) if record.error is None]
            kept = set(good)
            table = select_rows(done.table, [place for place, index in enumerate(usable) if index in kept])
            return encode_parquet(add_columns(table, added, columns))
        return b"".join(done.records[index].to_json_with(more) + b"\n" for index, more in zip(good, added, strict=True))

    def _trec_lines(self, done: PartRun, good: Sequence[int]) -> Iterator[str]:
        """Yield the lines of a TREC run; a row without an id is named by part and index."""
        left_out = 0
        for index in good:
            fields = done.records[index].fields
            query_id, ids = find_query_id(fields), read_ids(fields, self._input.columns)
            if all(map(is_trec_id, (query_id, *ids))):
                name = f"{done.number}-{index}" if query_id is None else query_id
                yield from format_trec_lines(name, ids, done.results[index].ranking or ())
            else:
                left_out += 1
        if left_out:
            logger.warning(
                "Rows left out of the TREC run in part %d, for an id that is no integer and no word: %d",
                done.number,
                left_out,
            )

    def _warn_of_replaced_columns(self, records: Sequence[Record]) -> None:
        """Log, once for each column, that an output column replaces a column of the input."""
        if replaced := self._unwarned_columns & {name for record in records for name in record.fields}:
            self._unwarned_columns -= replaced
            logger.warning("The output replaces columns of the input: %s", ", ".join(sorted(replaced)))

    def _warn_of_equal_ids(self, part: Part, records: Sequence[Record]) -> None:
        """Log how many rows of a part have the id of an earlier row."""
        found = [hash(str(name)) for record in records if (name := find_query_id(record.fields)) is not None]
        equal = len(found) - len(set(found) - self._ids)
        if len(self._ids) < MAX_REMEMBERED_IDS:
            self._ids.update(found)
        if equal:
            logger.warning("Rows with the id of an earlier row in part %d: %d", part.number, equal)
