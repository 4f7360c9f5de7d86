"""Reading JSON that cannot be trusted: every look at it says what to do where the expected is not there.

A path is dotted; a number in it is a place in an array (`queries.0.text`).
"""

from typing import Any, TypeGuard

import orjson


def parse(content: bytes) -> tuple[Any, bool]:
    """Return the JSON value in a body, and whether there is one.

    Not an exception: orjson's holds the whole body, which would then hang on to the error that a caller sees.
    """
    try:
        return orjson.loads(content), True
    except orjson.JSONDecodeError:
        return None, False


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a value is a JSON object."""
    return isinstance(value, dict)


def is_array(value: Any) -> TypeGuard[list[Any]]:
    """Whether a value is a JSON array."""
    return isinstance(value, list)


def at(value: Any, path: str) -> Any:
    """What stands at a path, `None` where the path leads nowhere; the value itself for the empty path."""
    for step in path.split(".") if path else ():
        if is_object(value):
            value = value.get(step)
        elif is_array(value) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def put(body: dict[str, Any], path: str, value: Any) -> None:
    """Set what stands at a path, with the objects and arrays on the way."""
    name, _, rest = path.partition(".")
    body[name] = _with(body.get(name), rest, value)


def _with(there: Any, path: str, value: Any) -> Any:
    """A copy of `there`, which may be a row's own, with `value` at the path."""
    if not path:
        return value
    step, _, rest = path.partition(".")
    if step.isdecimal():
        items: list[Any] = [*there] if is_array(there) else []
        items += [None] * (int(step) + 1 - len(items))
        items[int(step)] = _with(items[int(step)], rest, value)
        return items
    fields: dict[str, Any] = {**there} if is_object(there) else {}
    return fields | {step: _with(fields.get(step), rest, value)}
