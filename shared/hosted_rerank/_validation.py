"""Checks of arguments that several functions take."""

from collections.abc import Sequence
from typing import cast

from hosted_rerank.errors import InvalidRequestError

_MAX_QUOTED = 12
"""Characters of an unknown name that an error shows."""


def check_count(name: str, value: object, *, least: int) -> None:
    """Checks a count.

    Args:
        name: The parameter, for the message.
        value: The argument.
        least: The least allowed value.

    Raises:
        TypeError: The argument is not an int.
        InvalidRequestError: It is less than `least`.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if value < least:
        hint = "; None means all" if name == "top_n" else ""
        raise InvalidRequestError(f"{name} must be at least {least}, not {value}{hint}")


def check_sequence(name: str, values: object) -> None:
    """Checks a list.

    Args:
        name: The parameter, for the message.
        values: The argument.

    Raises:
        TypeError: The argument is not a sequence: a single str, a mapping, or an iterator.
    """
    if type(values) is not list and (isinstance(values, (str, bytes)) or not isinstance(values, Sequence)):
        raise TypeError(f"{name} must be a list, not {type(values).__name__}")


def check_list(name: str, values: object, kind: type) -> None:
    """Checks a list and the type of its items.

    Args:
        name: The parameter, for the message.
        values: The argument.
        kind: The type of the items.

    Raises:
        TypeError: The argument is not a sequence, or one of its items has another type.
    """
    check_sequence(name, values)
    items = cast("Sequence[object]", values)
    if all(
        issubclass(found, kind) for found in set(map(type, items))
    ):  # a loop in C, because there may be 10,000 items
        return
    for index, value in enumerate(items):
        if not isinstance(value, kind):
            raise TypeError(f"{name}[{index}] must be a {kind.__name__}, not {type(value).__name__}")


def quote_start(name: str) -> str:
    """Returns the start of a name in quotes, for an error: what stands in the place of a name may be a key."""
    return repr(name) if len(name) <= _MAX_QUOTED else f"{name[:_MAX_QUOTED]!r}..."
