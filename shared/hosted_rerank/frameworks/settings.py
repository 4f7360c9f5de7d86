"""What the LangChain and the LlamaIndex class are set up with: the same names, meanings and checks in both.

A framework's class inherits these fields beside its own base and asks `_rank` to do the work. Frameworks copy, assign
to, pickle and dump their components, so the fields are the truth and the `Reranker` follows them.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, TypedDict

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PrivateAttr,
    SecretStr,
    model_validator,
)

from hosted_rerank._context_manager import Closing
from hosted_rerank._validation import check_count
from hosted_rerank.call.batching import CONCURRENCY
from hosted_rerank.frameworks.serialization import deserialize_provider, serialize_provider, serialize_without_secrets
from hosted_rerank.providers import Provider
from hosted_rerank.providers.endpoint import ScoreTransformChoice
from hosted_rerank.reranker import Reranker
from hosted_rerank.response import RerankResponse

PASSTHROUGH_KEY = "rerank_error"
"""Metadata key that marks what `on_error="passthrough"` let through: the name of the error."""

_RERANKER_FIELDS = (
    *("provider", "model", "api_key", "base_url", "instruction", "instruction_in_query", "score_transform", "timeout"),
    *("deadline", "max_retries", "batch_size", "max_concurrency", "max_document_chars", "dedupe", "cache", "on_error"),
    *("fallbacks", "rate_limiter", "headers", "params", "options", "extra_body", "client", "async_client"),
)


def serialize_fallbacks(fallbacks: Sequence[str | Provider | Reranker]) -> list[Any]:
    """Return fallbacks as JSON, as far as they can be written down."""
    return [serialize_provider(fallback) for fallback in fallbacks if not isinstance(fallback, Reranker)]


Fallback = Annotated[str | Provider | Reranker, BeforeValidator(deserialize_provider)]
ProviderField = Annotated[str | Provider, BeforeValidator(deserialize_provider), PlainSerializer(serialize_provider)]


class Overrides(TypedDict, total=False):
    """What a single call may ask for instead of the fields."""

    top_n: int | None
    score_threshold: float | None
    instruction: str | None


class _CachedReranker(NamedTuple):
    """A reranker, and what it was made of."""

    fields: dict[str, Any]
    mutable_values: list[Any]
    reranker: Reranker


def _mutable_values(fields: dict[str, Any]) -> list[Any]:
    """The fields that can change without being assigned to."""
    return [fields[name] for name in ("headers", "params", "options", "extra_body")]


class RerankSettings(Closing, BaseModel):
    """The fields that both host classes have."""

    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        extra="forbid",
        hide_input_in_errors=True,  # an input may be a key
        protected_namespaces=(),
        validate_assignment=True,
    )

    only_provider: ClassVar[str | None] = None
    """The one provider that a class is for."""

    provider: ProviderField = "fireworks"
    """A name ("fireworks", "cohere", "vllm", "local", ...), or a `hosted_rerank.Provider` of your own."""
    model: str | None = None
    """The model's id, passed on verbatim; `None` for the provider's default."""
    api_key: SecretStr | None = Field(default=None, exclude=True, repr=False)
    """The key; `None` to read the provider's environment variable at each call. Not in pickles and dumps."""
    base_url: str | None = None
    """Another address of the same API, with or without the endpoint's path. A key is optional there."""
    top_n: Annotated[int, Field(ge=1, strict=True)] | None = 3
    """How many to return; `None` for all."""
    score_threshold: Annotated[float, Field(allow_inf_nan=False, strict=True)] | None = None
    """The lowest relevance score to return; unscored ones are then left out."""
    instruction: str | None = None
    """What "relevant" shall mean, for models that take one (Fireworks calls it `task`)."""
    instruction_in_query: bool = False
    """Whether an instruction stands before the query where the API has no field for one."""
    score_transform: ScoreTransformChoice = "auto"
    """"auto" gives the sigmoid of scores that the provider's row calls logits, "none" leaves all scores as they are,
    "sigmoid" is for a row that does not know. `score_threshold` is about what comes out."""
    timeout: float = 30.0
    """Seconds for one attempt."""
    deadline: float | None = None
    """Seconds for a whole call, retries and waits included."""
    max_retries: int = 2
    """Attempts after the first, for what may pass."""
    batch_size: int | None = None
    """Documents of one request at most; `None` for what the provider's row says."""
    max_concurrency: int = CONCURRENCY
    """Requests under way at most, of all that ask the same model of the same host with the same key."""
    max_document_chars: int | None = None
    """Characters of a document that are sent at most."""
    dedupe: bool = True
    """Whether equal documents are sent once."""
    cache: Any = Field(default=None, exclude=True, repr=False)
    """Where scores are kept, a `MutableMapping[str, float]`: a dict, `cachetools.TTLCache`, `diskcache.Cache`. Not in
    pickles and dumps."""
    on_error: Literal["raise", "passthrough"] = "raise"
    """Whether an outage of the API raises, or returns what it hit in input order after what was scored, cut to `top_n`,
    without new scores, logged and marked under `rerank_error` in the metadata. A wrong request, a 401, a 403 and a
    cancellation always raise."""
    fallbacks: Annotated[list[Fallback], PlainSerializer(serialize_fallbacks)] | None = None
    """Who is asked when the provider is out: names of providers, `Provider` rows, or `Reranker`s, which are not in
    dumps."""
    rate_limiter: Any = Field(default=None, exclude=True, repr=False)
    """LangChain's `BaseRateLimiter`, or what is like it: asked once for each request. Not in pickles and dumps."""
    headers: Annotated[dict[str, str], PlainSerializer(serialize_without_secrets)] | None = Field(
        default=None, repr=False
    )
    """More HTTP headers. Those whose names say that they may hold a secret are not in pickles and dumps."""
    params: Annotated[dict[str, str], PlainSerializer(serialize_without_secrets)] | None = Field(
        default=None, repr=False
    )
    """More query parameters of the URL, and parts of it, such as Bedrock's `region`; likewise."""
    options: dict[str, Any] | None = None
    """More fields of the request, of those that the provider's row lists."""
    extra_body: dict[str, Any] | None = None
    """Fields that the row does not list, for APIs that ignore what they do not know."""
    client: Any = Field(default=None, exclude=True, repr=False)
    """An `httpx.Client` for blocking calls, used as it is and never closed. Not in pickles and dumps."""
    async_client: Any = Field(default=None, exclude=True, repr=False)
    """An `httpx.AsyncClient` for awaiting calls; likewise."""

    _cached_reranker: _CachedReranker | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.only_provider not in (None, getattr(self.provider, "name", self.provider)):
            raise ValueError(f"{type(self).__name__} asks {self.only_provider}; for another provider take HostedRerank")
        _ = self.reranker
        return self

    @property
    def reranker(self) -> Reranker:
        """The core's reranker for these fields as they are now."""
        fields, cached = dict(self), self._cached_reranker
        if cached is None or cached.fields != fields or cached.mutable_values != _mutable_values(fields):
            self._cached_reranker = cached = _CachedReranker(
                fields, copy.deepcopy(_mutable_values(fields)), Reranker(**self._reranker_settings())
            )
        return cached.reranker

    def _reranker_settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _RERANKER_FIELDS} | {"fallbacks": self.fallbacks or ()}

    def _resolve_overrides(self, overrides: Overrides) -> Overrides:
        """What a call asks for, all of it: the fields, with the call's own on top."""
        known = Overrides.__annotations__
        if unknown := overrides.keys() - known.keys():
            raise TypeError(f"unknown arguments: {', '.join(unknown)}; a call takes {', '.join(known)}")
        if (top_n := overrides.get("top_n")) is not None:
            check_count("top_n", top_n, least=1)
        threshold = overrides.get("score_threshold")
        if threshold is not None and (isinstance(threshold, bool) or not isinstance(threshold, (int, float))):
            raise TypeError(f"score_threshold must be a number or None, not {type(threshold).__name__}")
        if threshold is not None and not math.isfinite(threshold):
            raise ValueError(f"score_threshold must be finite, not {threshold}")
        return {
            "top_n": self.top_n,
            "score_threshold": self.score_threshold,
            "instruction": self.instruction,
            **overrides,
        }

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).model_fields:  # a copy first: pydantic keeps a value that a check of the whole refuses
            super(RerankSettings, self.model_copy()).__setattr__(name, value)
        super().__setattr__(name, value)

    def close(self) -> None:
        """Let go of the blocking connections. A later call opens what it needs."""
        self.reranker.close()

    async def aclose(self) -> None:
        """Let go of the blocking connections and of the running event loop's. A later call opens what it needs."""
        await self.reranker.aclose()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        memo = {} if memo is None else memo
        lent = (self.client, self.async_client, self.cache, self.rate_limiter, getattr(self, "callback_manager", None))
        memo |= {id(thing): thing for thing in lent}  # not ours to copy
        return super().__deepcopy__(memo)

    def __getstate__(self) -> dict[Any, Any]:
        without: dict[str, Any] = dict.fromkeys(("api_key", "client", "async_client", "cache", "rate_limiter"))
        without |= {
            "headers": serialize_without_secrets(self.headers),
            "params": serialize_without_secrets(self.params),
        }
        bare = self.model_copy(update=without)  # LlamaIndex's own __getstate__ deletes from the object that it is given
        bare._cached_reranker = None  # noqa: SLF001 - ours; the reranker in it has the key
        return super(RerankSettings, bare).__getstate__()


