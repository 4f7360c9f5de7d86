"""Checks of what callers pass in, where more than one place takes it."""

from collections.abc import Sequence

from hosted_rerank.errors import InvalidRequestError


def check_count(name: str, value: object, *, least: int) -> None:
    """Refuse what is no whole number, or less than `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if value < least:
        hint = "; None means all" if name == "top_n" else ""
        raise InvalidRequestError(f"{name} must be at least {least}, not {value}{hint}")


def check_list(name: str, value: object) -> None:
    """Refuse what is no list of things: a single text, a mapping, or what can be read only once."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise TypeError(f"{name} must be a list, not {type(value).__name__}")
