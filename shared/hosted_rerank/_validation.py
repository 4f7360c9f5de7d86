"""Checks of arguments that several functions take."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from difflib import get_close_matches
from typing import Any, cast

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


def closest(name: str, known: Iterable[str]) -> str | None:
    """Returns the known name that is closest to a mistyped one, whatever its case; `None` if none is close.

    Args:
        name: The name.
        known: The known names.
    """
    names = {each.lower(): each for each in known}
    found = get_close_matches(name.lower(), names, n=1)
    return names[found[0]] if found else None


def check_sequence(name: str, values: object) -> None:
    """Checks a list.

    Args:
        name: The parameter, for the message.
        values: The argument.

    Raises:
        TypeError: The argument is not a sequence: a single str, a mapping, or an iterator.
    """
    if type(values) is list or (isinstance(values, Sequence) and not isinstance(values, (str, bytes))):
        return
    kind, remedy = type(values).__name__, ""
    if isinstance(values, str):
        remedy = ": pass [text]"
    elif isinstance(values, (Iterator, Sized)) and not isinstance(values, (bytes, Mapping)):
        remedy = ": pass list(...)"
    elif values is not None:  # a single document or node
        remedy = ": pass a list with it"
    raise TypeError(f"{name} must be a list, not {kind}{remedy}")


def check_list(name: str, values: object, kind: type, remedies: Mapping[type[Any], str] | None = None) -> None:
    """Checks a list and the type of its items.

    Args:
        name: The parameter, for the message.
        values: The argument.
        kind: The type of the items.
        remedies: What to do about an item of another type, by that type.

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
            remedy = next((f": {text}" for other, text in (remedies or {}).items() if isinstance(value, other)), "")
            wrong = type(value).__name__
            if wrong == kind.__name__:  # of another package
                wrong = f"{type(value).__module__}.{wrong}"
            raise TypeError(f"{name}[{index}] must be a {kind.__name__}, not {wrong}{remedy}")


def quote_start(name: str) -> str:
    """Returns the start of a name in quotes, for an error: what stands in the place of a name may be a key."""
    return repr(name) if len(name) <= _MAX_QUOTED else f"{name[:_MAX_QUOTED]!r}..."
