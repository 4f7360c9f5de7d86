"""What of a reranker may be written down, as JSON: everything but secrets."""

from dataclasses import asdict
from typing import Any

from hosted_rerank import errors
from hosted_rerank.body import is_object
from hosted_rerank.dialect import Dialect
from hosted_rerank.endpoint import without_credentials
from hosted_rerank.providers import PROVIDERS, Provider

_KINDS = {kind.__name__: kind for kind in (str, int, float, bool, dict, list)}


def dump_provider(provider: str | Provider) -> str | dict[str, Any]:
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
    for kind in provider.errors.values():
        if getattr(errors, kind.__name__, None) is not kind:
            raise ValueError(f"provider {provider.name!r} cannot be dumped: {kind.__name__} is none of our errors")
    row["errors"] = {str(status): kind.__name__ for status, kind in provider.errors.items()}
    return row


def load_provider(dumped: Any) -> Any:
    """Return the provider that `dump_provider` dumped; anything but a mapping as it is.

    Raises:
        ValueError: The mapping is no such dump.
    """
    if not is_object(dumped):
        return dumped
    try:
        return _load_row(dumped)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise ValueError("provider is a mapping, but not one that a dump wrote: pass a name or a Provider") from None


def _load_row(dumped: dict[str, Any]) -> Provider:
    dialect: dict[str, Any] = dict(dumped["dialect"])
    kinds = dialect["options"].items()
    dialect["options"] = {name: _KINDS[v] if isinstance(v, str) else tuple(v) for name, v in kinds}
    row: dict[str, Any] = {**dumped, "dialect": Dialect(**dialect)}
    row["errors"] = {int(status): getattr(errors, kind) for status, kind in dumped["errors"].items()}
    row["env"], row["request_ids"] = tuple(dumped["env"]), tuple(dumped["request_ids"])
    return Provider(**row)


def dump_open(values: dict[str, str] | None) -> dict[str, str] | None:
    """Return headers or query parameters without those that may hold a secret."""
    return values and without_credentials(values)
