"""One caller's way to one API: address, model, key and the fields that go along, checked before any request."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, get_args
from urllib.parse import urlsplit

from hosted_rerank.errors import AuthenticationError, InvalidRequestError
from hosted_rerank.providers import PROVIDERS, Provider
from hosted_rerank.providers.auth import KeyHeader
from hosted_rerank.providers.dialect import Kind
from hosted_rerank.providers.url import address, complete, fill, is_credential
from hosted_rerank.response import ScoreTransform
from hosted_rerank.wire import ENCODINGS, LOOPBACK


class Secret(Protocol):
    """What pydantic's `SecretStr` is: a string that does not show itself."""

    def get_secret_value(self) -> str: ...


Key: TypeAlias = str | Secret

ScoreTransformChoice: TypeAlias = Literal["auto"] | ScoreTransform
"""What to do to an API's scores: as they are, their sigmoid, or "auto": the sigmoid where the row says that they are
logits. Never a scaling by the lowest and the highest: such scores would depend on the other documents."""

_JSON = "application/json"
_HEADERS = {"content-type": _JSON, "accept": _JSON, "accept-encoding": ", ".join(ENCODINGS)}
_FRAMING = ("content-length", "transfer-encoding")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


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
    extra_body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    score_transform: ScoreTransformChoice = "auto"
    instruction_in_query: bool = False
    url: str = field(init=False, repr=False)
    host: str = field(init=False, repr=False)
    """The host, and the port if the URL has one."""
    is_loopback: bool = field(init=False, repr=False)
    """Whether the requests stay on this machine."""
    parts: Mapping[str, str] = field(init=False, repr=False)
    """What the names in braces of the provider's URL may stand for."""

    _lower_headers: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, value in (("model", self.model), ("base_url", self.base_url)):
            if value is not None and not isinstance(value, str):
                raise TypeError(f"{name} must be a str or None, not {type(value).__name__}")
        for name, values in (("params", self.params), ("headers", self.headers)):
            if not all(isinstance(text, str) for pair in values.items() for text in pair):
                raise TypeError(f"{name} must map str to str")
        if self.score_transform not in ("auto", *get_args(ScoreTransform)):
            raise ValueError("score_transform must be 'auto', 'none' or 'sigmoid'")
        self._check_key_given()
        _check_headers(self.headers)
        found = _found(self.provider)
        options = {name: value for name, value in found.items() if name in self.provider.dialect.options}
        params = {name: value for name, value in found.items() if name not in options}
        settings = {**self.provider.params, **params, **self.params}
        _check_options(self.options, self.provider)
        _check_extra(self.extra_body, self.provider)
        model = self.model or (
            self.provider.default_model and complete(fill(self.provider.default_model, settings), self.provider)
        )
        object.__setattr__(self, "model", model)
        object.__setattr__(self, "options", {**options, **self.options})
        object.__setattr__(self, "url", address(self.provider, self.base_url, settings, model))
        object.__setattr__(self, "parts", settings)
        object.__setattr__(self, "_lower_headers", {name.lower(): value for name, value in self.headers.items()})
        target = urlsplit(self.url)
        object.__setattr__(self, "host", target.netloc)
        object.__setattr__(self, "is_loopback", target.hostname in LOOPBACK)

    def _check_key_given(self) -> None:
        if self.api_key is None:
            return
        if not isinstance(self.provider.auth, KeyHeader) and not self.provider.auth.takes_key:
            raise ValueError(
                f"api_key: the {self.provider.name} API takes credentials of its cloud, which are found where its own"
                " tools find them; an access token of yours goes into headers={'authorization': 'Bearer ...'}"
            )
        _check_key(_reveal(self.api_key), "api_key")

    def key(self) -> str | None:
        """Return the key for a request: the one given, or what the provider's environment variables hold now.

        Raises:
            AuthenticationError: The vendor's own host is asked without a key, the environment's key is none, or the key
                would travel in the clear.
        """
        env = self.provider.api_key_env
        key = _reveal(self.api_key) if self.api_key is not None else None
        for name in env if key is None else ():
            if key := os.environ.get(name):
                self._check_found(key, name)
                break
        signed = not isinstance(self.provider.auth, KeyHeader)
        if key or signed or any(map(is_credential, (*self.headers, *self.params))):
            self._guard_key()
        elif env and self.base_url is None and not self.is_loopback:
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
        if not self.is_loopback and not self.provider.allow_http and self.url.startswith("http:"):
            raise AuthenticationError(
                f"the key would go to {self.host} over plain http: use https,"
                " or a Provider(..., allow_http=True) if the network in between is yours",
                provider=self.provider.name,
            )

    def secrets(self, key: str | None) -> list[str]:
        """The key, and what headers and parameters hold that may be one."""
        values = [v for n, v in (*self.headers.items(), *self.params.items()) if is_credential(n)]
        return [*([key] if key else []), *(word for value in values for word in value.split() if len(word) >= 8)]

    def request_headers(self, key: str | None) -> dict[str, str]:
        """The headers of a request; the caller's win over ours."""
        auth = self.provider.auth
        keyed = auth.headers(key) if key and isinstance(auth, KeyHeader) else {}
        return {**_HEADERS, **self.provider.headers, **keyed, **self._lower_headers}

    def check_instruction(self, instruction: str | None) -> None:
        """Refuse an instruction that the API could not be sent."""
        if instruction is None:
            return
        if not isinstance(instruction, str):
            raise TypeError(f"instruction must be a str or None, not {type(instruction).__name__}")
        if not instruction.strip():
            raise InvalidRequestError("instruction is blank: pass None for none", provider=self.provider.name)
        if not (self.provider.dialect.takes_instruction or self.instruction_in_query):
            able = ", ".join(row.name for row in PROVIDERS.values() if row.dialect.takes_instruction)
            raise InvalidRequestError(
                f"the {self.provider.name} API has no field for an instruction, so it would be lost silently:"
                f" leave instruction out, pass instruction_in_query=True to put it before the query, or use a provider"
                f" that takes one ({able})",
                provider=self.provider.name,
            )


