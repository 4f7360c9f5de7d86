"""Reads and writes JSON by path, and never fails on JSON of an unexpected shape.

A path is dotted; a number in it is a position in an array (`queries.0.text`).
"""

import codecs
import json
from contextlib import suppress
from math import isinf
from typing import Any, TypeGuard

import orjson

_MAX_EXPLAINED = 1 << 20
"""Maximum bytes of a body that are searched for the reason why it is not JSON."""
_TYPE_NAMES = {bool: "a boolean", str: "a string", list: "an array", dict: "an object", type(None): "nothing"}


def parse(content: bytes) -> tuple[Any, bool]:
    """Returns the JSON value in a body, and whether the body is JSON.

    It raises no exception: orjson's exception holds the whole body, and an error that a caller keeps would keep it too.
    A byte order mark before the JSON, which RFC 8259 lets a parser ignore, is ignored.
    """
    try:
        return orjson.loads(content.removeprefix(codecs.BOM_UTF8)), True
    except orjson.JSONDecodeError:
        return None, False


def explain_not_json(content: bytes) -> str:
    """Returns why a body is not JSON, as far as one can tell, in words that hold nothing of the body.

    Args:
        content: A body that `parse` cannot read.
    """
    found: list[str] = []

    def read_float(digits: str) -> float:
        if isinf(number := float(digits)):
            found.append("a number too large for a float")
        return number

    def read_constant(name: str) -> None:
        found.append(f"the number {name}, which JSON does not have")

    with suppress(ValueError, RecursionError):  # what stands before the problem tells enough
        json.loads(content[:_MAX_EXPLAINED], parse_float=read_float, parse_constant=read_constant)
    return f"its body is not JSON: it has {found[0]}" if found else "its body is not JSON"


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
    body[name] = copy_with(body.get(name), rest, value)


def copy_with(existing: Any, path: str, value: Any) -> Any:
    """Returns a copy of a JSON value with another value at a path; the arrays and objects on the way are made.

    Args:
        existing: The value, which stays as it is; it may belong to a `Provider`.
        path: The path; empty for the value itself.
        value: The other value.
    """
    if not path:
        return value
    step, _, rest = path.partition(".")
    if step.isdecimal():
        items: list[Any] = [*existing] if is_array(existing) else []
        items += [None] * (int(step) + 1 - len(items))
        items[int(step)] = copy_with(items[int(step)], rest, value)
        return items
    fields: dict[str, Any] = {**existing} if is_object(existing) else {}
    return fields | {step: copy_with(fields.get(step), rest, value)}


def without(body: dict[str, Any], path: str) -> dict[str, Any]:
    """Returns a copy of an object without the value at a path; other values are the same.

    Args:
        body: The object, which stays as it is.
        path: The path, through objects.
    """
    step, _, rest = path.partition(".")
    others = {name: value for name, value in body.items() if name != step}
    inner = body.get(step)
    return others | {step: without(inner, rest)} if rest and is_object(inner) else others
