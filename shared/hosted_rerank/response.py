"""What a caller gets: the results of a rerank, and what the API said of its cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from hosted_rerank._table_rendering import Line, as_html, as_table

if TYPE_CHECKING:
    from rich.table import Table

    from hosted_rerank.errors import RerankError

ScoreKind: TypeAlias = Literal["unit", "logit", "unknown"]
"""Where scores lie: from 0 to 1; anywhere, as a model's raw output, whose sigmoid lies from 0 to 1; or nobody says."""

ScoreTransform: TypeAlias = Literal["none", "sigmoid"]
"""What was done to an API's scores."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What an API says the call cost; a count it does not state is `None`."""

    prompt_tokens: int | None = None
    total_tokens: int | None = None
    units: Mapping[str, float] = field(default_factory=dict[str, float])
    """Every other count under the API's own name, such as `search_units`."""

    @property
    def tokens(self) -> int | None:
        """The tokens that were read, where the API counts any."""
        return self.prompt_tokens if self.total_tokens is None else self.total_tokens

    def __add__(self, other: "Usage") -> "Usage":
        units = dict(self.units)
        for name, count in other.units.items():
            units[name] = units.get(name, 0) + count
        return Usage(
            _sum(self.prompt_tokens, other.prompt_tokens),
            _sum(self.total_tokens, other.total_tokens),
            units,
        )


def _sum(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else a + b


class RerankResult(NamedTuple):
    """One document's place in the answer; a tuple, for there may be thousands of them."""

    index: int  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride] - where one value is in a tuple, nobody asks it
    """Position in the documents that were passed in."""
    relevance_score: float | None
    """Higher is more relevant; `RerankResponse.score_kind` tells the scale. `None`: a blank document, which is never
    sent, or one that an outage hit."""
    error: str | None = None
    """The name of the error that kept it from being scored, where `on_error="passthrough"` let it through."""


@dataclass(frozen=True, slots=True)
class RerankResponse:
    """The answer of one `rerank` call."""

    results: tuple[RerankResult, ...]
    """Best first, ties as in a sorted reply, else in input order; blank documents last; at most `top_n`."""
    usage: Usage
    model: str
    """The model that answered, as the API names it; the one asked for where it does not say."""
    provider: str
    request_ids: tuple[str, ...]
    """The API's ids of the answered requests, for its support desk; empty where it gives none."""
    attempts: int
    """HTTP requests made, retries included; 0 when there was nothing to send."""
    elapsed: float
    """Seconds from the call to the answer, waits included."""
    score_kind: ScoreKind = "unknown"
    """The scale of the scores as they are here."""
    score_transform: ScoreTransform = "none"
    """What was done to the API's own scores."""
    sent: int = 0
    """Documents that requests were made for, each once however often it was tried."""
    deduplicated: int = 0
    """Documents that were not sent because they equal another one."""
    cached: int = 0
    """Documents whose score was known, from the cache or from another call that was asking for it."""
    error: "RerankError | None" = None
    """What `on_error="passthrough"` passed over, so that documents are without a score."""
    fallback_errors: "tuple[RerankError, ...]" = ()
    """What kept the reranker, and fallbacks before the one that answered, from answering."""

    @property
    def summary(self) -> str:
        """Who answered, how long it took and what it cost, in one line."""
        counts = {
            "tokens": self.usage.tokens,
            **self.usage.units,
            "requests": self.attempts,
            "from the cache": self.cached or None,
        }
        known = [(name.replace("_", " "), count) for name, count in counts.items() if count is not None]
        said = [f"{count:,.10g} {name.removesuffix('s') if count == 1 else name}" for name, count in known]
        who = " ".join(filter(None, (self.provider, self.model)))
        return ", ".join([who, f"{self.elapsed:.3f} s", *said, *([f"failed: {self.error}"] if self.error else [])])

    def _lines(self) -> list[Line]:
        return [
            Line(rank, result.index + 1, result.relevance_score, error=result.error)
            for rank, result in enumerate(self.results, 1)
        ]

    def _repr_html_(self) -> str:
        return as_html(self._lines(), below=self.summary)

    def __rich__(self) -> "Table":
        return as_table(self._lines(), below=self.summary)
