"""Where a request goes: a provider's URL, or another address of the same API, with its variable parts filled in."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from hosted_rerank.providers import Provider

_CREDENTIAL = re.compile(r"auth|key|token|secret|cookie|password|session", re.IGNORECASE)
_PART = re.compile(r"\{(\w+)\}")
_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_URL = re.compile(r"[\x21-\x7e]+")


def is_credential(name: str) -> bool:
    """Whether a header or parameter of this name may hold a secret; such stay out of pickles, dumps and reprs."""
    return _CREDENTIAL.search(name) is not None


def without_credentials(values: Mapping[str, str]) -> dict[str, str]:
    """Return headers or parameters without those that may hold a secret."""
    return {name: value for name, value in values.items() if not is_credential(name)}


def parts_of(template: str) -> list[str]:
    """Return the names in braces, but for the model's."""
    return [name for name in _PART.findall(template) if name not in ("model", "model_")]


def fill(template: str, parts: Mapping[str, str], write: Callable[[str, str], str] = lambda _, value: value) -> str:
    """Return a template with its names in braces filled in, where there is something to fill in.

    Args:
        template: The template.
        parts: What the names stand for.
        write: Makes of a name and what it stands for what is filled in.
    """
    return _PART.sub(lambda found: write(found[1], parts[found[1]]) if found[1] in parts else found[0], template)


def address(provider: Provider, base_url: str | None, settings: Mapping[str, str], model: str | None) -> str:
    """Return the full address of the endpoint, with the query parameters.

    Args:
        provider: Whose endpoint it is.
        base_url: Another address of it, with or without the endpoint's path.
        settings: Query parameters, and parts of the URL where it has their names in braces.
        model: The model, which may be a part of the URL.

    Raises:
        ValueError: The address is none, or a part of it is not known.
    """
    named = _PART.findall(provider.url)
    parts = {name: value for name, value in settings.items() if name in named}
    if model is not None:
        parts |= {"model": model, "model_": model.replace(".", "_")}
    scheme, _, rest = provider.url.partition("://")
    host, slash, path = rest.partition("/")
    path = slash + path
    if base_url is None:
        row = f"{scheme}://{fill(host, parts, _in_host)}{fill(path, parts, _in_path)}" if rest else provider.url
        target = _split(complete(row, provider), "url")
    elif not rest:
        raise ValueError(
            f"base_url: provider {provider.name!r} runs in this process; ask a local server by a hosted one's name"
        )
    else:
        target = _split(base_url, "base_url")
        if not target.path.endswith(fill(path, parts, _in_path)):
            below = fill(_continue(target.path, path), parts, _in_path)
            target = target._replace(path=complete(below, provider))
    query = [*parse_qsl(target.query, keep_blank_values=True)]
    query += [(name, value) for name, value in settings.items() if name not in named]
    return target._replace(query=urlencode(query)).geturl()


def _in_path(name: str, value: str) -> str:
    if any(step in ("", ".", "..") for step in value.split("/")):
        raise ValueError(f"{name} is a part of the address, so it can have no empty part, '.' or '..' between slashes")
    return quote(value, safe="/@:,")


def _in_host(name: str, value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError(f"{name} is a part of the host's name, so it can have only letters, digits and hyphens")
    return value


def complete(filled: str, provider: Provider) -> str:
    """Return what `fill` filled in. Raises `ValueError` if a part of it is not known."""
    if missing := _PART.search(filled):
        name = missing[1]
        if name in ("model", "model_"):
            raise ValueError(f"model: the {provider.name} API has it in its address, so pass one")
        variables = provider.settings_env.get(name, ())
        also = f" or set {' or '.join(variables)}" if variables else ""
        raise ValueError(
            f"params: the address of the {provider.name} API has a {name}: pass params={{{name!r}: ...}}{also}"
        )
    return filled


def _split(url: str, parameter: str) -> SplitResult:
    """The parts of a URL that a request can go to."""
    try:
        parts = urlsplit(url.strip())
        port_ok = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError(f"{parameter} is no valid URL") from None
    if parts.scheme == "local" and parameter == "url":
        return parts
    sane = port_ok and _URL.fullmatch(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or not sane:
        raise ValueError(f"{parameter} must be an http or https URL with a host, such as https://host/v1")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{parameter} holds a user name or password; pass the key as api_key=")
    if any(is_credential(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise ValueError(f"{parameter} has a parameter that may be a secret; pass it in params=")
    return parts._replace(fragment="")


def _continue(base: str, path: str) -> str:
    """The endpoint's path below a base that may hold none, a part, or all of it.

    What follows the base's last segments is appended: `/v1/rerank` below `/proxy/v1` is `/proxy/v1/rerank`. A name in
    braces agrees with any segment. Of several places, the one that agrees with most of the base is meant.
    """
    base, steps = base.rstrip("/"), path.strip("/").split("/")
    given = base.split("/")
    place = max(range(len(steps) + 1), key=lambda end: _agreeing(given, steps[:end]))
    return "/".join([base, *steps[place:]])


def _agreeing(given: list[str], steps: list[str]) -> int:
    """How many of the last segments agree; none if it is only by names in braces."""
    count = literal = 0
    for ours, theirs in zip(reversed(given), reversed(steps), strict=False):
        if ours != theirs and not _PART.fullmatch(theirs):
            break
        count += 1
        literal += ours == theirs
    return count if literal else 0
