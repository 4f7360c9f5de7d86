"""What a job over files is, what became of it, and who may work on it."""

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
"""Rows of a part, where the caller says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be done. It travels to workers, so it holds no key: those read their own environment."""

    input: Path
    """A `.jsonl` or `.parquet` file, or a folder in BEIR's layout."""
    output: Path
    """A folder that all workers see."""
    run: Path | None = None
    """The candidates of a folder's queries, as a TREC run."""
    provider: str = "fireworks"
    model: str | None = None
    columns: Columns = DEFAULT_COLUMNS
    top_n: int | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    """Rows under way at once, of each worker."""
    part_rows: int = DEFAULT_PART_ROWS
    format: Literal["jsonl", "parquet"] | None = None
    """Of the output; `None` for Parquet where Parquet comes in, else JSONL."""
    trec: bool = False
    """Whether a TREC run is written too; rows are named by their `query_id` or `id`, else by their number."""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """More of `Reranker`'s."""

    def __post_init__(self) -> None:
        check_count("part_rows", self.part_rows, least=1)
        about: dict[str, Any] = {"top_n": self.top_n, "concurrency": self.concurrency, **self.settings}
        RerankBatch(self.provider, self.model, **about).close()  # refuses what cannot be, before a folder is made

    def open(self) -> Input:
        """Return the input."""
        return open_input(self.input, self.columns, self.run, self.output)

    @property
    def suffix(self) -> str:
        """Of the parts of the output."""
        return self.format or ("parquet" if self.input.suffix == ".parquet" else "jsonl")

    @property
    def manifest(self) -> dict[str, Any]:
        """What tells this job from another one; the concurrency changes nothing of what comes out."""
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
    """What became of a part."""

    number: int
    rows: int
    failed: int = 0
    """Rows in the dead-letter file."""
    tokens: int = 0
    fatal: str | None = None
    """What ends the job: a wrong key, model or account."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """What became of a job."""

    rows: int
    """Those of the dead-letter files included."""
    failed: int
    tokens: int
    parts: int
    resumed: int
    """Parts that were done before."""


@dataclass(slots=True)
class Progress:
    """How far a job is."""

    total: int
    """Rows of the input."""
    rows: int = 0
    """Those that are done, failed ones included."""
    failed: int = 0
    tokens: int = 0
    rate: float = math.inf
    """Requests a second that the API allows, as far as it is known."""


class Engine(Protocol):
    """Who works through parts."""

    def work(self, job: Job, parts: Sequence[Part], on_row: Callable[[RowResult], None]) -> Iterator[PartResult]:
        """Yield what became of each part when it is done; `on_row` may hear of each row before that."""
        ...

    @property
    def rate(self) -> float:
        """Requests a second that the API allows, as far as it is known; else infinite."""
        ...


class JobError(Exception):
    """What no row is at fault for ended the job; what was done is kept, and the message says what it was."""
