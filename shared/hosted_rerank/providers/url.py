"""Builds the URL of a request: the provider's URL, or `base_url`, with its names in braces filled in."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from hosted_rerank.providers import Provider

_CREDENTIAL = re.compile(
    r"auth|key|token|secret|cookie|password|session|jwt|assertion|credential|bearer|signature", re.IGNORECASE
)
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_URL = re.compile(r"[\x21-\x7e]+")
_ENDPOINT = re.compile(r"_?(re-?)?rank\w*|scores?|_?predict|infer|invocations|run(sync)?")
"""The last part of a path that is an endpoint of its own."""
_PRIVATE_NAME = re.compile(r"[a-z][a-z0-9_-]*|([a-z0-9_-]+\.)+(svc|local|internal)\.?")
_PRIVATE_NETWORKS = tuple(
    map(
        ipaddress.ip_network,
        ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"),
    )
)
"""RFC 1918, RFC 4193 and this machine; not the link-local addresses, where clouds serve metadata."""


def is_credential(name: str) -> bool:
    """Returns whether the name of a header or parameter says that it tells who the caller is."""
    return _CREDENTIAL.search(name) is not None


def is_private_host(host: str) -> bool:
    """Returns whether a host is this machine or in a private network, by its address or name.

    Args:
        host: An IP address, or a name in lower case: a single label, or one that ends in .svc, .local or .internal.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _PRIVATE_NAME.fullmatch(host) is not None
    return any(address in network for network in _PRIVATE_NETWORKS)


def url_param_names(template: str) -> list[str]:
    """Returns the names in braces in a URL, without `model` and `model_`."""
    return [name for name in _PLACEHOLDER.findall(template) if name not in ("model", "model_")]


def fill(template: str, values: Mapping[str, str], write: Callable[[str, str], str] = lambda _, value: value) -> str:
    """Returns a template with its names in braces replaced by their values; names without a value stay.

    Args:
        template: The template.
        values: The values by name.
        write: Returns the text to insert for a name and its value.
    """
    return _PLACEHOLDER.sub(
        lambda match: write(match[1], values[match[1]]) if match[1] in values else match[0], template
    )


def build_url(
    provider: Provider,
    base_url: str | None,
    params: Mapping[str, str],
    model: str | None,
    source: str = "base_url",
) -> str:
    """Returns the full URL of the endpoint, with the query parameters.

    Args:
        provider: The provider.
        base_url: Another URL of the same API: the URL of an endpoint as it is, or a base with none or a part of the
            endpoint's path.
        params: Values of names in braces in the provider's URL; the others are query parameters.
        model: The id of the model, which the URL may contain.
        source: Where `base_url` comes from, for errors.

    Raises:
        ValueError: `base_url` is not a valid URL, or a name in braces has no value.
    """
    names = _PLACEHOLDER.findall(provider.url)
    values = {name: value for name, value in params.items() if name in names}
    if model is not None:
        values |= {"model": model, "model_": model.replace(".", "_")}
    scheme, _, rest = provider.url.partition("://")
    host, slash, path = rest.partition("/")
    path = slash + path
    if base_url is None:
        filled = f"{scheme}://{fill(host, values, _quote_host)}{fill(path, values, _quote_path)}"
        target = _split(require_filled(filled if rest else provider.url, provider), "url")
    elif not rest:
        raise ValueError(
            f"{source}: provider {provider.name!r} runs in this process and has no URL; for a local server, pass the"
            " name of the API that it serves as provider"
        )
    else:
        target = _split(base_url, source)
        hosts = provider.host_paths.items()
        path = next((other for end, other in hosts if (target.hostname or "").endswith(end)), path)
        if not target.path.endswith(fill(path, values, _quote_path)):
            joined = fill(_join_path(target.path, path), values, _quote_path)
            target = target._replace(path=require_filled(joined, provider))
    query = [*parse_qsl(target.query, keep_blank_values=True)]
    query += [(name, value) for name, value in params.items() if name not in names]
    return target._replace(query=urlencode(query)).geturl()


def _quote_path(name: str, value: str) -> str:
    if any(step in ("", ".", "..") for step in value.split("/")):
        raise ValueError(f"{name} is a part of the URL's path: it must have no empty part, '.' or '..' between slashes")
    return quote(value, safe="/@:,")


def _quote_host(name: str, value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError(f"{name} is a part of the URL's host: it must have only letters, digits, hyphens and dots")
    return value


def require_filled(filled: str, provider: Provider) -> str:
    """Returns the result of `fill` if it is complete.

    Args:
        filled: The result of `fill`.
        provider: The provider whose template it was.

    Raises:
        ValueError: A name in braces has no value.
    """
    if missing := _PLACEHOLDER.search(filled):
        name = missing[1]
        if name in ("model", "model_"):
            raise ValueError(f"model: the URL of the {provider.name} API contains the model: pass model=")
        variables = provider.settings_env.get(name, ())
        remedy = f"set {' or '.join(variables)}, or " if variables else ""
        raise ValueError(f"the URL of the {provider.name} API contains {name}: {remedy}pass params={{{name!r}: ...}}")
    return filled


def _split(url: str, parameter: str) -> SplitResult:
    """Returns the parts of a URL after checking that a request can be sent there."""
    try:
        parts = urlsplit(url.strip())
        port_ok = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError(f"{parameter} is not a valid URL: pass one such as https://host/v1") from None
    if parts.scheme == "local" and parameter == "url":
        return parts
    valid = port_ok and _URL.fullmatch(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or not valid:
        raise ValueError(f"{parameter} must be an http or https URL with a host, such as https://host/v1")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{parameter} contains a user name or password: leave it out, or pass the key as api_key=")
    if any(is_credential(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise ValueError(f"{parameter} has a query parameter that may be a secret: leave it out, or pass it in params=")
    return parts._replace(fragment="")


def _join_path(base: str, path: str) -> str:
    """Returns a base path, which may hold none, a part or all of the endpoint's path, with the rest of that path.

    The steps after the base's last ones are appended: `/proxy/v1` and `/v1/rerank` are `/proxy/v1/rerank`. A name in
    braces matches any step. Of several ways to join them, the one that matches most steps of the base is taken. A base
    that ends in another endpoint, such as `/api/v1/reranking`, stays as it is.
    """
    base, steps = base.rstrip("/"), path.strip("/").split("/")
    base_steps = base.split("/")
    place = max(range(len(steps) + 1), key=lambda end: _count_matches(base_steps, steps[:end]))
    if place == 0 and _ENDPOINT.fullmatch(base_steps[-1]):
        return base
    return "/".join([base, *steps[place:]])


def _count_matches(base_steps: list[str], steps: list[str]) -> int:
    """Returns how many steps match from the end; 0 if only names in braces match."""
    count = literal = 0
    for given, step in zip(reversed(base_steps), reversed(steps), strict=False):
        if given != step and not _PLACEHOLDER.fullmatch(step):
            break
        count += 1
        literal += given == step
    return count if literal else 0
