"""`Provider`: the description of one rerank API, as data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import get_args

from hosted_rerank.errors import RerankError, SizeUnit
from hosted_rerank.providers.auth import Auth, KeyHeader
from hosted_rerank.providers.dialect import Dialect
from hosted_rerank.providers.models import MODELS, ModelFacts, find_facts
from hosted_rerank.providers.size_errors import SERVER_SIZE_ERRORS
from hosted_rerank.response import ScoreKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A rerank API. An instance of it is accepted wherever a provider's name is.

    Args:
        name: The name of the API in errors and traces.
        url: The full URL of the endpoint, path included. `params` gives the value of a name in braces, such as
            `{region}`; `{model}` is the id of the model, `{model_}` the same with underscores in place of dots.
        dialect: The names and paths of the fields in its requests and responses.
        default_model: The id of the default model, which may have names in braces too; `None` if the caller has to
            choose one, or if the API needs none.
        default_model_seen: The day on which a source says that the default model is served; `None` for a model of the
            caller's own.
        default_model_source: The URL of that source; blank if it is `docs`.
        default_model_ends: The day on which the API stops serving the default model; `None` if none is announced.
        other_models: The ids of other rerankers of the API, which the error of a 404 names.
        models: Facts about models that the table `MODELS` does not know, or that differ here, such as `listwise`.
        docs: The URL of the page that describes the API.
        auth: How a request authenticates: a key in a header, or the credentials of a cloud.
        api_key_env: Environment variables that may hold the key; the first one that is set is used. Empty if the API
            needs no key.
        base_url_env: Environment variables in which the vendor's own SDK looks for another base URL; the first one that
            is set counts if the caller passes no `base_url`.
        host_paths: The path of the endpoint at other hosts of the vendor, by the end of the host's name.
        key_urls: URLs for keys of another kind, by the beginning of the key.
        settings_env: Environment variables for other settings, by the name of an option, a query parameter or a name in
            braces in the URL; the first one that is set is used.
        params: Default values of query parameters and of names in braces in the URL.
        query_params: Names of other query parameters of the API whose values are no secret.
        headers: HTTP headers that the API requires.
        request_id_headers: Response headers that may hold the API's id of the request; the first one that is present is
            used.
        usage_headers: Response headers that hold counts, each with the name of the count in `Usage`.
        errors: Error classes that differ from those in `hosted_rerank.errors`: by status, by the API's error code, or
            by a phrase in the error message.
        size_errors: The messages of a 4xx that mean that the request is too large, as regular expressions, each with
            the unit: "documents", "bytes" or "tokens". The groups `limit` and `size` are the size that the API accepts
            and the size that it counted. A 413 without such a message is a limit on bytes.
        score_kind: The scale of the scores.
        max_documents: The number of documents that a request may have, if the facts of the model state none; `None` if
            the API's docs state none.
        max_bytes: The number of bytes that the body of a request may have; `None` if the docs state none.
        max_tokens: The number of tokens that a request may have, with the query counted once for each document, if the
            facts of the model state none; `None` if the docs state none.
        max_document_tokens: The number of tokens that the API reads of a document if no option states another one.
        allow_http: Whether the key may be sent over plain http to a host that is neither this machine nor private.
        max_response_bytes: The largest response body, in bytes after decompression; a longer one is an error.

    Raises:
        ValueError: `name` or `url` is blank, or `size_errors` has an invalid pattern or unit.
        TypeError: A parameter that takes several strings is a single str.
    """

    name: str
    url: str
    dialect: Dialect = Dialect()
    default_model: str | None = None
    default_model_seen: date | None = None
    default_model_source: str = ""
    default_model_ends: date | None = None
    other_models: tuple[str, ...] = ()
    models: tuple[ModelFacts, ...] = ()
    docs: str = ""
    auth: Auth = KeyHeader()
    api_key_env: tuple[str, ...] = ()
    base_url_env: tuple[str, ...] = ()
    host_paths: Mapping[str, str] = field(default_factory=dict[str, str])
    key_urls: Mapping[str, str] = field(default_factory=dict[str, str])
    settings_env: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    query_params: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    request_id_headers: tuple[str, ...] = ("x-request-id",)
    usage_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    errors: Mapping[int | str, type[RerankError]] = field(default_factory=dict[int | str, type[RerankError]])
    size_errors: Mapping[str, SizeUnit] = field(default_factory=lambda: SERVER_SIZE_ERRORS)
    score_kind: ScoreKind = "unknown"
    max_documents: int | None = None
    max_bytes: int | None = None
    max_tokens: int | None = None
    max_document_tokens: int | None = None
    allow_http: bool = False
    max_response_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        for parameter, value in (("name", self.name), ("url", self.url)):
            if not value.strip():
                raise ValueError(f"Provider: {parameter} is blank: it must be a str with content")
        for pattern, unit in self.size_errors.items():
            if unit not in get_args(SizeUnit):
                raise ValueError(f"Provider: size_errors has the unit {unit!r}: use {', '.join(get_args(SizeUnit))}")
            try:
                re.compile(pattern)
            except re.error as problem:
                raise ValueError(f"Provider: size_errors has an invalid regular expression: {problem}") from None
        tuples = {
            "api_key_env": self.api_key_env,
            "query_params": self.query_params,
            "request_id_headers": self.request_id_headers,
            "base_url_env": self.base_url_env,
            "other_models": self.other_models,
        }
        for parameter, values in (tuples | {"dialect.usage": self.dialect.usage}).items():
            if isinstance(values, str):
                raise TypeError(f"Provider: {parameter} must be a tuple of str, not a str: write (value,)")

    @property
    def known_models(self) -> tuple[str, ...]:
        """The ids of the API's rerankers that are known by name, the default one first."""
        return (*((self.default_model,) if self.default_model else ()), *self.other_models)

    @property
    def needs_model(self) -> bool:
        """Whether a caller has to choose a model: a request names one, and there is no default."""
        return self.default_model is None and (self.dialect.model is not None or "{model" in self.url)

    def facts(self, model: str | None) -> ModelFacts:
        """Returns what is known of a model at this provider: the facts of the model, else those of the provider.

        Args:
            model: The id of the model; `None` if the API chooses it.
        """
        known = find_facts(model, self.name, (*self.models, *MODELS))
        return replace(
            known,
            listwise=bool(known.listwise),
            max_documents=known.max_documents or self.max_documents,
            max_tokens=known.max_tokens or self.max_tokens,
            score_kind=known.score_kind or self.score_kind,
        )
