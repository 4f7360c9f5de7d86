"""The rerank APIs that are known by name, each a `Provider`.

`provider` defines `Provider`. The providers are in `fireworks_and_nebius`, `vendors` (companies that sell rerankers of
their own), `hosts` (platforms and gateways that serve models of others), `clouds` and `amazon_and_oracle` (where
reranking is one service of many), `servers` and `pair_servers` (servers that users run); `models` has what is known of
models, wherever they run. A new API of the usual kind is one `Provider` in one of these files and one file in
`tests/samples/`; no other code names it.
"""

import os
from collections.abc import Mapping

from hosted_rerank._validation import closest, quote_start
from hosted_rerank.providers.amazon_and_oracle import AMAZON_AND_ORACLE
from hosted_rerank.providers.clouds import CLOUDS
from hosted_rerank.providers.fireworks_and_nebius import FIREWORKS_AND_NEBIUS
from hosted_rerank.providers.hosts import HOSTS
from hosted_rerank.providers.pair_servers import PAIR_SERVERS
from hosted_rerank.providers.provider import Provider
from hosted_rerank.providers.provider_name import ProviderName
from hosted_rerank.providers.servers import SERVERS
from hosted_rerank.providers.vendors import VENDORS

PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider
    for provider in (
        *(*FIREWORKS_AND_NEBIUS, *VENDORS, *HOSTS, *CLOUDS, *AMAZON_AND_ORACLE),
        *(*PAIR_SERVERS, *SERVERS),
    )
}
"""The known providers by name."""


def providers_with_key() -> list[Provider]:
    """Returns the providers whose key is set in the environment."""
    return [provider for provider in PROVIDERS.values() if any(map(os.environ.get, provider.api_key_env))]


def find_provider(provider: ProviderName | str | Provider) -> Provider:
    """Returns the provider with a name, or the given `Provider` itself.

    Args:
        provider: A name in `PROVIDERS`, or a `Provider`.

    Returns:
        The provider.

    Raises:
        ValueError: `PROVIDERS` has no such name.
        TypeError: `provider` is neither a str nor a `Provider`.
    """
    if isinstance(provider, Provider):
        return provider
    if not isinstance(provider, str):
        raise TypeError(f"provider must be a name or a Provider, not {type(provider).__name__}")
    if provider not in PROVIDERS:
        near = closest(provider, PROVIDERS)
        hint = f"did you mean `{near}`? Otherwise " if near else ""
        raise ValueError(
            f"provider {quote_start(provider)} is unknown: {hint}pass one of {', '.join(PROVIDERS)},"
            " or pass a Provider(...) for another API"
        )
    return PROVIDERS[provider]


__all__ = ["PROVIDERS", "Provider", "ProviderName", "find_provider", "providers_with_key"]
