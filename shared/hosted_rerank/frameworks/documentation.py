"""The docstring and the signature of a class with fields: what `help()`, `?` and an editor at run time show."""

import inspect
import textwrap
from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Model = TypeVar("Model", bound=BaseModel)

POSITIONAL = ("provider", "model")
"""The fields that a constructor takes by position too, as `Reranker` does."""


def document_fields(cls: type[Model]) -> type[Model]:
    """Adds the fields to the docstring of a class, and gives it a signature without validators.

    Args:
        cls: The class.

    Returns:
        The class.
    """
    if own := cls.__dict__.get("__doc__"):
        described = [_describe(name, each.description) for name, each in cls.model_fields.items() if each.description]
        cls.__doc__ = "\n".join([inspect.cleandoc(own), "", "Args:", *described, ""])
    types = _types(cls)
    parameters = [_parameter(name, field, types[name]) for name, field in cls.model_fields.items()]
    parameters.sort(key=lambda parameter: POSITIONAL.index(parameter.name) if parameter.name in POSITIONAL else 2)
    cls.__signature__ = Signature(parameters)
    return cls


def _describe(name: str, description: str) -> str:
    return textwrap.fill(f"{name}: {description}", 116, initial_indent="    ", subsequent_indent=" " * 8)


def _types(cls: type[BaseModel]) -> dict[str, Any]:
    """Returns the types of the fields, without the validators that `Annotated` adds at any depth."""
    carrier: Callable[[], None] = lambda: None  # noqa: E731 - what `get_type_hints` reads the annotations of
    carrier.__annotations__ = {name: field.annotation for name, field in cls.model_fields.items()}
    return get_type_hints(carrier)


def _parameter(name: str, field: FieldInfo, kind: Any) -> Parameter:
    default = Parameter.empty if field.is_required() else ... if field.default_factory else field.default
    place = Parameter.POSITIONAL_OR_KEYWORD if name in POSITIONAL else Parameter.KEYWORD_ONLY
    return Parameter(field.alias or name, place, default=default, annotation=kind)
