"""The table of the APIs we know, a row each; a row of your own is as good as ours.

`row` says what a row is. The rows are in `vendors` (who sells reranking by the call), `clouds` (where it is one service
of many) and `servers` (what one runs oneself). A new API of the usual kind is one row there, and one file of samples
beside the tests; nothing else knows it by name.
"""

from collections.abc import Mapping

from hosted_rerank.providers import clouds, servers, vendors
from hosted_rerank.providers.provider import Provider

PROVIDERS: Mapping[str, Provider] = {row.name: row for row in (*vendors.ROWS, *clouds.ROWS, *servers.ROWS)}
"""Every row by its name."""


def find_provider(provider: str | Provider) -> Provider:
    """Return the row of a name; a `Provider` is its own row.

    Raises:
        ValueError: There is no row of that name.
        TypeError: It is neither a name nor a `Provider`.
    """
    if isinstance(provider, Provider):
        return provider
    if not isinstance(provider, str):
        raise TypeError(f"provider must be a name or a Provider, not {type(provider).__name__}")
    if provider not in PROVIDERS:
        raise ValueError(f"provider {provider!r} is not known: take one of {', '.join(PROVIDERS)}, or a Provider(...)")
    return PROVIDERS[provider]


__all__ = ["PROVIDERS", "Provider", "find_provider"]
