"""The fields that the LangChain and the LlamaIndex class share: the same names, meanings and checks in both.

The class of a framework inherits these fields beside the framework's base class. Frameworks copy, assign to, pickle and
dump their components, so the fields hold the settings, and the `Reranker` is made again when a field changes.
"""

import copy
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, PrivateAttr, model_validator

from hosted_rerank._context_manager import ContextManagerMixin
from hosted_rerank._other_names import NOT_HERE, remedy_for
from hosted_rerank.frameworks.documentation import POSITIONAL, document_fields
from hosted_rerank.frameworks.fields import ProviderField, RerankFields
from hosted_rerank.frameworks.overrides import Overrides, check_overrides
from hosted_rerank.frameworks.serialization import PRIVATE_FIELDS, serialize_public
from hosted_rerank.providers import PROVIDERS, Provider
from hosted_rerank.providers.json_path import is_object
from hosted_rerank.reranker import Reranker

PASSTHROUGH_KEY = "rerank_error"
"""Metadata key of a document that `on_error="passthrough"` returns unscored; the value is the name of the error."""

PASSAGE_KEY = "rerank_passage"
"""Metadata key of a long document: the place of its best passage, `{"start": ..., "end": ...}` in characters."""
EXTRA_KEY = "rerank_extra"
"""Metadata key of the other fields of a document's result, with `keep_extra=True`."""

_RERANKER_FIELDS = (
    *("provider", "model", "api_key", "base_url", "instruction", "instruction_in_query", "score_transform", "timeout"),
    *("deadline", "max_retries", "batch_size", "max_concurrency", "max_document_chars", "dedupe", "cache", "on_error"),
    *("long_documents", "passage_chars"),
    *("fallbacks", "rate_limiter", "headers", "params", "options", "extra_body", "client", "async_client"),
    "on_response",
)

_NOT_PICKLED = ("api_key", "client", "async_client", "cache", "rate_limiter", "on_response")


@dataclass(frozen=True)
class _CachedReranker:
    """A reranker and the field values that it was made from. It does not count where settings are compared."""

    fields: dict[str, Any] | None = field(default=None, compare=False)
    mutable_values: list[Any] | None = field(default=None, compare=False)
    reranker: Reranker | None = field(default=None, compare=False)


_NO_RERANKER = _CachedReranker()


def _options(provider: Any) -> Collection[str]:
    """Return the options of a provider's API; none if it is unknown."""
    row = PROVIDERS.get(provider) if isinstance(provider, str) else provider
    return row.dialect.options if isinstance(row, Provider) else ()


def _mutable_values(fields: dict[str, Any]) -> list[Any]:
    """Return the values that a caller can change in place."""
    return [fields[name] for name in ("headers", "params", "options", "extra_body", "fallbacks")]


class RerankSettings(ContextManagerMixin, RerankFields):
    """The fields, checks, copies and pickles that `HostedRerank` has in both frameworks."""

    only_provider: ClassVar[str | None] = None
    """The only provider that the class accepts; `None` accepts every provider."""

    _cached_reranker: _CachedReranker = PrivateAttr(default=_NO_RERANKER)

    if not TYPE_CHECKING:  # type checkers read the fields, where `kw_only` says the same

        def __init__(self, *settings: Any, **named: Any) -> None:
            if len(settings) > len(POSITIONAL):
                raise TypeError(f"only {' and '.join(POSITIONAL)} are taken by position")
            super().__init__(**dict(zip(POSITIONAL, settings, strict=False)), **named)

    @classmethod
    def __pydantic_init_subclass__(cls, **named: Any) -> None:
        super().__pydantic_init_subclass__(**named)
        document_fields(cls)

    @model_validator(mode="before")
    @classmethod
    def _explain_unknown(cls, fields: Any) -> Any:
        """Raise the error for a name of another reranker or a typo, which says what it is called here."""
        if cls.model_config.get("extra") != "forbid" or not is_object(fields):
            return fields
        known = {name for name, each in cls.model_fields.items() if each.init is not False}
        options = _options(fields.get("provider", cls.model_fields["provider"].default))
        for name in fields:
            if name not in known and (remedy := remedy_for(name, known, options, NOT_HERE)):
                raise ValueError(f"{cls.__name__} takes no {name}: {remedy}")
        return fields

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
        if cached.reranker is None or cached.fields != fields or cached.mutable_values != _mutable_values(fields):
            reranker = Reranker(**self._reranker_settings())
            same = {id(fallback): fallback for fallback in self.fallbacks or ()}  # a `Reranker` equals no copy of it
            values = copy.deepcopy(_mutable_values(fields), same)
            self._cached_reranker = _CachedReranker(dict(fields), values, reranker)
            return reranker
        return cached.reranker

    def _reranker_settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _RERANKER_FIELDS} | {"fallbacks": self.fallbacks or ()}

    def _resolve_overrides(self, overrides: Overrides) -> Overrides:
        """Return all parameters of a call: its own, and the fields for the others."""
        defaults: Overrides = {
            "top_n": self.top_n,
            "score_threshold": self.score_threshold,
            "instruction": self._own_instruction,
        }
        return {**defaults, **check_overrides(overrides, _options(self.provider))} if overrides else defaults

    @property
    def _own_instruction(self) -> str | None:
        """Return the instruction of calls that have none of their own."""
        return self.instruction

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
            self.on_response,
            getattr(self, "callback_manager", None),
        )
        memo |= {id(thing): thing for thing in shared}  # a copy of the reranker keeps these objects
        return super().__deepcopy__(memo)

    def __getstate__(self) -> dict[Any, Any]:
        without: dict[str, Any] = dict.fromkeys(_NOT_PICKLED)
        without |= self._public_values()
        bare = self.model_copy(update=without)  # LlamaIndex's __getstate__ deletes attributes of its object
        bare._cached_reranker = _NO_RERANKER  # noqa: SLF001 - an attribute of this class; its reranker holds the key
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
    """The fields for Fireworks."""

    only_provider = "fireworks"

    task: str | None = Field(default=None, description="The name that Fireworks gives to `instruction`.")
    return_documents: bool = Field(
        default=False, description="Whether a reply repeats the documents, in the `extra` of each result."
    )

    @property
    def _own_instruction(self) -> str | None:
        return self.task if self.instruction is None else self.instruction

    def _reranker_settings(self) -> dict[str, Any]:
        if self.task is not None and self.instruction is not None:
            raise ValueError("task and instruction are both given: they are one field of the request, pass one of them")
        settings = super()._reranker_settings() | {"instruction": self._own_instruction}
        given = {"return_documents": True} if self.return_documents else {}
        return settings | {"options": (self.options or {}) | given}
