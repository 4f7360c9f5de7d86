"""Numbers as the fields and the arguments of a call take them: one policy for all.

A whole number is an int, a float or a text without a fraction (3.0, "3"), or a number of numpy; a number of seconds or
a score likewise. A bool is no number.
"""

import math
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from hosted_rerank._validation import check_count
from hosted_rerank.errors import InvalidRequestError


def _refuse_bool(value: Any) -> Any:
    """Returns a value that is no bool; pydantic would take True for 1."""
    if isinstance(value, bool):
        raise ValueError("a bool is no number")  # noqa: TRY004 - pydantic turns a ValueError into its own error
    return value


Integer = Annotated[int, BeforeValidator(_refuse_bool)]
Count = Annotated[int, Field(ge=1), BeforeValidator(_refuse_bool)]
Number = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_refuse_bool)]

_INTEGER: TypeAdapter[int] = TypeAdapter(Integer)
_FLOAT: TypeAdapter[float] = TypeAdapter(Annotated[float, BeforeValidator(_refuse_bool)])


def to_count(name: str, value: object) -> int:
    """Returns a count that a caller gave, at least 1.

    Args:
        name: The parameter, for the message.
        value: The argument.

    Raises:
        TypeError: The argument is not a whole number.
        InvalidRequestError: It is less than 1.
    """
    try:
        count = _INTEGER.validate_python(value)
    except ValidationError:
        raise TypeError(f"{name} must be a whole number or None, not {_shown(value)}") from None
    check_count(name, count, least=1)
    return count


def to_number(name: str, value: object) -> float:
    """Returns a finite number that a caller gave.

    Args:
        name: The parameter, for the message.
        value: The argument.

    Raises:
        TypeError: The argument is no number.
        InvalidRequestError: It is not finite.
    """
    try:
        number = _FLOAT.validate_python(value)
    except ValidationError:
        raise TypeError(f"{name} must be a number or None, not {_shown(value)}") from None
    if not math.isfinite(number):
        raise InvalidRequestError(f"{name} must be finite, not {number}")
    return number


def _shown(value: object) -> str:
    """Returns a number as it is, and the type of anything else, which may be a text that must not be shown."""
    return str(value) if isinstance(value, float) else type(value).__name__
