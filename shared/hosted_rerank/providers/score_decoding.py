"""Reads the scores in the results of a response and checks each one.

A wrong index would give one document the score of another, so a result that is not exactly right is an error.
"""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from hosted_rerank.errors import MalformedResponseError
from hosted_rerank.providers.json_path import at, describe_type


def decode_scores(
    results: list[Any],
    *,
    sent: int,
    earlier: Mapping[int, float],
    index: str | None,
    score: str,
    index_is_id: bool,
    default_score: float | None,
) -> dict[int, float]:
    """Returns the score of each document by its position in the request.

    Args:
        results: The results of a response.
        sent: The number of documents in the request.
        earlier: The scores in earlier pages of the same response.
        index: The path of the index in a result; `None` if the results are in the order of the documents.
        score: The path of the score in a result.
        index_is_id: Whether the index is an id that the request gave the document, a decimal string.
        default_score: The score of a result that has none; `None` if each result must have one.

    Raises:
        MalformedResponseError: An index is not an int, out of range or repeated, or a score is not a finite number.
    """
    is_flat = index and score and "." not in index + score and not index_is_id and not score.isdecimal()
    scores = _decode_common_shape(results, index or "", score, sent) if is_flat and not earlier else None
    if scores is not None:
        return scores
    scores = dict(earlier)
    get_index, get_score = _choose_getter(index or ""), _choose_getter(score)
    kind, expected = _result_type(index or score)
    for place, result in enumerate(results):
        if not isinstance(result, kind):
            raise MalformedResponseError(f"result {place} is {describe_type(result)}, not {expected}")
        given = place if index is None else get_index(result, index)
        document = _check_index(_parse_id(given) if index_is_id else given, place, index, sent)
        if document in scores:
            raise MalformedResponseError(f"two results have the same {index!r}, {document}")
        value = get_score(result, score)
        scores[document] = _check_score(default_score if value is None else value, place, score)
    return scores


def _decode_common_shape(results: list[Any], index: str, score: str, sent: int) -> dict[int, float] | None:
    """Returns the scores of flawless results, by loops that run in C; `None` for any other results."""
    try:
        by_index: dict[Any, Any] = {result[index]: result[score] for result in results}
    except (TypeError, KeyError, IndexError):
        return None
    scores = by_index.values()
    typed = len(by_index) == len(results) and {*map(type, by_index)} <= {int} and {*map(type, scores)} <= {float}
    if not typed or not isfinite(sum(scores)) or (by_index and not 0 <= min(by_index) <= max(by_index) < sent):
        return None
    return by_index


def _result_type(path: str) -> tuple[type, str]:
    """Returns the type of a result in which a path leads somewhere, and its name."""
    if not path:
        return object, "a value"
    return (list, "an array") if path.partition(".")[0].isdecimal() else (dict, "an object")


def _choose_getter(path: str) -> Callable[[Any, str], Any]:
    """Returns the fastest function that reads a path of a result."""
    return at if "." in path or not path or path.isdecimal() else dict[str, Any].get


def _parse_id(document_id: Any) -> int | None:
    """Returns the position that an id of the request stands for; `None` for anything else."""
    is_id = isinstance(document_id, str) and document_id.isdecimal() and len(document_id) < 10
    return int(document_id) if is_id else None


def _check_index(document: Any, place: int, path: str | None, sent: int) -> int:
    if type(document) is not int or not 0 <= document < sent:
        shown = document if type(document) is int else describe_type(document)
        raise MalformedResponseError(f"result {place} has {shown} as {path!r}, not an index from 0 to {sent - 1}")
    return document


def _check_score(value: Any, place: int, path: str) -> float:
    if (type(value) is not float and type(value) is not int) or not isfinite(value):
        raise MalformedResponseError(f"result {place} has {describe_type(value)} as {path!r}, not a finite number")
    return float(value)
