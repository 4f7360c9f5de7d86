"""Reading JSON that cannot be trusted: every look at it says what to do where the expected is not there."""

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
    """What stands at a dotted path, `None` where the path leads nowhere; the value itself for the empty path."""
    for step in path.split(".") if path else ():
        if not is_object(value):
            return None
        value = value.get(step)
    return value


def put(body: dict[str, Any], path: str, value: Any) -> None:
    """Set what stands at a dotted path, with the objects on the way."""
    *steps, name = path.split(".")
    for step in steps:
        body[step] = {**body.get(step, {})}  # a copy: what stood there may be a row's own
        body = body[step]
    body[name] = value
