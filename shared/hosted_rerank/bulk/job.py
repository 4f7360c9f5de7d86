"""A job over files: its settings, results and progress, and the engine that runs it."""

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from hosted_rerank._validation import check_count
from hosted_rerank.bulk.batch import DEFAULT_CONCURRENCY, RerankBatch
from hosted_rerank.bulk.inputs import open_input
from hosted_rerank.bulk.parts import Input, Part
from hosted_rerank.bulk.rows import DEFAULT_COLUMNS, Columns
from hosted_rerank.bulk.storage import Folder, is_local, normalize_uri

DEFAULT_PART_ROWS = 1000
"""The default number of rows of a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The settings of a job. It is sent to workers and holds no key, because they read their own environment.

    Args:
        input: The path or URI of a file, of a folder or a glob of files (JSONL, CSV, TSV, Arrow, Parquet; the first
            three also as `.gz` or `.zst`), or of a folder in BEIR's layout.
        output: The path or URI of the output folder. URIs are those of fsspec: `s3://bucket/out`, `gs://`, `abfs://`.
        run: The path or URI of a TREC run with the candidates of each query; required for a folder in BEIR's layout.
        provider: The name of a provider.
        model: The model's id; `None` for the provider's default.
        columns: The names of the columns.
        pairs: Whether each row of the input holds one document. Rows of one query that stand together are one row
            then. MS MARCO's TSV is recognized.
        top_n: The number of documents to keep for each row; `None` for all.
        concurrency: The maximum number of rows in flight for each worker.
        part_rows: The maximum number of rows of a part. A resumed job keeps the parts of its first run.
        format: The output format; `None` for Parquet if the input is Parquet, else JSONL.
        trec: Whether to write a TREC run as well. A query's id is `query_id` or `id` of its row, else generated.
        settings: More settings of `Reranker`.

    Raises:
        ValueError: A setting has an invalid value.
        TypeError: A setting is unknown, has the wrong type, or cannot be sent to workers.
    """

    input: str
    output: str
    run: str | None = None
    provider: str = "fireworks"
    model: str | None = None
    columns: Columns = DEFAULT_COLUMNS
    pairs: bool = False
    top_n: int | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    part_rows: int = DEFAULT_PART_ROWS
    format: Literal["jsonl", "parquet"] | None = None
    trec: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        check_count("part_rows", self.part_rows, least=1)
        for name in ("input", "output", "run"):
            if (uri := getattr(self, name)) is not None:
                object.__setattr__(self, name, normalize_uri(uri))
        about: dict[str, Any] = {"top_n": self.top_n, "concurrency": self.concurrency, **self.settings}
        RerankBatch(self.provider, self.model, **about).close()  # raises for invalid settings before a folder is made

    def open(self) -> Input:
        """Open the input.

        Raises:
            ValueError: The input has another format, or `run` is missing for a folder in BEIR's layout.
            FileNotFoundError: The input does not exist.
        """
        index_folder = self.output if is_local(self.output) else None
        return open_input(self.input, self.columns, self.run, index_folder, pairs=self.pairs)

    @property
    def folder(self) -> Folder:
        """The output folder."""
        return Folder(self.output)

    @property
    def uris(self) -> tuple[str, ...]:
        """The URIs of the input, the output and the run."""
        return tuple(uri for uri in (self.input, self.output, self.run) if uri is not None)


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run of a job, as workers get it.

    Args:
        job: The job.
        id: The job's identity, a hash of what changes its answers.
        accepted: The identities of earlier runs whose changes were accepted, so that their answers count.
        retry_failed: Whether failed rows of earlier runs are sent again.
    """

    job: Job
    id: str
    accepted: Sequence[str] = ()
    retry_failed: bool = False


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
    error_class: str | None = None
    """The name of the class of the API's error that ends the job, if it is one."""


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


Count: TypeAlias = Callable[[int, int, int], None]
"""A function that counts finished rows, failed ones among them, and tokens."""


class Engine(Protocol):
    """Runs the parts of a job."""

    def check(self, job: Job) -> None:
        """Raise `JobError` if this engine cannot run the job. It is called before anything is written or sent."""
        ...

    def work(self, run: JobRun, parts: Sequence[Part], count: Count) -> Generator[PartResult]:
        """Yield the result of each part when it is finished, and count rows or parts.

        When the generator is closed or interrupted, the engine sends no more rows and waits for those under way.
        """
        ...

    @property
    def rate(self) -> float:
        """The learned limit in requests per second; infinite while no limit is known."""
        ...
