"""`Ranking`: the content of one response, and its parts beside the scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hosted_rerank.providers.json_path import is_object
from hosted_rerank.response import Usage

PROMPT_TOKENS = ("prompt_tokens", "input_tokens", "input_token_count")
"""The names that APIs give to the count of the tokens that they read."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The content of one response: scores by position in the request's documents, usage, model and id."""

    scores: Mapping[int, float]
    """In the order of the reply."""
    usage: Usage
    model: str | None
    id: str | None
    next_page: str | None = None
    """The token for a request of the next page, from an API that answers in pages."""
    incomplete: str | None = None
    """The number of results and of those that were requested, in words; `None` if the ranking is complete."""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """The fields of the response beside its results."""
    result_extras: Mapping[int, Mapping[str, Any]] = field(default_factory=dict[int, Mapping[str, Any]], repr=False)
    """The other fields of each result that has some, by position in the request's documents."""


def result_extras(
    results: Sequence[Any], indices: Sequence[int], index: str | None, score: str
) -> Mapping[int, Mapping[str, Any]]:
    """Returns the fields of each result that are neither its index nor its score, by position in the request.

    Args:
        results: The results of a response, which `decode_scores` has checked.
        indices: The position of each one's document in the request.
        index: The path of the index in a result; `None` if it has none.
        score: The path of the score in a result.
    """
    known = {name for name in (index, score) if name}
    return {
        place: {name: value for name, value in result.items() if name not in known}
        for place, result in zip(indices, results, strict=True)
        if is_object(result) and not known.issuperset(result)
    }


def usage_of(counts: Mapping[str, Any]) -> Usage:
    """Returns the usage in a provider's counts.

    Args:
        counts: Counts by the provider's names; values that are not numbers are left out.
    """
    units = {name: _whole(count) for name, count in counts.items() if type(count) in (int, float)}
    prompts = [units.pop(name) for name in PROMPT_TOKENS if type(units.get(name)) is int]
    total = units.pop("total_tokens") if type(units.get("total_tokens")) is int else None
    return Usage(prompts[0] if prompts else None, total, units)


def _whole(count: float) -> Any:
    """Returns a count that an API writes as 12.0 as the int that it is."""
    return int(count) if isinstance(count, float) and count.is_integer() else count
