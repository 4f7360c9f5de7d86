"""Reads and writes JSON by path, and never fails on JSON of an unexpected shape.

A path is dotted; a number in it is a position in an array (`queries.0.text`).
"""

from typing import Any, TypeGuard

import orjson

_TYPE_NAMES = {bool: "a boolean", str: "a string", list: "an array", dict: "an object", type(None): "nothing"}


def parse(content: bytes) -> tuple[Any, bool]:
    """Returns the JSON value in a body, and whether the body is JSON.

    It raises no exception: orjson's exception holds the whole body, and an error that a caller keeps would keep it too.
    """
    try:
        return orjson.loads(content), True
    except orjson.JSONDecodeError:
        return None, False


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Returns whether a value is a JSON object."""
    return isinstance(value, dict)


def is_array(value: Any) -> TypeGuard[list[Any]]:
    """Returns whether a value is a JSON array."""
    return isinstance(value, list)


def describe_type(value: Any) -> str:
    """Returns the JSON type of a value in words; never the value, which may be a text of the caller."""
    return next((name for kind, name in _TYPE_NAMES.items() if isinstance(value, kind)), "a number")


def at(value: Any, path: str) -> Any:
    """Returns the value at a path, `None` if there is no such path, and `value` itself for the empty path."""
    for step in path.split(".") if path else ():
        if is_object(value):
            value = value.get(step)
        elif is_array(value) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def put(body: dict[str, Any], path: str, value: Any) -> None:
    """Sets the value at a path, and makes the objects and arrays that lead to it."""
    name, _, rest = path.partition(".")
    body[name] = _copy_with(body.get(name), rest, value)


def _copy_with(existing: Any, path: str, value: Any) -> Any:
    """Returns a copy of `existing` with `value` at the path; `existing` may belong to a `Provider`."""
    if not path:
        return value
    step, _, rest = path.partition(".")
    if step.isdecimal():
        items: list[Any] = [*existing] if is_array(existing) else []
        items += [None] * (int(step) + 1 - len(items))
        items[int(step)] = _copy_with(items[int(step)], rest, value)
        return items
    fields: dict[str, Any] = {**existing} if is_object(existing) else {}
    return fields | {step: _copy_with(fields.get(step), rest, value)}