def rerank_texts(reranker: Reranker, query: str, texts: Sequence[str], overrides: Overrides) -> RerankResponse:
    """Rerank texts as a call wants it."""
    response = reranker.rerank(query, texts, top_n=overrides.get("top_n"), instruction=overrides.get("instruction"))
    return _apply_score_threshold(response, overrides)


async def arerank_texts(reranker: Reranker, query: str, texts: Sequence[str], overrides: Overrides) -> RerankResponse:
    """Rerank texts as a call wants it, awaiting."""
    top_n, instruction = overrides.get("top_n"), overrides.get("instruction")
    return _apply_score_threshold(await reranker.arerank(query, texts, top_n=top_n, instruction=instruction), overrides)


def _apply_score_threshold(response: RerankResponse, overrides: Overrides) -> RerankResponse:
    """The answer without the results below the threshold; of those that an outage hit nobody knows."""
    threshold = overrides.get("score_threshold")
    if threshold is None:
        return response
    kept = (
        r for r in response.results if r.error or (r.relevance_score is not None and r.relevance_score >= threshold)
    )
    return replace(response, results=tuple(kept))


class NebiusSettings(RerankSettings):
    """What only Nebius Token Factory has."""

    only_provider = "nebius"

    provider: ProviderField = "nebius"
    ai_project_id: str | None = None
    """The project that a request is booked on."""
    service_tier: str | None = None
    """"auto", "default", "over-limit", "flex" or "no-limit"."""
    user: str | None = None
    """Your own id of the end user."""

    def _reranker_settings(self) -> dict[str, Any]:
        settings = super()._reranker_settings()
        project = {"ai_project_id": self.ai_project_id} if self.ai_project_id else {}
        options = {"service_tier": self.service_tier, "user": self.user}
        given = {name: value for name, value in options.items() if value is not None}
        return settings | {"params": (self.params or {}) | project, "options": (self.options or {}) | given}


class FireworksSettings(RerankSettings):
    """What only Fireworks has: nothing yet but its name."""

    only_provider = "fireworks"
