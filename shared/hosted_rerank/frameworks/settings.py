"""The fields that the LangChain and the LlamaIndex class share: the same names, meanings and checks in both.

The class of a framework inherits these fields beside the framework's base class. Frameworks copy, assign to, pickle and
dump their components, so the fields hold the settings, and the `Reranker` is made again when a field changes.
"""

import copy
from typing import Any, ClassVar, NamedTuple, Self

from pydantic import Field, PrivateAttr, model_validator

from hosted_rerank._context_manager import ContextManagerMixin
from hosted_rerank.frameworks.fields import ProviderField, RerankFields
from hosted_rerank.frameworks.overrides import Overrides, check_overrides
from hosted_rerank.frameworks.serialization import PRIVATE_FIELDS, serialize_public
from hosted_rerank.reranker import Reranker

PASSTHROUGH_KEY = "rerank_error"
"""Metadata key of a document that `on_error="passthrough"` returns unscored; the value is the name of the error."""

_RERANKER_FIELDS = (
    *("provider", "model", "api_key", "base_url", "instruction", "instruction_in_query", "score_transform", "timeout"),
    *("deadline", "max_retries", "batch_size", "max_concurrency", "max_document_chars", "dedupe", "cache", "on_error"),
    *("fallbacks", "rate_limiter", "headers", "params", "options", "extra_body", "client", "async_client"),
)


class _CachedReranker(NamedTuple):
    """A reranker and the field values that it was made from."""

    fields: dict[str, Any]
    mutable_values: list[Any]
    reranker: Reranker


def _mutable_values(fields: dict[str, Any]) -> list[Any]:
    """Return the values that a caller can change in place."""
    return [fields[name] for name in ("headers", "params", "options", "extra_body")]


class RerankSettings(ContextManagerMixin, RerankFields):
    """The fields, checks, copies and pickles that `HostedRerank` has in both frameworks."""

    only_provider: ClassVar[str | None] = None
    """The only provider that the class accepts; `None` accepts every provider."""

    _cached_reranker: _CachedReranker | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.only_provider not in (None, getattr(self.provider, "name", self.provider)):
            raise ValueError(
                f"{type(self).__name__} takes provider={self.only_provider!r} only; use HostedRerank for others"
            )
        _ = self.reranker
        return self

    @property
    def reranker(self) -> Reranker:
        """The `hosted_rerank.Reranker` for the current values of the fields."""
        fields, cached = vars(self), self._cached_reranker
        if cached is None or cached.fields != fields or cached.mutable_values != _mutable_values(fields):
            self._cached_reranker = cached = _CachedReranker(
                dict(fields), copy.deepcopy(_mutable_values(fields)), Reranker(**self._reranker_settings())
            )
        return cached.reranker

    def _reranker_settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _RERANKER_FIELDS} | {"fallbacks": self.fallbacks or ()}

    def _resolve_overrides(self, overrides: Overrides) -> Overrides:
        """Return all parameters of a call: its own, and the fields for the others."""
        if overrides:
            check_overrides(overrides)
        return {
            "top_n": self.top_n,
            "score_threshold": self.score_threshold,
            "instruction": self.instruction,
            **overrides,
        }

    def _public_values(self) -> dict[str, Any]:
        """Return the fields in which a value may be secret, without such values."""
        return {name: serialize_public(name, getattr(self, name), self.provider) for name in PRIVATE_FIELDS}

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).model_fields:  # pydantic keeps a value that a model validator refuses: try a copy
            super(RerankSettings, self.model_copy()).__setattr__(name, value)
        super().__setattr__(name, value)

    def close(self) -> None:
        """Release the blocking connections. A later call opens new ones."""
        self.reranker.close()

    async def aclose(self) -> None:
        """Release the blocking connections and those of the running event loop. A later call opens new ones."""
        await self.reranker.aclose()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        memo = {} if memo is None else memo
        shared = (
            self.client,
            self.async_client,
            self.cache,
            self.rate_limiter,
            getattr(self, "callback_manager", None),
        )
        memo |= {id(thing): thing for thing in shared}  # a copy of the reranker keeps these objects
        return super().__deepcopy__(memo)

    def __getstate__(self) -> dict[Any, Any]:
        without: dict[str, Any] = dict.fromkeys(("api_key", "client", "async_client", "cache", "rate_limiter"))
        without |= self._public_values()
        bare = self.model_copy(update=without)  # LlamaIndex's __getstate__ deletes attributes of its object
        bare._cached_reranker = None  # noqa: SLF001 - an attribute of this class; its reranker holds the key
        return super(RerankSettings, bare).__getstate__()


class NebiusSettings(RerankSettings):
    """The fields for Nebius Token Factory."""

    only_provider = "nebius"

    provider: ProviderField = Field(
        default="nebius", description='The API: "nebius", or a custom `hosted_rerank.Provider` of that name.'
    )
    ai_project_id: str | None = Field(
        default=None,
        description="The id of the Nebius project that the requests are billed to; `None` sends no project.",
    )
    service_tier: str | None = Field(
        default=None,
        description='The service tier: "auto", "default", "over-limit", "flex" or "no-limit"; `None` sends no tier.',
    )
    user: str | None = Field(default=None, description="The caller's id of the end user; `None` sends no id.")

    def _reranker_settings(self) -> dict[str, Any]:
        settings = super()._reranker_settings()
        project = {"ai_project_id": self.ai_project_id} if self.ai_project_id else {}
        options = {"service_tier": self.service_tier, "user": self.user}
        given = {name: value for name, value in options.items() if value is not None}
        return settings | {"params": (self.params or {}) | project, "options": (self.options or {}) | given}


class FireworksSettings(RerankSettings):
    """The fields for Fireworks: those of `RerankSettings`."""

    only_provider = "fireworks"
