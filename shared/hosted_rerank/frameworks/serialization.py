"""What of a reranker may be written down, as JSON: everything but secrets."""

from dataclasses import asdict
from typing import Any

from hosted_rerank import errors
from hosted_rerank.providers import PROVIDERS, Provider
from hosted_rerank.providers.auth import AwsSignature, GoogleCredentials, IbmToken, KeyHeader
from hosted_rerank.providers.dialect import Dialect, Prompt
from hosted_rerank.providers.json_path import is_object
from hosted_rerank.providers.url import without_credentials

_AUTH_CLASSES: dict[str, Any] = {kind.__name__: kind for kind in (KeyHeader, GoogleCredentials, AwsSignature, IbmToken)}
_OPTION_TYPES = {kind.__name__: kind for kind in (str, int, float, bool, dict, list)}


def serialize_provider(provider: str | Provider) -> str | dict[str, Any]:
    """Return a provider as JSON: its name if it is a row of ours, else the whole row.

    Raises:
        ValueError: The row has an error class that is not of `hosted_rerank.errors`, so it could not be loaded again.
    """
    if isinstance(provider, str):
        return provider
    if PROVIDERS.get(provider.name) == provider:
        return provider.name
    row = asdict(provider)
    kinds = provider.dialect.options.items()
    row["dialect"]["options"] = {name: v.__name__ if isinstance(v, type) else list(v) for name, v in kinds}
    if type(provider.auth) not in _AUTH_CLASSES.values():
        raise ValueError(f"provider {provider.name!r} cannot be dumped: {type(provider.auth).__name__} is not of ours")
    row["auth"]["kind"] = type(provider.auth).__name__
    for kind in provider.errors.values():
        if getattr(errors, kind.__name__, None) is not kind:
            raise ValueError(f"provider {provider.name!r} cannot be dumped: {kind.__name__} is none of our errors")
    row["errors"] = [[about, kind.__name__] for about, kind in provider.errors.items()]
    return row


def deserialize_provider(dumped: Any) -> Any:
    """Return the provider that `serialize_provider` dumped; anything but a mapping as it is.

    Raises:
        ValueError: The mapping is no such dump.
    """
    if not is_object(dumped):
        return dumped
    try:
        return _deserialize_row(dumped)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise ValueError("provider is a mapping, but not one that a dump wrote: pass a name or a Provider") from None


def _deserialize_row(dumped: dict[str, Any]) -> Provider:
    dialect: dict[str, Any] = dict(dumped["dialect"])
    kinds = dialect["options"].items()
    dialect["options"] = {name: _OPTION_TYPES[v] if isinstance(v, str) else tuple(v) for name, v in kinds}
    dialect["prompt"] = dialect["prompt"] and Prompt(**dialect["prompt"])
    row: dict[str, Any] = {**dumped, "dialect": Dialect(**_with_tuples(dialect, "usage"))}
    auth: dict[str, Any] = dict(dumped["auth"])
    row["auth"] = _AUTH_CLASSES[auth.pop("kind")](**auth)
    row["errors"] = {about: getattr(errors, kind) for about, kind in dumped["errors"]}
    row["variables"] = {name: tuple(env) for name, env in dumped["variables"].items()}
    return Provider(**_with_tuples(row, "env", "request_ids", "listwise"))


def _with_tuples(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    """The fields with what JSON made lists of."""
    return fields | {name: tuple(fields[name]) for name in names}


def serialize_without_secrets(values: dict[str, str] | None) -> dict[str, str] | None:
    """Return headers or query parameters without those that may hold a secret."""
    return values and without_credentials(values)
