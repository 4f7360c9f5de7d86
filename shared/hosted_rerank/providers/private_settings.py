"""Which headers, parameters and fields of a caller may be written down: only those that are known to be no secret.

Any other may hold a token, whatever its name is. So its value is in no pickle, dump, repr or error, and it goes over
plain http only where a key does.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from hosted_rerank.providers.json_path import is_array, is_object
from hosted_rerank.providers.provider import Provider
from hosted_rerank.providers.url import url_param_names

OMITTED = "[omitted]"
"""Stands in a pickle or dump for a value that may be secret; a reranker that has it sends nothing."""

_HARMLESS_HEADERS = frozenset(
    (
        *("accept", "accept-language", "cache-control", "content-type", "user-agent", "http-referer", "referer"),
        *("traceparent", "tracestate", "x-client-request-id", "x-correlation-id", "x-request-id"),
        *("x-openrouter-title", "x-title"),  # OpenRouter's names for the calling application
    )
)


def harmless_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Returns the headers that may go to any host."""
    return {name: value for name, value in headers.items() if name.lower() in _HARMLESS_HEADERS}


def omit_private(setting: str, values: Mapping[str, Any], provider: Provider) -> dict[str, Any]:
    """Returns headers, parameters or fields as a pickle or dump has them.

    Args:
        setting: "headers", "params" or "extra_body".
        values: The values by name.
        provider: The provider, which names parameters and headers that are no secret.

    Returns:
        All names; `OMITTED` for each value that may be secret.
    """
    return {name: value if _is_public(setting, name, provider) else OMITTED for name, value in values.items()}


def omit_private_query(base_url: str, provider: Provider) -> str:
    """Returns a URL as a pickle or dump has it: `OMITTED` for each query parameter that may be secret.

    Args:
        base_url: The URL.
        provider: The provider, which names parameters that are no secret.
    """
    parts = urlsplit(base_url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    shown = omit_private("params", query, provider)
    return base_url if shown == query else parts._replace(query=urlencode(shown, safe="[]")).geturl()


def private_values(
    provider: Provider,
    headers: Mapping[str, str],
    params: Mapping[str, str],
    extra_body: Mapping[str, Any],
    base_url: str | None,
) -> dict[str, Any]:
    """Returns what may be secret, by the name that an error calls it.

    Args:
        provider: The provider.
        headers: The caller's headers.
        params: The caller's query parameters, and values of names in braces in the provider's URL.
        extra_body: The caller's fields that the provider does not list.
        base_url: The caller's URL; `None` for the provider's.
    """
    given: dict[str, Mapping[str, Any]] = {"headers": headers, "params": params, "extra_body": extra_body}
    private = {
        f"{setting}[{name!r}]": value
        for setting, values in given.items()
        for name, value in values.items()
        if not _is_public(setting, name, provider)
    }
    query = parse_qsl(urlsplit(base_url.strip()).query, keep_blank_values=True) if base_url else []
    named = {f"{name!r} in base_url": value for name, value in query if not _is_public("params", name, provider)}
    return private | named


def words_of(value: Any) -> Iterator[str]:
    """Yields the words of a value, each of which may be a secret: `Bearer <key>`, `session=<key>; path=/`."""
    if isinstance(value, str):
        yield from value.split()
        yield from value.translate(_SEPARATORS).split()
    elif is_object(value) or is_array(value):
        for part in value.values() if is_object(value) else value:
            yield from words_of(part)


_SEPARATORS = str.maketrans(dict.fromkeys(",;=\"'", " "))


def _is_public(setting: str, name: str, provider: Provider) -> bool:
    """Returns whether a header, a parameter or a field is known to be no secret."""
    if setting == "headers":
        return name.lower() in _HARMLESS_HEADERS or name.lower() in map(str.lower, provider.headers)
    parts = (*url_param_names(provider.url), *url_param_names(provider.default_model or ""))
    named = (*parts, *provider.params, *provider.settings_env, *provider.query_params)
    return setting == "params" and name in named
