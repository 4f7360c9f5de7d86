"""A provider with the settings of one caller, checked before any request: URL, model, key, headers and options."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, TypeAlias, get_args
from urllib.parse import urlsplit

from hosted_rerank._text import is_blank
from hosted_rerank.errors import AuthenticationError, ConfigurationError, InvalidRequestError
from hosted_rerank.providers import PROVIDERS, Provider
from hosted_rerank.providers.auth import KeyHeader
from hosted_rerank.providers.models import ModelFacts
from hosted_rerank.providers.private_settings import (
    OMITTED,
    omit_private,
    omit_private_query,
    private_values,
    words_of,
)
from hosted_rerank.providers.setting_checks import (
    Key,
    check_extra_body,
    check_headers,
    check_key,
    check_options,
    find_base_url,
    first_set,
    read_settings,
    reveal,
)
from hosted_rerank.providers.url import build_url, fill, is_credential, is_private_host, require_filled
from hosted_rerank.response import ScoreTransform
from hosted_rerank.wire import LOOPBACK

ScoreTransformChoice: TypeAlias = Literal["auto"] | ScoreTransform
"""The transform of scores: "none", "sigmoid", or "auto" (the sigmoid for logits); none by the scores of others."""

MIN_SECRET = 4
"""Characters of a word that is taken for a secret in a URL's path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A provider with the settings of one caller. `Reranker` describes the parameters.

    Raises:
        ValueError: A parameter has an invalid value; the message names it and the remedy, and never shows a key.
        TypeError: A parameter has the wrong type.
    """

    provider: Provider
    model: str | None = None
    api_key: Key | None = field(default=None, repr=False)
    base_url: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    params: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    extra_body: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    score_transform: ScoreTransformChoice = "auto"
    instruction_in_query: bool = False
    url: str = field(init=False, repr=False)
    host: str = field(init=False, repr=False)
    """The host, with the port if the URL has one."""
    is_loopback: bool = field(init=False, repr=False)
    """Whether the requests stay on this machine."""
    url_params: Mapping[str, str] = field(init=False, repr=False)
    """The values of names in braces in the provider's URL; the others are query parameters."""
    facts: ModelFacts = field(init=False, repr=False)
    """What is known of the model here."""

    _own_base: bool = field(init=False, repr=False)
    """Whether the caller or the environment has named another base URL, where a key is optional."""
    _lower_headers: Mapping[str, str] = field(init=False, repr=False)
    private: Mapping[str, Any] = field(init=False, repr=False)
    """What may be secret, by the name that an error calls it."""
    credentials: Sequence[str] = field(init=False, repr=False)
    """The words of headers and parameters whose names say that they tell who the caller is."""
    _is_exposed: bool = field(init=False, repr=False)
    """Whether requests go over plain http to a host that is not private."""

    def __post_init__(self) -> None:
        for name, value in (("model", self.model), ("base_url", self.base_url)):
            if value is not None and not isinstance(value, str):
                raise TypeError(f"{name} must be a str or None, not {type(value).__name__}")
        for name, values in (("params", self.params), ("headers", self.headers)):
            if not all(isinstance(text, str) for pair in values.items() for text in pair):
                raise TypeError(f"{name} must map str to str")
        if self.score_transform not in ("auto", *get_args(ScoreTransform)):
            raise ValueError("score_transform must be 'auto', 'none' or 'sigmoid'")
        self._check_api_key()
        check_headers(self.headers)
        settings = read_settings(self.provider)
        options = {name: value for name, value in settings.items() if name in self.provider.dialect.options}
        params = {name: value for name, value in settings.items() if name not in options}
        params = {**self.provider.params, **params, **self.params}
        check_options(self.options, self.provider)
        check_extra_body(self.extra_body, self.provider)
        model = self.model or (
            self.provider.default_model and require_filled(fill(self.provider.default_model, params), self.provider)
        )
        object.__setattr__(self, "model", model)
        object.__setattr__(self, "options", {**options, **self.options})
        base_url, source = find_base_url(self.provider, self.base_url)
        object.__setattr__(self, "url", build_url(self.provider, base_url, params, model, source))
        object.__setattr__(self, "url_params", params)
        object.__setattr__(self, "facts", self.provider.facts(model))
        object.__setattr__(self, "_own_base", base_url is not None)
        object.__setattr__(self, "_lower_headers", {name.lower(): value for name, value in self.headers.items()})
        private = private_values(self.provider, self.headers, self.params, self.extra_body, self.base_url)
        object.__setattr__(self, "private", private)
        target = urlsplit(self.url)
        object.__setattr__(self, "host", target.netloc)
        object.__setattr__(self, "is_loopback", target.hostname in LOOPBACK)
        exposed = target.scheme == "http" and not (self.provider.allow_http or is_private_host(target.hostname or ""))
        object.__setattr__(self, "_is_exposed", exposed)
        named = (*self.headers.items(), *self.params.items())
        credentials = [word for name, value in named if is_credential(name) for word in value.split()]
        object.__setattr__(self, "credentials", credentials)
        self._check_plain_http()

    def _known_key(self) -> str | None:
        """Returns the key as it is now, unchecked; `None` for none."""
        return reveal(self.api_key) if self.api_key is not None else first_set(self.provider.api_key_env)

    @property
    def _is_signed(self) -> bool:
        """Whether the cloud's library finds credentials, without a key, and adds them to each request."""
        return not isinstance(self.provider.auth, KeyHeader) and not self.provider.auth.takes_key

    @property
    def _has_credentials(self) -> bool:
        """Whether requests have credentials without a key: a cloud's, or those in headers or parameters."""
        return self._is_signed or any(map(is_credential, (*self.headers, *self.params)))

    def _check_api_key(self) -> None:
        if self.api_key is None:
            return
        if self._is_signed:
            raise ValueError(
                f"api_key: the {self.provider.name} API takes the credentials of its cloud, which the cloud's library"
                " finds: leave api_key out, or pass an access token as headers={'authorization': 'Bearer ...'}"
            )
        check_key(reveal(self.api_key), "api_key")

    def key(self) -> str | None:
        """Returns the key for a request: `api_key`, or the value of the provider's environment variables now.

        Returns:
            The key; `None` for none.

        Raises:
            AuthenticationError: The provider's own host needs a key and there is none, the value of the environment
                variable is not a key, or the key or another value that may be secret would go over plain http.
            ConfigurationError: The reranker comes from a pickle or dump that left out a value that may be secret.
        """
        self._check_complete()
        env, key = self.provider.api_key_env, self._known_key()
        if key and self.api_key is None:
            self._check_environment_key(key)
        self._check_plain_http()
        if not key and not self._has_credentials and env and not self._own_base and not self.is_loopback:
            raise AuthenticationError(
                f"there is no API key for {self.provider.name}: set {' or '.join(env)}, or pass api_key="
                " (a pickle or dump of a reranker does not contain the key)",
                provider=self.provider.name,
            )
        return key or None

    def _check_environment_key(self, key: str) -> None:
        name = next(name for name in self.provider.api_key_env if os.environ.get(name))
        try:
            check_key(key, name)
        except ValueError as problem:
            raise AuthenticationError(str(problem), provider=self.provider.name) from None

    def _check_complete(self) -> None:
        """Raises an error if a pickle or dump has left out a setting."""
        if omitted := [name for name, value in self.private.items() if value == OMITTED]:
            raise ConfigurationError(
                f"{', '.join(omitted)} may be secret, so the pickle or dump that this reranker comes from left out the"
                " value: set it again",
                provider=self.provider.name,
            )

    def _check_plain_http(self) -> None:
        """Raises an error if a key, or what may be secret, would go over plain http to a host that is not private."""
        if self._is_exposed and (self._known_key() or self._has_credentials or self.private):
            what = next(iter(self.private), "") if not (self._known_key() or self._is_signed) else "the API key"
            raise AuthenticationError(
                f"{what} would go to {self.host} over plain http: use https or a private host (10.0.0.1, vllm,"
                " vllm.default.svc, rerank.internal), or pass a Provider(..., allow_http=True) to trust the network",
                provider=self.provider.name,
            )

    def request_url(self, key: str | None) -> str:
        """Returns the URL of a request with a key: the vendor may serve a kind of keys at a host of its own."""
        other = next((url for start, url in self.provider.key_urls.items() if (key or "").startswith(start)), None)
        return self.url if other is None or self._own_base else other

    def shown_url(self, key: str | None = None) -> str:
        """Returns the URL of a request as it may be shown: without the query, and without what may be secret.

        Args:
            key: The key of the request; `None` for the one that is known now.
        """
        key = key or self._known_key()
        target = urlsplit(self.request_url(key))
        shown = f"{target.scheme}://{target.netloc}{target.path}" if target.netloc else self.url
        for secret in (*self.secrets(key), *self.credentials):
            shown = shown.replace(secret, "***") if len(secret) >= MIN_SECRET else shown
        return shown

    def secrets(self, key: str | None) -> list[str]:
        """Returns what an error must not show: the key, and the words of all values that may be secret."""
        return [*([key] if key else []), *(word for value in self.private.values() for word in words_of(value))]

    def without_private(self) -> Self:
        """Returns a copy for a pickle: without the key, and with `OMITTED` for each value that may be secret."""
        return replace(
            self,
            api_key=None,
            base_url=self.base_url and omit_private_query(self.base_url, self.provider),
            headers=omit_private("headers", self.headers, self.provider),
            params=omit_private("params", self.params, self.provider),
            extra_body=omit_private("extra_body", self.extra_body, self.provider),
        )

    def request_headers(self, key: str | None) -> dict[str, str]:
        """Returns the headers of a request; the caller's headers replace the defaults."""
        auth = self.provider.auth
        key_header = auth.headers(key) if key and isinstance(auth, KeyHeader) else {}
        return {"content-type": "application/json", **self.provider.headers, **key_header, **self._lower_headers}

    def check_instruction(self, instruction: str | None) -> None:
        """Checks that a request to this API can carry an instruction.

        Args:
            instruction: The instruction; `None` for none.

        Raises:
            TypeError: The instruction is not a str.
            InvalidRequestError: The instruction is blank, or the API has no field for one.
        """
        if instruction is None:
            return
        if not isinstance(instruction, str):
            raise TypeError(f"instruction must be a str or None, not {type(instruction).__name__}")
        if is_blank(instruction):
            raise InvalidRequestError(
                "instruction is blank: pass a text, or None for no instruction", provider=self.provider.name
            )
        if not (self.provider.dialect.takes_instruction or self.instruction_in_query):
            names = ", ".join(each.name for each in PROVIDERS.values() if each.dialect.takes_instruction)
            raise InvalidRequestError(
                f"the {self.provider.name} API has no field for an instruction and would ignore it:"
                f" leave instruction out, or use a provider that takes one ({names}), or pass instruction_in_query=True"
                " to put it before the query",
                provider=self.provider.name,
            )
