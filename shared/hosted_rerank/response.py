"""The response of a rerank: results, usage and facts about the call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from hosted_rerank._table_rendering import Line, as_html, as_table, as_text

if TYPE_CHECKING:
    from rich.table import Table

    from hosted_rerank.errors import RerankError

ScoreKind: TypeAlias = Literal["unit", "logit", "unknown"]
"""The scale of scores: "unit" from 0 to 1, "logit" any number, whose sigmoid is from 0 to 1, or "unknown"."""

ScoreTransform: TypeAlias = Literal["none", "sigmoid"]
"""The function that was applied to an API's scores."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage of a call, from the API's responses. Usages can be added.

    Args:
        prompt_tokens: The tokens of queries and documents; `None` if the API does not state them.
        total_tokens: All tokens; `None` if the API does not state them.
        units: Every other count by the API's name for it, such as `search_units`.
    """

    prompt_tokens: int | None = None
    total_tokens: int | None = None
    units: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def tokens(self) -> int | None:
        """The total tokens, or else the prompt tokens; `None` if the API states neither."""
        return self.prompt_tokens if self.total_tokens is None else self.total_tokens

    def __add__(self, other: "Usage") -> "Usage":
        units = dict(self.units)
        for name, count in other.units.items():
            units[name] = units.get(name, 0) + count
        return Usage(
            _add(self.prompt_tokens, other.prompt_tokens),
            _add(self.total_tokens, other.total_tokens),
            units,
        )


def _add(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else a + b


_NO_EXTRA: Mapping[str, Any] = {}
PASSAGE = "passage"
"""The key in `RerankResult.extra` of the place of a long document's best passage."""


class RerankResult(NamedTuple):
    """The score of one document; a tuple, because a call may return thousands of them.

    Attributes:
        index: The position of the document in the caller's list.
        relevance_score: The score, higher for more relevant documents; `RerankResponse.score_kind` is its scale. `None`
            for a blank document, which is never sent, and for one that an outage affected or that is too long.
        error: The class name of the error that kept the document from being scored, with `on_error="passthrough"`.
        extra: The other fields of the result in the API's reply, such as an `embedding` or the `document`; empty for a
            cached score. With `long_documents="passages"`, `{"passage": {"start": ..., "end": ...}}` is the place of
            the best passage, in characters of the text. It may hold texts, so the repr omits it.
    """

    index: int  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride] - hides tuple.index
    relevance_score: float | None
    error: str | None = None
    extra: Mapping[str, Any] = _NO_EXTRA

    def __repr__(self) -> str:
        error = f", error={self.error!r}" if self.error else ""
        return f"RerankResult(index={self.index}, relevance_score={self.relevance_score}{error})"


@dataclass(frozen=True, slots=True)
class RerankResponse:
    """The response of one `rerank` call.

    Args:
        results: The results, best first; equal scores of one sorted reply in its order, else in input order; blank
            documents last; at most `top_n`.
        usage: The usage of all requests, from the API's responses.
        model: The model that answered, from the API's response, or else the model of the request.
        provider: The name of the provider that answered.
        request_ids: The API's ids of the requests that succeeded, for the API's support desk; empty if it has none.
        attempts: The number of HTTP requests, retries included; 0 if there was nothing to send.
        elapsed: Seconds from the call to the answer, waits included.
        score_kind: The scale of the scores in `results`.
        score_transform: The function that was applied to the API's scores.
        sent: The number of documents, or passages of long ones, that were sent, each counted once, without retries.
        deduplicated: The number of documents or passages that were not sent because they equal another one.
        cached: The number of documents or passages whose score was in the cache, or came from another call in flight.
        error: The error that `on_error="passthrough"` handled, so that documents have no score; `None` for none.
        fallback_errors: The errors of the reranker and the fallbacks that failed before one answered, in order.
        extra: The fields of the API's reply beside its results, as the API wrote them: its `id`, `usage`, warnings, the
            tier that served. Of several requests, a field has the value of the last reply. They may hold texts, so the
            repr omits them.
    """

    results: tuple[RerankResult, ...]
    usage: Usage
    model: str
    provider: str
    request_ids: tuple[str, ...]
    attempts: int
    elapsed: float
    score_kind: ScoreKind = "unknown"
    score_transform: ScoreTransform = "none"
    sent: int = 0
    deduplicated: int = 0
    cached: int = 0
    error: "RerankError | None" = None
    fallback_errors: "tuple[RerankError, ...]" = ()
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)

    @property
    def summary(self) -> str:
        """The provider, model, time and usage of the call, in one line."""
        counts = {
            "tokens": self.usage.tokens,
            **self.usage.units,
            "requests": self.attempts,
            "from the cache": self.cached or None,
        }
        known = [(name.replace("_", " "), count) for name, count in counts.items() if count is not None]
        quantities = [f"{count:,.10g} {name.removesuffix('s') if count == 1 else name}" for name, count in known]
        name = " ".join(filter(None, (self.provider, self.model)))
        failure = [f"failed: {self.error}"] if self.error else []
        return ", ".join([name, f"{self.elapsed:.3f} s", *quantities, *failure])

    def _make_lines(self) -> list[Line]:
        return [
            Line(rank, result.index + 1, result.relevance_score, error=result.error)
            for rank, result in enumerate(self.results, 1)
        ]

    def __str__(self) -> str:
        return as_text(self._make_lines(), below=self.summary)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002, FBT001 - as IPython calls it
        printer.text(str(self))

    def _repr_html_(self) -> str:
        return as_html(self._make_lines(), below=self.summary)

    def __rich__(self) -> "Table":
        return as_table(self._make_lines(), below=self.summary)
