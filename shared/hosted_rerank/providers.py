"""The APIs we know, a row each; a row of your own is as good as ours.

`Provider` says where an API is, how it is spoken (`Dialect`) and what is peculiar to it. A new API of the usual kind
is one row here and one sample file beside the tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hosted_rerank.dialect import Dialect
from hosted_rerank.errors import PaymentRequiredError, RerankError


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A rerank API. Pass one of your own wherever a provider's name is accepted.

    Args:
        name: What errors and traces call it.
        url: The full address of the endpoint, path included.
        dialect: The names and paths of a call on its wire.
        model: The default model; `None` if the caller has to choose, or if the API needs none.
        env: Environment variables that may hold the key; the first that is set counts. Empty: the API needs no key.
        request_ids: Reply headers that may hold the API's id of the request; the first that is there counts.
        errors: Errors for statuses that mean something else here than `hosted_rerank.errors` says.
        plain_http: Whether the key may travel over plain http to a host other than localhost, 127.0.0.1 or ::1.
        longest_reply: Bytes of a reply's body, decompressed, that are read before it is refused.

    Raises:
        ValueError: `name` or `url` is blank.
    """

    name: str
    url: str
    dialect: Dialect = Dialect()
    model: str | None = None
    env: tuple[str, ...] = ()
    request_ids: tuple[str, ...] = ("x-request-id",)
    errors: Mapping[int, type[RerankError]] = field(default_factory=dict[int, type[RerankError]])
    plain_http: bool = False
    longest_reply: int = 64 << 20

    def __post_init__(self) -> None:
        for parameter, value in (("name", self.name), ("url", self.url)):
            if not value.strip():
                raise ValueError(f"Provider: {parameter} is blank")


LOCAL = Provider(
    name="local",
    url="local:",  # answered in this process, see hosted_rerank.local
    dialect=Dialect(top_n=None),
    model="all-MiniLM-L6-v2",
)

FIREWORKS = Provider(
    # API reference of docs.fireworks.ai, "Rerank documents", read 2026-11: the schema refuses unknown fields
    name="fireworks",
    url="https://api.fireworks.ai/inference/v1/rerank",
    dialect=Dialect(instruction="task", fixed={"return_documents": False}, results="data"),
    model="accounts/fireworks/models/qwen3-reranker-8b",
    env=("FIREWORKS_API_KEY",),
    request_ids=("x-request-id", "x-fireworks-request-id", "cf-ray"),
    errors={412: PaymentRequiredError},  # the account is suspended, say the same docs' inference error codes
)

NEBIUS = Provider(
    # api.tokenfactory.nebius.com/openapi.json, create_rerank_v1_rerank_post, read 2026-11: documents are always echoed
    name="nebius",
    url="https://api.tokenfactory.nebius.com/v1/rerank",
    dialect=Dialect(
        top_n=None,
        options={"user": str, "service_tier": ("auto", "default", "over-limit", "flex", "no-limit")},
    ),
    model="Qwen/Qwen3-Reranker-8B",
    env=("NEBIUS_API_KEY",),
    request_ids=("x-request-id", "x-inference-id"),
)

PROVIDERS: Mapping[str, Provider] = {row.name: row for row in (FIREWORKS, NEBIUS, LOCAL)}
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
