"""A job over files: its settings, results, progress and errors, and the engine that runs it."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from hosted_rerank._validation import check_count
from hosted_rerank.bulk.batch import DEFAULT_CONCURRENCY, RerankBatch
from hosted_rerank.bulk.inputs import open_input
from hosted_rerank.bulk.parts import Input, Part
from hosted_rerank.bulk.rows import DEFAULT_COLUMNS, Columns, RowResult

DEFAULT_PART_ROWS = 1000
"""The default number of rows of a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The settings of a job. It is sent to workers and holds no key, because they read their own environment.

    Args:
        input: A `.jsonl` or `.parquet` file, or a folder in BEIR's layout.
        output: The output folder; all workers must see it.
        run: A TREC run with the candidates of each query; required for a folder.
        provider: The name of a provider.
        model: The model's id; `None` for the provider's default.
        columns: The names of the columns.
        top_n: The number of documents to keep for each row; `None` for all.
        concurrency: The maximum number of rows in flight for each worker.
        part_rows: The maximum number of rows of a part.
        format: The output format; `None` for Parquet if the input is Parquet, else JSONL.
        trec: Whether to write a TREC run as well. A query's id is `query_id` or `id` of its row, else generated.
        settings: More settings of `Reranker`.

    Raises:
        ValueError: A setting has an invalid value.
        TypeError: A setting is unknown, has the wrong type, or cannot be sent to workers.
    """

    input: Path
    output: Path
    run: Path | None = None
    provider: str = "fireworks"
    model: str | None = None
    columns: Columns = DEFAULT_COLUMNS
    top_n: int | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    part_rows: int = DEFAULT_PART_ROWS
    format: Literal["jsonl", "parquet"] | None = None
    trec: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        check_count("part_rows", self.part_rows, least=1)
        about: dict[str, Any] = {"top_n": self.top_n, "concurrency": self.concurrency, **self.settings}
        RerankBatch(self.provider, self.model, **about).close()  # raises for invalid settings before a folder is made

    def open(self) -> Input:
        """Open the input.

        Raises:
            ValueError: The input has another format, or `run` is missing for a folder.
            FileNotFoundError: The input does not exist.
        """
        return open_input(self.input, self.columns, self.run, self.output)

    @property
    def suffix(self) -> str:
        """The file suffix of the output's parts, without a dot."""
        return self.format or ("parquet" if self.input.suffix == ".parquet" else "jsonl")

    @property
    def manifest(self) -> dict[str, Any]:
        """The settings that identify this job. `concurrency` does not, because it does not change the output."""
        about = asdict(replace(self, concurrency=1, settings={}))
        about = {name: str(value) if isinstance(value, Path) else value for name, value in about.items()}
        del about["output"], about["concurrency"], about["settings"]
        return about | {
            "settings": dict(self.settings),
            "fingerprint": self.open().fingerprint(),
            "suffix": self.suffix,
        }


@dataclass(frozen=True, slots=True)
class PartResult:
    """The result of a part."""

    number: int
    rows: int
    failed: int = 0
    """The number of rows in the dead-letter file."""
    tokens: int = 0
    fatal: str | None = None
    """The error that ends the job, such as a wrong key, model or account; else `None`."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """The result of a job.

    Args:
        rows: The number of rows, failed ones included.
        failed: The number of rows in dead-letter files.
        tokens: The number of billed tokens, as far as the API counts them.
        parts: The number of parts.
        resumed: The number of parts that were finished before this run.
    """

    rows: int
    failed: int
    tokens: int
    parts: int
    resumed: int


@dataclass(slots=True)
class Progress:
    """The progress of a job.

    Args:
        total: The number of rows of the input.
        rows: The number of finished rows, failed ones included.
        failed: The number of failed rows.
        tokens: The number of billed tokens so far.
        rate: The learned limit in requests per second; infinite while no limit is known.
    """

    total: int
    rows: int = 0
    failed: int = 0
    tokens: int = 0
    rate: float = math.inf


class Engine(Protocol):
    """Runs the parts of a job."""

    def work(self, job: Job, parts: Sequence[Part], on_row: Callable[[RowResult], None]) -> Iterator[PartResult]:
        """Yield the result of each part when it is finished. An engine may call `on_row` with each row before that."""
        ...

    @property
    def rate(self) -> float:
        """The learned limit in requests per second; infinite while no limit is known."""
        ...


class JobError(Exception):
    """Ends a job for a reason that affects every row. Finished parts are kept; the message holds the reason."""
