"""`Worker`: reads one part of a job at a time, reranks its rows and writes its files exactly once.

The output folder holds `manifest.json` (identifies the job), `parts/` (the rows with their rankings), `runs/` (the
same rankings as TREC runs, if requested), `dead-letter/` (the rows that failed for good, with the reason) and `done/`
(one small file for each part, written last). Each file appears complete or not at all. A resumed job processes the
parts that have no file in `done/`.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hosted_rerank.bulk.batch import RerankBatch
from hosted_rerank.bulk.job import Job, JobError, PartResult
from hosted_rerank.bulk.outputs import (
    INVALID_TREC_ID,
    encode_parquet,
    find_query_id,
    format_dead_letter,
    format_trec_lines,
    is_trec_id,
    make_table,
    select_rows,
    write_atomically,
)
from hosted_rerank.bulk.parts import Part, Record
from hosted_rerank.bulk.rows import RowResult, add_columns, make_output_columns
from hosted_rerank.bulk.shared_rate import RateLeaseClient
from hosted_rerank.errors import RerankError

logger = logging.getLogger("hosted_rerank")


def load_result(job: Job, part: Part) -> PartResult | None:
    """Return the stored result of a part, or `None` if the part or one of its files is missing."""
    path = job.output / "done" / f"{part.number:08}.json"
    if not path.exists():
        return None
    result = PartResult(**json.loads(path.read_text(encoding="utf-8")))
    files = [_part_path(job, part)]
    files += [_run_path(job, part)] if job.trec else []
    files += [_dead_letter_path(job, part)] if result.failed else []
    return result if all(file.exists() for file in files) else None  # a user may have moved one away


def _part_path(job: Job, part: Part) -> Path:
    return job.output / "parts" / f"{part.number:08}.{job.suffix}"


def _run_path(job: Job, part: Part) -> Path:
    return job.output / "runs" / f"{part.number:08}.run"


def _dead_letter_path(job: Job, part: Part) -> Path:
    return job.output / "dead-letter" / f"{part.number:08}.jsonl"


class Worker:
    """Processes parts of a job, one after the other."""

    def __init__(self, job: Job, shared_rate: RateLeaseClient | None = None) -> None:
        self._job = job
        self._input = job.open()
        columns = self._input.columns
        self._batch = RerankBatch(
            job.provider,
            job.model,
            columns=columns,
            top_n=job.top_n,
            concurrency=job.concurrency,
            shared_rate=shared_rate,
            **job.settings,
        )
        self._unwarned_columns = {name for name in columns.output_names if name is not None}
        """Output columns that no warning has named yet; a warning names those that the input has as well."""

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._batch.close()

    @property
    def rate(self) -> float:
        """The learned limit of this process in requests per second; infinite while no limit is known."""
        return self._batch.rate

    def try_process_part(self, part: Part, on_row: Callable[[RowResult], None] | None = None) -> PartResult:
        """Process a part, and return an error that ends the job as a result with `fatal` set."""
        try:
            return self.process_part(part, on_row)
        except RerankError as error:
            return PartResult(part.number, 0, fatal=f"{type(error).__name__}: {error}")
        except JobError as error:
            return PartResult(part.number, 0, fatal=str(error))

    def process_part(self, part: Part, on_row: Callable[[RowResult], None] | None = None) -> PartResult:
        """Process a part, unless its result is stored already.

        Args:
            part: The part.
            on_row: A function to call with the result of each row that is sent.

        Raises:
            RerankError: The key, model, account or server is wrong.
            JobError: The rows cannot be written in the output format.
        """
        job = self._job
        if (stored := load_result(job, part)) is not None:
            return stored  # a worker was killed right after it wrote this
        (records, table), columns = self._input.read(part), self._input.columns
        self._warn_of_replaced_columns(records)
        if job.trec:
            records = list(map(self._check_trec_ids, records))
        usable = [index for index, record in enumerate(records) if record.error is None]
        if job.suffix == "parquet":  # before any paid request, because JSON may hold values that Parquet cannot
            table = make_table([records[index] for index in usable]) if table is None else select_rows(table, usable)
        ranked = iter(self._batch.rerank_rows([records[index].fields for index in usable], on_row))
        results = [next(ranked) if record.error is None else RowResult(error=record.error) for record in records]
        failed = {index: result.error for index, result in enumerate(results) if result.error is not None}
        good = [index for index in range(len(records)) if index not in failed]
        added = [make_output_columns(records[index].fields, results[index], columns) for index in good]
        if job.suffix == "parquet":
            table = select_rows(table, [place for place, index in enumerate(usable) if index not in failed])
            write_atomically(_part_path(job, part), encode_parquet(add_columns(table, added, columns)))
        else:
            lines = (records[index].to_json_with(more) + b"\n" for index, more in zip(good, added, strict=True))
            write_atomically(_part_path(job, part), b"".join(lines))
        if job.trec:
            run = (line for index in good for line in self._trec_lines(part, index, records[index], results[index]))
            write_atomically(_run_path(job, part), "".join(run).encode())
        if failed:
            letters = (format_dead_letter(part.number, index, why, records[index]) for index, why in failed.items())
            write_atomically(_dead_letter_path(job, part), b"".join(letters))
        else:
            _dead_letter_path(job, part).unlink(missing_ok=True)  # left by a worker that was killed
        tokens = sum(result.tokens or 0 for result in results)
        part_result = PartResult(part.number, len(records), len(failed), tokens)
        done_path = job.output / "done" / f"{part.number:08}.json"
        write_atomically(done_path, json.dumps(asdict(part_result)).encode())
        return part_result

    def _warn_of_replaced_columns(self, records: Sequence[Record]) -> None:
        """Log, once for each column, that an output column replaces a column of the input."""
        if replaced := self._unwarned_columns & {name for record in records for name in record.fields}:
            self._unwarned_columns -= replaced
            logger.warning("The output replaces columns of the input: %s", ", ".join(sorted(replaced)))

    def _check_trec_ids(self, record: Record) -> Record:
        """Return the record, with an error if an id cannot be written to a TREC run."""
        ids = self._input.columns.ids
        named: Any = record.fields.get(ids) if ids is not None else None
        values: list[Any] = [find_query_id(record.fields), *(named if isinstance(named, list) else ())]
        is_valid = record.error is not None or all(map(is_trec_id, values))
        return record if is_valid else replace(record, error=INVALID_TREC_ID)

    def _trec_lines(self, part: Part, index: int, record: Record, result: RowResult) -> Iterator[str]:
        """Return the lines of a TREC run for a record; a record without an id is named by part and index."""
        columns = self._input.columns
        query_id = find_query_id(record.fields)
        count = len(record.fields[columns.documents])
        document_ids: Sequence[Any] = range(count) if columns.ids is None else record.fields[columns.ids]
        return format_trec_lines(
            f"{part.number}-{index}" if query_id is None else query_id, document_ids, result.response
        )
