"""`ReportRow`: the results of one ranking, and how they are written."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hosted_rerank.evaluation.measures import Gain, measure_names

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class ReportRow:
    """The results of one ranking: the first stage or one reranker.

    Args:
        name: The name of the evaluation.
        measures: The mean of each measure over the answered queries.
        queries: The number of the answered queries.
        gains: The gain of each measure over the first stage on these queries; empty for the first stage.
        latency: The percentiles `p50`, `p95` and `p99` of the answered queries, in seconds.
        tokens: The number of billed tokens; `None` if the API does not count them.
        requests: The number of HTTP requests, retries included.
        failures: The number of failed queries, by the name of the error.
        ties: The number of queries in which documents have equal scores.
        cost: The money for 1,000 queries; `None` without a price.
    """

    name: str
    measures: Mapping[str, float]
    queries: int
    gains: Mapping[str, Gain] = field(default_factory=dict[str, Gain])
    latency: Mapping[str, float] = field(default_factory=dict[str, float])
    tokens: int | None = None
    requests: int | None = None
    failures: Mapping[str, int] = field(default_factory=dict[str, int])
    ties: int = 0
    cost: float | None = None

    @property
    def failed(self) -> int:
        """The number of failed queries."""
        return sum(self.failures.values())


def list_cells(row: ReportRow, k: int) -> dict[str, str]:
    """Return what a table shows of a row, by heading; an empty text for what it lacks.

    Args:
        row: The row.
        k: The cutoff rank of the measures.
    """
    names = measure_names(k)
    gain = row.gains.get(names[0])
    asked = row.requests is not None
    return {
        **{name: f"{row.measures[name]:.3f}" if name in row.measures else "-" for name in names},
        "gain": "" if gain is None else f"{gain.mean:+.3f}",
        "±": "" if gain is None else f"{(gain.high - gain.low) / 2:.3f}",
        "won": "" if gain is None else str(gain.wins),
        "lost": "" if gain is None else str(gain.losses),
        **{f"p{p} s": f"{row.latency[f'p{p}']:.3f}" if row.latency else "" for p in PERCENTILES},
        "tokens": "" if row.tokens is None else f"{row.tokens:,}",
        "requests": f"{row.requests:,}" if asked else "",
        "per 1,000": "" if row.cost is None else f"{row.cost:.4g}",
        "tied": str(row.ties) if asked else "",
        "failed": str(row.failed) if asked else "",
    }
