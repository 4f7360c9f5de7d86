"""The JSON form of a provider, and the fields of a reranker without secrets."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from hosted_rerank import errors
from hosted_rerank.providers import PROVIDERS, Provider, find_provider
from hosted_rerank.providers.auth import AwsSignature, GoogleCredentials, IbmToken, KeyHeader
from hosted_rerank.providers.dialect import Dialect
from hosted_rerank.providers.document_parts import DocumentParts
from hosted_rerank.providers.json_path import is_object
from hosted_rerank.providers.models import ModelFacts
from hosted_rerank.providers.private_settings import omit_private, omit_private_query
from hosted_rerank.providers.prompt import Prompt
from hosted_rerank.reranker import Reranker

PRIVATE_FIELDS = ("headers", "params", "extra_body", "base_url")
"""The fields in which a value may be secret."""

_AUTH_CLASSES: dict[str, Any] = {kind.__name__: kind for kind in (KeyHeader, GoogleCredentials, AwsSignature, IbmToken)}
_DATES = ("default_model_seen", "default_model_ends")
_OPTION_TYPES = {kind.__name__: kind for kind in (str, int, float, bool, dict, list)}


def serialize_provider(provider: str | Provider) -> str | dict[str, Any]:
    """Return a provider as JSON.

    Args:
        provider: The name of a provider, or a `Provider`.

    Returns:
        The name if `PROVIDERS` has an equal provider; otherwise a mapping with every field of the provider.

    Raises:
        ValueError: The class of `auth` or of an error is not one of `hosted_rerank`, so the JSON could not be read.
    """
    if isinstance(provider, str):
        return provider
    if PROVIDERS.get(provider.name) == provider:
        return provider.name
    row = asdict(provider)
    kinds = provider.dialect.options.items()
    row["dialect"]["options"] = {name: v.__name__ if isinstance(v, type) else list(v) for name, v in kinds}
    if type(provider.auth) not in _AUTH_CLASSES.values():
        raise ValueError(
            f"provider {provider.name!r} cannot be serialized: auth is a {type(provider.auth).__name__}; "
            f"use one of {', '.join(_AUTH_CLASSES)}"
        )
    row["auth"]["kind"] = type(provider.auth).__name__
    for kind in provider.errors.values():
        if getattr(errors, kind.__name__, None) is not kind:
            raise ValueError(
                f"provider {provider.name!r} cannot be serialized: errors has {kind.__name__}; "
                "use a class of hosted_rerank.errors"
            )
    row["errors"] = [[about, kind.__name__] for about, kind in provider.errors.items()]
    for name in _DATES:
        row[name] = row[name] and row[name].isoformat()
    row["models"] = [{**asdict(facts), "read": facts.read.isoformat()} for facts in provider.models]
    return row


def deserialize_provider(dumped: Any) -> Any:
    """Return a provider from the JSON of `serialize_provider`.

    Args:
        dumped: The mapping that `serialize_provider` returned. Any other value is returned unchanged.

    Returns:
        A `Provider`, or the value itself if it is not a mapping.

    Raises:
        ValueError: The mapping does not describe a provider.
    """
    if not is_object(dumped):
        return dumped
    try:
        return _deserialize_row(dumped)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise ValueError("provider must be a name or a Provider, not a mapping that no dump wrote") from None


def _deserialize_row(dumped: dict[str, Any]) -> Provider:
    dialect: dict[str, Any] = dict(dumped["dialect"])
    kinds = dialect["options"].items()
    dialect["options"] = {name: _OPTION_TYPES[v] if isinstance(v, str) else tuple(v) for name, v in kinds}
    dialect["prompt"] = dialect["prompt"] and Prompt(**dialect["prompt"])
    parts: dict[str, Any] = dialect["document_parts"]
    dialect["document_parts"] = DocumentParts(**(_with_tuples(parts, "names") if parts["names"] is not None else parts))
    row: dict[str, Any] = {**dumped, "dialect": Dialect(**_with_tuples(dialect, "usage"))}
    auth: dict[str, Any] = dict(dumped["auth"])
    row["auth"] = _AUTH_CLASSES[auth.pop("kind")](**auth)
    row["errors"] = {about: getattr(errors, kind) for about, kind in dumped["errors"]}
    row["settings_env"] = {name: tuple(env) for name, env in dumped["settings_env"].items()}
    for name in _DATES:
        row[name] = row[name] and date.fromisoformat(row[name])
    row["models"] = list(map(_deserialize_facts, dumped["models"]))
    names = ("api_key_env", "base_url_env", "query_params", "request_id_headers", "other_models", "models")
    return Provider(**_with_tuples(row, *names))


def _deserialize_facts(dumped: dict[str, Any]) -> ModelFacts:
    facts: dict[str, Any] = {**dumped, "read": date.fromisoformat(dumped["read"])}
    return ModelFacts(**_with_tuples(facts, "providers"))


def _with_tuples(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the fields with the named lists converted back to tuples."""
    return fields | {name: tuple(fields[name]) for name in names}


def serialize_fallbacks(fallbacks: Sequence[str | Provider | Reranker]) -> list[Any]:
    """Return fallbacks as JSON.

    Args:
        fallbacks: The fallbacks in the order of their turns.

    Returns:
        One JSON value for each provider. A `Reranker` is left out, because it has no JSON form.

    Raises:
        ValueError: `serialize_provider` cannot serialize one of the providers.
    """
    return [serialize_provider(fallback) for fallback in fallbacks if not isinstance(fallback, Reranker)]


def serialize_public(name: str, value: Any, provider: str | Provider) -> Any:
    """Return the value of a field without what may be secret.

    Args:
        name: The field; of any other than `PRIVATE_FIELDS` the value is returned unchanged.
        value: Its value.
        provider: The provider, which names headers and parameters that are no secret.

    Returns:
        The value, with `OMITTED` in place of what may be secret.
    """
    if not value:
        return value
    if name == "base_url":
        return omit_private_query(value, find_provider(provider))
    if name in ("headers", "params", "extra_body"):
        return omit_private(name, value, find_provider(provider))
    return value
