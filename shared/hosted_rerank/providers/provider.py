"""`Provider`: the description of one rerank API, as data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

from hosted_rerank.errors import RerankError, SizeUnit
from hosted_rerank.providers.auth import Auth, KeyHeader
from hosted_rerank.providers.dialect import Dialect
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
        docs: The URL of the page that describes the API.
        auth: How a request authenticates: a key in a header, or the credentials of a cloud.
        api_key_env: Environment variables that may hold the key; the first one that is set is used. Empty if the API
            needs no key.
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
        max_documents: The number of documents that a request may have; `None` if the API's docs state none.
        max_bytes: The number of bytes that the body of a request may have; `None` if the docs state none.
        max_tokens: The number of tokens that a request may have, with the query counted once for each document; `None`
            if the docs state none.
        listwise_models: Prefixes of the ids of models whose scores are comparable only within one request.
        allow_http: Whether the key may be sent over plain http to a host other than localhost, 127.0.0.1 or ::1.
        max_response_bytes: The largest response body, in bytes after decompression; a longer one is an error.

    Raises:
        ValueError: `name` or `url` is blank, or `size_errors` has an invalid pattern or unit.
        TypeError: A parameter that takes several strings is a single str.
    """

    name: str
    url: str
    dialect: Dialect = Dialect()
    default_model: str | None = None
    docs: str = ""
    auth: Auth = KeyHeader()
    api_key_env: tuple[str, ...] = ()
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
    listwise_models: tuple[str, ...] = ()
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
            "listwise_models": self.listwise_models,
        }
        for parameter, values in (tuples | {"dialect.usage": self.dialect.usage}).items():
            if isinstance(values, str):
                raise TypeError(f"Provider: {parameter} must be a tuple of str, not a str: write (value,)")
