"""The settings of a caller: those of the environment, and checks of the key, headers, options and extra fields."""

import os
import re
from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from hosted_rerank._validation import quote_start
from hosted_rerank.providers.dialect import OptionType
from hosted_rerank.providers.provider import Provider

_FRAMING_HEADERS = ("content-length", "transfer-encoding")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Secret(Protocol):
    """A string that its repr hides, such as pydantic's `SecretStr`."""

    def get_secret_value(self) -> str: ...


Key: TypeAlias = str | Secret


def reveal(key: Key) -> str:
    """Returns the text of a key.

    Raises:
        TypeError: It is neither a str nor a `Secret`.
    """
    if isinstance(key, str):
        return key
    # isinstance with a protocol takes longer than encoding ten documents
    get = getattr(key, "get_secret_value", None)
    revealed = get() if get is not None else None
    if not isinstance(revealed, str):
        raise TypeError(f"api_key must be a str or a SecretStr, not {type(key).__name__}")
    return revealed


def check_key(key: str, source: str) -> None:
    """Raises the error for a text that is no key.

    Args:
        key: The text.
        source: The parameter or the environment variable that it comes from.

    Raises:
        ValueError: It is empty, or has a character that no key has.
    """
    if not key:
        raise ValueError(f"{source} is empty: leave it out to read the key from the environment, or to send none")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ValueError(
            f"{source} contains a space, a line break or another character that no key has: remove it"
            " (the usual cause is the line break at the end of a file)"
        )


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises `ValueError` for headers that cannot be sent, without their values."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"headers: {quote_start(name)} is not a valid header name")
        if name.lower() in _FRAMING_HEADERS:
            raise ValueError(f"headers: {name!r} is set by the HTTP client: leave it out")
        if not (value.isascii() and value.isprintable()) or value != value.strip():
            raise ValueError(
                f"headers: the value of {quote_start(name)} contains a line break, a space at an end, or a character"
                " outside ASCII"
            )


def check_options(options: Mapping[str, Any], provider: Provider) -> None:
    """Raises `ValueError` or `TypeError` for options that the provider does not list, or with other values."""
    known = provider.dialect.options
    for name, value in options.items():
        if reason := provider.dialect.refused_options.get(name):
            raise ValueError(f"options: {name} of the {provider.name} API cannot be used here: {reason}")
        if name not in known:
            fields = f"it takes {', '.join(known)}" if known else "it takes no options"
            extra = "; pass a field that is not listed as extra_body" if provider.dialect.allows_extra_fields else ""
            raise ValueError(f"options: the {provider.name} API has no option {name!r}: {fields}{extra}")
        _check_option(name, value, known[name])


def _check_option(name: str, value: Any, kind: OptionType) -> None:
    if isinstance(kind, tuple):
        if value not in kind:
            raise ValueError(f"options: {name} must be one of {', '.join(kind)}")
    elif isinstance(value, bool) is not (kind is bool) or not isinstance(
        value, (int, float) if kind is float else kind
    ):
        raise TypeError(f"options: {name} must be of type {kind.__name__}, not {type(value).__name__}")


def check_extra_body(extra: Mapping[str, Any], provider: Provider) -> None:
    """Raises `ValueError` for fields that the provider may refuse, or that are set in another way."""
    dialect = provider.dialect
    if extra and not dialect.allows_extra_fields:
        raise ValueError(f"extra_body: the {provider.name} API may refuse unknown fields: use options")
    own = (dialect.model, dialect.query, dialect.documents, dialect.top_n, dialect.instruction)
    taken = {path.partition(".")[0] for path in (*own, *dialect.static_fields, *dialect.options) if path is not None}
    for name in extra:
        if name in taken:
            raise ValueError(f"extra_body: {name!r} has its own parameter, or is an option: pass it there")


def first_set(names: tuple[str, ...]) -> str | None:
    """Returns the value of the first of some environment variables that is set and not empty."""
    return next(filter(None, map(os.environ.get, names)), None)


def find_base_url(provider: Provider, given: str | None) -> tuple[str | None, str]:
    """Returns the base URL of the caller, or else of the environment, and the name of the parameter or variable.

    Args:
        provider: The provider.
        given: The caller's; `None` for none.
    """
    found = ((os.environ.get(name, "").strip(), name) for name in provider.base_url_env if given is None)
    return next((pair for pair in found if pair[0]), (given, "base_url"))


def read_settings(provider: Provider) -> dict[str, str]:
    """Returns the settings of a provider that the environment has."""
    values = {name: first_set(env) for name, env in provider.settings_env.items()}
    return {name: value for name, value in values.items() if value is not None}