def _reveal(key: Key) -> str:
    if isinstance(key, str):
        return key
    reveal = getattr(key, "get_secret_value", None)  # to ask for the protocol takes longer than to encode ten documents
    revealed = reveal() if reveal is not None else None
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
            raise ValueError(f"headers: {name!r} is not the name of a header")
        if name.lower() in _FRAMING:
            raise ValueError(
                f"headers: {name!r} says how the body is framed, which the HTTP client decides: leave it out"
            )
        if not (value.isascii() and value.isprintable()) or value != value.strip():
            raise ValueError(
                f"headers: the value of {name!r} holds a line break, a space at an end, or a character outside ASCII"
            )


def _check_options(options: Mapping[str, Any], provider: Provider) -> None:
    known = provider.dialect.options
    for name, value in options.items():
        if name not in known:
            fields = f"it takes {', '.join(known)}" if known else "it takes none"
            extra = "; one that is not listed here goes into extra_body" if provider.dialect.allows_extra_fields else ""
            raise ValueError(f"options: the {provider.name} API has no field {name!r}; {fields}{extra}")
        _check_option(name, value, known[name])


def _check_option(name: str, value: Any, kind: Kind) -> None:
    if isinstance(kind, tuple):
        if value not in kind:
            raise ValueError(f"options: {name} must be one of {', '.join(kind)}")
    elif isinstance(value, bool) is not (kind is bool) or not isinstance(
        value, (int, float) if kind is float else kind
    ):
        raise TypeError(f"options: {name} must be of type {kind.__name__}, not {type(value).__name__}")


def _check_extra(extra: Mapping[str, Any], provider: Provider) -> None:
    dialect = provider.dialect
    if extra and not dialect.allows_extra_fields:
        raise ValueError(f"extra_body: the {provider.name} API may refuse fields that it does not know; use options")
    own = (dialect.model, dialect.query, dialect.documents, dialect.top_n, dialect.instruction)
    taken = {path.partition(".")[0] for path in (*own, *dialect.static_fields, *dialect.options) if path is not None}
    for name in extra:
        if name in taken:
            raise ValueError(f"extra_body: {name!r} is a field that has a parameter of its own, or is one of options")


def _found(provider: Provider) -> dict[str, str]:
    """What the environment says of a provider's settings."""
    found = {name: next(filter(None, map(os.environ.get, env)), None) for name, env in provider.settings_env.items()}
    return {name: value for name, value in found.items() if value is not None}
