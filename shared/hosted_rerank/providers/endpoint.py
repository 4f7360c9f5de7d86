"""A provider with the settings of one caller, checked before any request: URL, model, key, headers and options."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args
from urllib.parse import urlsplit

from hosted_rerank.errors import AuthenticationError, InvalidRequestError
from hosted_rerank.providers import PROVIDERS, Provider
from hosted_rerank.providers.auth import KeyHeader
from hosted_rerank.providers.models import ModelFacts
from hosted_rerank.providers.setting_checks import (
    Key,
    check_extra_body,
    check_headers,
    check_key,
    check_options,
    reveal,
)
from hosted_rerank.providers.url import build_url, fill, is_credential, is_private_host, require_filled
from hosted_rerank.response import ScoreTransform
from hosted_rerank.wire import LOOPBACK

ScoreTransformChoice: TypeAlias = Literal["auto"] | ScoreTransform
"""The transform of an API's scores: "none", "sigmoid", or "auto", the sigmoid if the provider's scores are logits.
There is no min-max scaling, because a score would then depend on the other documents."""


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
    base_url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    params: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    extra_body: Mapping[str, Any] = field(default_factory=dict[str, Any])
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
        settings = _read_settings(self.provider)
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
        base_url = self.base_url if self.base_url is not None else _first_set(self.provider.base_url_env)
        object.__setattr__(self, "url", build_url(self.provider, base_url, params, model))
        object.__setattr__(self, "url_params", params)
        object.__setattr__(self, "facts", self.provider.facts(model))
        object.__setattr__(self, "_own_base", base_url is not None)
        object.__setattr__(self, "_lower_headers", {name.lower(): value for name, value in self.headers.items()})
        target = urlsplit(self.url)
        object.__setattr__(self, "host", target.netloc)
        object.__setattr__(self, "is_loopback", target.hostname in LOOPBACK)
        if self._known_key() or self._has_credentials:
            self._check_plain_http()

    def _known_key(self) -> str | None:
        """Returns the key as it is now, unchecked; `None` for none."""
        return reveal(self.api_key) if self.api_key is not None else _first_set(self.provider.api_key_env)

    @property
    def _has_credentials(self) -> bool:
        """Whether requests have credentials without a key: a cloud's, or those in headers or parameters."""
        signed = not isinstance(self.provider.auth, KeyHeader)
        return signed or any(map(is_credential, (*self.headers, *self.params)))

    def _check_api_key(self) -> None:
        if self.api_key is None:
            return
        if not isinstance(self.provider.auth, KeyHeader) and not self.provider.auth.takes_key:
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
                variable is not a key, or the key would go over plain http.
        """
        env, key = self.provider.api_key_env, self._known_key()
        if key and self.api_key is None:
            self._check_environment_key(key)
        if key or self._has_credentials:
            self._check_plain_http()
        elif env and not self._own_base and not self.is_loopback:
            raise AuthenticationError(
                f"there is no API key for {self.provider.name}: pass api_key= or set {' or '.join(env)}"
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

    def _check_plain_http(self) -> None:
        """Raises an error if a key would go over plain http to a host that is neither this machine nor private."""
        target = urlsplit(self.url)
        if target.scheme == "http" and not (self.provider.allow_http or is_private_host(target.hostname or "")):
            raise AuthenticationError(
                f"the API key would go to {self.host} over plain http: use https, a private host (10.0.0.1, vllm,"
                " vllm.default.svc, rerank.internal), or a Provider(..., allow_http=True) if you trust the network",
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
        for secret in self.secrets(key):
            shown = shown.replace(secret, "***")
        return shown

    def secrets(self, key: str | None) -> list[str]:
        """Returns the secrets of a request: the key, and the values of headers and parameters that may be secret."""
        values = [v for n, v in (*self.headers.items(), *self.params.items()) if is_credential(n)]
        return [*([key] if key else []), *(word for value in values for word in value.split() if len(word) >= 8)]

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
        if not instruction.strip():
            raise InvalidRequestError(
                "instruction is blank: pass a text, or None for no instruction", provider=self.provider.name
            )
        if not (self.provider.dialect.takes_instruction or self.instruction_in_query):
            names = ", ".join(each.name for each in PROVIDERS.values() if each.dialect.takes_instruction)
            raise InvalidRequestError(
                f"the {self.provider.name} API has no field for an instruction and would ignore it:"
                " leave instruction out, pass instruction_in_query=True to put it before the query, or use a provider"
                f" that takes one ({names})",
                provider=self.provider.name,
            )


def _first_set(names: tuple[str, ...]) -> str | None:
    """Returns the value of the first of some environment variables that is set and not empty."""
    return next(filter(None, map(os.environ.get, names)), None)


def _read_settings(provider: Provider) -> dict[str, str]:
    """Returns the settings of a provider that the environment has."""
    values = {name: _first_set(env) for name, env in provider.settings_env.items()}
    return {name: value for name, value in values.items() if value is not None}
