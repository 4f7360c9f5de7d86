"""The messages with which APIs refuse a request because of its size, as patterns with the numbers in them.

A pattern is the API's own sentence, not a word of it: "documents at index 3 exceed maximum" or "limit of documents of
your plan" says nothing about the size of a request. The group `limit` is the size that the API accepts, and the group
`size` is the size that it counted.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from hosted_rerank.errors import SizeRefusal, SizeUnit
from hosted_rerank.providers.json_path import is_array, is_object, parse

_MAX_JSON = 4 << 20
"""Maximum bytes of a body that is parsed as JSON."""
_MAX_SEARCHED = 1 << 14
"""Maximum characters of a body that are searched."""
_MAX_DEPTH = 8
"""Maximum depth of the JSON that is searched."""

SERVER_SIZE_ERRORS: Mapping[str, SizeUnit] = {
    # TEI, and what is built on it: SiliconFlow, Hugging Face's endpoints.
    r"batch size (?P<size>\d{1,9}) > maximum allowed batch size (?P<limit>\d{1,9})": "documents",
    # pydantic, which validates the requests of every FastAPI server (NIM, Infinity): the field and the problem.
    r'"(?:documents|texts|passages|inputs?)"\],"msg":"List should have at most (?P<limit>\d{1,9}) items? after'
    r" validation, not (?P<size>\d{1,9})": "documents",
    # Small servers and gateways: "Too many documents: 120 (max 100)", "too many documents: max 100, got 120".
    r"\btoo many (?:documents|texts|passages)\b(?:\W{1,3}(?:got )?(?P<size>\d{1,9}))?"
    r"(?:\D{0,6}(?:max\w*|at most|limit|exceeds|>)\D{0,16}(?P<limit>\d{1,9}))?": "documents",
    r"\bmax number of documents is (?P<limit>\d{1,9})": "documents",  # Baidu
}
"""The messages of servers, which an API of any kind may be built on."""

COHERE_SIZE_ERRORS: Mapping[str, SizeUnit] = {
    r"number of (?:texts|documents) must be at most (?P<limit>\d{1,9})(?: - received (?P<size>\d{1,9}))?": "documents",
}
VOYAGE_SIZE_ERRORS: Mapping[str, SizeUnit] = {
    r"max allowed tokens per submitted batch is (?P<limit>[\d,]{1,12})"
    r"(?:\. Your batch has (?P<size>[\d,]{1,12}) tokens)?": "tokens",
}
DASHSCOPE_SIZE_ERRORS: Mapping[str, SizeUnit] = {
    r"batch size is invalid, it should not be larger than (?P<limit>\d{1,9})": "documents",
}
BEDROCK_SIZE_ERRORS: Mapping[str, SizeUnit] = {
    r"at 'sources' failed to satisfy constraint: Member must have length less than or equal to (?P<limit>\d{1,9})": (
        "documents"
    ),
}
GOOGLE_SIZE_ERRORS: Mapping[str, SizeUnit] = {
    r"Request payload size exceeds the limit: (?P<limit>\d{1,12}) bytes": "bytes",
}
GATEWAY_SIZE_ERRORS: Mapping[str, SizeUnit] = {
    **SERVER_SIZE_ERRORS,
    **COHERE_SIZE_ERRORS,
    **VOYAGE_SIZE_ERRORS,
    **DASHSCOPE_SIZE_ERRORS,
    **BEDROCK_SIZE_ERRORS,
    **GOOGLE_SIZE_ERRORS,
}
"""All of them, for a gateway that repeats the message of the API behind it."""


def find_size_refusal(content: bytes, size_errors: Mapping[str, SizeUnit]) -> SizeRefusal | None:
    """Returns what an error says about the size of the request; `None` if it says nothing about that.

    Args:
        content: The body of the error. What it repeats of the request under `input` is not searched.
        size_errors: The patterns of the provider, each with the unit that it means.
    """
    said = _searchable(content)
    for pattern, unit in size_errors.items():
        if found := re.search(pattern, said, re.IGNORECASE):
            numbers = {name: int(number.replace(",", "") or 0) for name, number in found.groupdict("0").items()}
            return SizeRefusal(unit, numbers.get("limit") or None, numbers.get("size") or None)
    return None


def _searchable(content: bytes) -> str:
    """Returns the part of a body that is searched: JSON is compact and without `input`, the request itself."""
    body, is_json = parse(content) if len(content) <= _MAX_JSON else (None, False)
    searched = orjson.dumps(_without_input(body, 0)) if is_json else content
    return searched[:_MAX_SEARCHED].decode("utf-8", "replace")


def _without_input(value: Any, depth: int) -> Any:
    """Returns JSON without the values under `input`, and without what is too deep."""
    if is_object(value):
        return {
            name: _without_input(each, depth + 1)
            for name, each in value.items()
            if name != "input" and depth < _MAX_DEPTH
        }
    if is_array(value):
        return [_without_input(each, depth + 1) for each in value if depth < _MAX_DEPTH]
    return value
