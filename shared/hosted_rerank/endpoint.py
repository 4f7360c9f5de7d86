"""One caller's way to one API: address, model, key and the fields that go along, checked before any request."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from hosted_rerank.dialect import Kind
from hosted_rerank.errors import AuthenticationError, InvalidRequestError
from hosted_rerank.providers import PROVIDERS, Provider
from hosted_rerank.wire import ENCODINGS


@runtime_checkable
class Secret(Protocol):
    """What pydantic's `SecretStr` is: a string that does not show itself."""

    def get_secret_value(self) -> str: ...


Key: TypeAlias = str | Secret

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Hosts that a key may go to over plain http; no proxy is asked for them."""

_CREDENTIAL = re.compile(r"auth|key|token|secret|cookie|password|session", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_URL = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A provider as one caller uses it.

    Raises:
        ValueError: A parameter cannot be right; the message names it and the remedy, and shows no value of a key.
        TypeError: A parameter is of the wrong kind.
    """

    provider: Provider
    model: str | None = None
    api_key: Key | None = field(default=None, repr=False)
    base_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    params: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    url: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, value in (("model", self.model), ("base_url", self.base_url)):
            if value is not None and not isinstance(value, str):
                raise TypeError(f"{name} must be a str or None, not {type(value).__name__}")
        for name, values in (("params", self.params), ("headers", self.headers)):
            if not all(isinstance(text, str) for pair in values.items() for text in pair):
                raise TypeError(f"{name} must map str to str")
        if self.api_key is not None:
            _check_key(_reveal(self.api_key), "api_key")
        _check_headers(self.headers)
        _check_options(self.options, self.provider)
        object.__setattr__(self, "model", self.model or self.provider.model)
        object.__setattr__(self, "url", _address(self.provider, self.base_url, self.params))

    def key(self) -> str | None:
        """Return the key for a request: the one given, or what the provider's environment variables hold now.

        Raises:
            AuthenticationError: The vendor's own host is asked without a key, the environment's key is none, or the key
                would travel in the clear.
        """
        env = self.provider.env
        key = _reveal(self.api_key) if self.api_key is not None else None
        for name in env if key is None else ():
            if key := os.environ.get(name):
                self._check_found(key, name)
                break
        if key or any(map(is_credential, (*self.headers, *self.params))):
            self._guard_key()
        elif env and self.base_url is None:
            raise AuthenticationError(
                f"there is no key for {self.provider.name}: pass api_key= or set {' or '.join(env)}"
                " (pickles and dumps of a reranker do not hold the key)",
                provider=self.provider.name,
            )
        return key or None

    def _check_found(self, key: str, name: str) -> None:
        try:
            _check_key(key, name)
        except ValueError as problem:
            raise AuthenticationError(str(problem), provider=self.provider.name) from None

    def _guard_key(self) -> None:
        """Refuse to send a key where others can read it on the way."""
        address = urlsplit(self.url)
        if address.scheme == "http" and not self.provider.plain_http and address.hostname not in LOOPBACK:
            raise AuthenticationError(
                f"the key would go to {address.hostname} over plain http: use https,"
                " or a Provider(..., plain_http=True) if the network in between is yours",
                provider=self.provider.name,
            )

    def secrets(self, key: str | None) -> list[str]:
        """The key, and what headers and parameters hold that may be one."""
        values = [v for n, v in (*self.headers.items(), *self.params.items()) if is_credential(n)]
        return [*([key] if key else []), *(word for value in values for word in value.split() if len(word) >= 8)]

    def request_headers(self, key: str | None) -> dict[str, str]:
        """The headers of a request; the caller's win over ours."""
        json = "application/json"
        headers = {"content-type": json, "accept": json, "accept-encoding": ", ".join(ENCODINGS)}
        if key:
            headers["authorization"] = f"Bearer {key}"
        return headers | {name.lower(): value for name, value in self.headers.items()}

    def check_instruction(self, instruction: str | None) -> None:
        """Refuse an instruction that the API could not be sent."""
        if instruction is None:
            return
        if not isinstance(instruction, str):
            raise TypeError(f"instruction must be a str or None, not {type(instruction).__name__}")
        if not instruction.strip():
            raise InvalidRequestError("instruction is blank: pass None for none", provider=self.provider.name)
        if self.provider.dialect.instruction is None:
            able = ", ".join(row.name for row in PROVIDERS.values() if row.dialect.instruction)
            raise InvalidRequestError(
                f"the {self.provider.name} API has no field for an instruction, so it would be lost silently:"
                f" leave instruction out, or use a provider that takes one ({able})",
                provider=self.provider.name,
            )


