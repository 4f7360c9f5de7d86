"""Checks of what callers pass in, where more than one place takes it."""

from collections.abc import Sequence
from typing import cast

from hosted_rerank.errors import InvalidRequestError


def check_count(name: str, value: object, *, least: int) -> None:
    """Refuse what is no whole number, or less than `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if value < least:
        hint = "; None means all" if name == "top_n" else ""
        raise InvalidRequestError(f"{name} must be at least {least}, not {value}{hint}")


def check_sequence(name: str, values: object) -> None:
    """Refuse what is no list of anything: a single text, a mapping, what can be read only once."""
    if type(values) is not list and (isinstance(values, (str, bytes)) or not isinstance(values, Sequence)):
        raise TypeError(f"{name} must be a list, not {type(values).__name__}")


def check_list(name: str, values: object, kind: type) -> None:
    """Refuse what is no list of a kind of thing."""
    check_sequence(name, values)
    things = cast("Sequence[object]", values)
    if all(issubclass(found, kind) for found in set(map(type, things))):  # a loop in C: there may be 10,000 of them
        return
    for place, value in enumerate(things):
        if not isinstance(value, kind):
            raise TypeError(f"{name}[{place}] must be a {kind.__name__}, not {type(value).__name__}")