def is_credential(name: str) -> bool:
    """Whether a header or parameter of this name may hold a secret; such stay out of pickles, dumps and reprs."""
    return _CREDENTIAL.search(name) is not None


def without_credentials(values: Mapping[str, str]) -> dict[str, str]:
    """Return headers or parameters without those that may hold a secret."""
    return {name: value for name, value in values.items() if not is_credential(name)}


def _reveal(key: Key) -> str:
    revealed = key.get_secret_value() if isinstance(key, Secret) else key
    if not isinstance(revealed, str):
        raise TypeError(f"api_key must be a str or a SecretStr, not {type(key).__name__}")
    return revealed


def _check_key(key: str, source: str) -> None:
    if not key:
        raise ValueError(f"{source} is empty: leave it out to read the environment variable, or to send no key")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ValueError(
            f"{source} holds a space, a line break or another character that no key has;"
            " a line break at the end, from a file, is the usual cause"
        )


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"headers: {name!r} is no header name")
        if not (value.isascii() and value.isprintable()) or value != value.strip():
            raise ValueError(
                f"headers: the value of {name!r} holds a line break, a space at an end, or a character outside ASCII"
            )


def _check_options(options: Mapping[str, Any], provider: Provider) -> None:
    known = provider.dialect.options
    for name, value in options.items():
        if name not in known:
            fields = f"it takes {', '.join(known)}" if known else "it takes none"
            raise ValueError(f"options: the {provider.name} API has no field {name!r}; {fields}")
        _check_option(name, value, known[name])


def _check_option(name: str, value: Any, kind: Kind) -> None:
    if isinstance(kind, tuple):
        if value not in kind:
            raise ValueError(f"options: {name} must be one of {', '.join(kind)}")
    elif isinstance(value, bool) is not (kind is bool) or not isinstance(
        value, (int, float) if kind is float else kind
    ):
        raise TypeError(f"options: {name} must be of type {kind.__name__}, not {type(value).__name__}")


def _address(provider: Provider, base_url: str | None, params: Mapping[str, str]) -> str:
    """The full address of the endpoint, with the query parameters."""
    row = _split(provider.url, "url")
    if base_url is None:
        address = row
    elif row.scheme == "local":
        raise ValueError("base_url: provider 'local' runs in this process; ask a local server by a hosted one's name")
    else:
        given = _split(base_url, "base_url")
        address = given._replace(path=_continue(given.path, row.path))
    query = [*parse_qsl(address.query, keep_blank_values=True), *params.items()]
    return address._replace(query=urlencode(query)).geturl()


def _split(url: str, parameter: str) -> SplitResult:
    """The parts of a URL that a request can go to."""
    try:
        address = urlsplit(url.strip())
        port_ok = address.port is None or address.port > 0
    except ValueError:
        raise ValueError(f"{parameter} is no valid URL") from None
    if address.scheme == "local" and parameter == "url":
        return address
    sane = port_ok and _URL.fullmatch(url.strip())
    if address.scheme not in ("http", "https") or not address.hostname or not sane:
        raise ValueError(f"{parameter} must be an http or https URL with a host, such as https://host/v1")
    if address.username is not None or address.password is not None:
        raise ValueError(f"{parameter} holds a user name or password; pass the key as api_key=")
    if any(is_credential(name) for name, _ in parse_qsl(address.query, keep_blank_values=True)):
        raise ValueError(f"{parameter} has a parameter that may be a secret; pass it in params=")
    return address._replace(fragment="")


def _continue(base: str, path: str) -> str:
    """The endpoint's path below a base that may hold none, a part, or all of it.

    The part after the base's last segment is appended: `/v1/rerank` below `/proxy/v1` is `/proxy/v1/rerank`.
    """
    base, steps = base.rstrip("/"), path.strip("/").split("/")
    last = base.rsplit("/", 1)[-1]
    rest = steps[steps.index(last) + 1 :] if last in steps else steps
    return "/".join([base, *rest])
