"""The pydantic fields that `HostedRerank` has in both frameworks."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FieldSerializationInfo,
    PlainSerializer,
    SecretStr,
    WithJsonSchema,
    field_serializer,
)

from hosted_rerank.call.call_options import MAX_CONCURRENCY
from hosted_rerank.frameworks.numbers import Count, Integer, Number
from hosted_rerank.frameworks.serialization import (
    PRIVATE_FIELDS,
    deserialize_provider,
    serialize_fallbacks,
    serialize_provider,
    serialize_public,
)
from hosted_rerank.providers import Provider, ProviderName
from hosted_rerank.providers.endpoint import ScoreTransformChoice
from hosted_rerank.reranker import Reranker
from hosted_rerank.response import RerankResponse


def _hide(key: SecretStr | str | None) -> SecretStr | None:
    """Returns a key as a `SecretStr`, which does not show itself."""
    return SecretStr(key) if isinstance(key, str) else key


_JSON_SCHEMA = WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]})
"""A provider as `serialize_provider` writes it."""

ApiKey: TypeAlias = Annotated[SecretStr | str | None, AfterValidator(_hide)]
Fallback: TypeAlias = Annotated[
    ProviderName | str | Provider | Reranker, BeforeValidator(deserialize_provider), _JSON_SCHEMA
]
ProviderField: TypeAlias = Annotated[
    ProviderName | str | Provider,
    BeforeValidator(deserialize_provider),
    PlainSerializer(serialize_provider),
    _JSON_SCHEMA,
]


class RerankFields(BaseModel):
    """The fields of `RerankSettings`, with their descriptions, and nothing else."""

    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        extra="forbid",
        hide_input_in_errors=True,  # an input may be a key
        protected_namespaces=(),
        validate_assignment=True,
    )

    provider: ProviderField = Field(
        default="fireworks",
        kw_only=False,  # by position too, as in `Reranker`; for type checkers
        description=(
            'The API: a name ("fireworks", "cohere", "vllm", "local", ...) or a custom `hosted_rerank.Provider`.'
        ),
    )
    model: str | None = Field(
        default=None,
        kw_only=False,
        description="The id of the model, sent unchanged; `None` selects the default model of the provider.",
    )
    api_key: ApiKey = Field(
        default=None,
        exclude=True,
        repr=False,
        description=(
            "The API key; `None` reads the environment variable of the provider at each call. Pickles and dumps "
            "omit it."
        ),
    )
    base_url: str | None = Field(
        default=None,
        description=(
            "Another URL of the same API, with or without the path of the endpoint. The key is optional there."
        ),
    )
    top_n: Count | None = Field(
        default=3, description="The largest number of documents to return, at least 1; `None` returns all."
    )
    score_threshold: Number | None = Field(
        default=None,
        description=(
            "The lowest relevance score to return. A threshold also drops blank documents, which have no score."
        ),
    )
    instruction: str | None = Field(
        default=None,
        description='What "relevant" means, for models that take an instruction (Fireworks calls it `task`).',
    )
    instruction_in_query: bool = Field(
        default=False, description="Whether the instruction is put before the query if the API has no field for it."
    )
    score_transform: ScoreTransformChoice = Field(
        default="auto",
        description=(
            'The conversion of scores: "auto" applies the sigmoid if the provider returns logits, "sigmoid" '
            'applies it always, "none" keeps the scores of the API. `score_threshold` applies to the converted '
            "scores."
        ),
    )
    timeout: Number = Field(default=30.0, description="Seconds for one attempt.")
    deadline: Number | None = Field(
        default=None,
        description=(
            "Seconds for a whole call with its retries, waits and fallbacks, which share it; `None` sets no limit."
        ),
    )
    max_retries: Integer = Field(
        default=2,
        description=(
            "The number of attempts after the first one, for errors that are temporary. Without a fallback, a refusal "
            "by a rate limit costs none of them for a minute; 0 means a single attempt."
        ),
    )
    batch_size: Integer | None = Field(
        default=None,
        description="The largest number of documents in one request; `None` uses the limit of the provider.",
    )
    max_concurrency: Integer = Field(
        default=MAX_CONCURRENCY,
        description="The largest number of concurrent requests with the same host, model and key.",
    )
    max_document_chars: Integer | None = Field(
        default=None, description="The number of characters of a document to send; `None` sends all."
    )
    dedupe: bool = Field(default=True, description="Whether documents with equal text are sent only once.")
    cache: Any = Field(
        default=None,
        exclude=True,
        repr=False,
        description=(
            "The cache of scores: a `MutableMapping[str, float]` (a dict, `cachetools.TTLCache`, `diskcache.Cache`), "
            "LangChain's `BaseStore`, or an object with `get_many` and `set_many`. Pickles and dumps omit it."
        ),
    )
    on_error: Literal["raise", "passthrough"] = Field(
        default="raise",
        description=(
            'The reaction to an outage of the API. "raise" raises the error. "passthrough" logs it and returns '
            "the affected documents without scores, in input order after the scored ones, at most `top_n` in "
            "all; `rerank_error` names the error, in the metadata of a document and beside a node (`RerankedNode`). A "
            "wrong request, a 401, a 403 and a cancellation always raise."
        ),
    )
    long_documents: Literal["truncate", "passages"] = Field(
        default="truncate",
        description=(
            'A document that is longer than the model reads. "truncate" leaves it to the API, which cuts it. '
            '"passages" sends it as overlapping passages; its score is the best one\'s, and `rerank_passage` has the '
            "place of that passage in the text that was sent, in the metadata of a document and beside a node "
            "(`RerankedNode`). Not for listwise models."
        ),
    )
    passage_chars: Integer | None = Field(
        default=None,
        description="The largest number of characters of a passage; `None` uses what the model of the call reads.",
    )
    fallbacks: Annotated[list[Fallback], PlainSerializer(serialize_fallbacks)] | None = Field(
        default=None,
        description=(
            "The rerankers to try in turn if the provider fails: names of providers, `Provider`s or `Reranker`s. "
            "Dumps omit `Reranker`s."
        ),
    )
    rate_limiter: Any = Field(
        default=None,
        exclude=True,
        repr=False,
        description=(
            "LangChain's `BaseRateLimiter` or an equivalent; each request acquires it once. Pickles and dumps omit it."
        ),
    )
    headers: dict[str, str] | None = Field(
        default=None,
        repr=False,
        description="Additional HTTP headers. Pickles and dumps omit all values but those of a few harmless headers.",
    )
    params: dict[str, str] | None = Field(
        default=None,
        repr=False,
        description=(
            "Additional query parameters, and parts of the URL such as Bedrock's `region`. Pickles and dumps omit "
            "the values of parameters that the provider does not name."
        ),
    )
    options: dict[str, Any] | None = Field(
        default=None, description="Additional fields of the request body, from the options that the provider lists."
    )
    extra_body: dict[str, Any] | None = Field(
        default=None,
        repr=False,
        description=(
            "Fields of the request body that the provider does not list, for APIs that ignore unknown fields. Pickles "
            "and dumps omit the values."
        ),
    )
    client: Any = Field(
        default=None,
        exclude=True,
        repr=False,
        description="A custom `httpx.Client` for blocking calls; it is never closed here. Pickles and dumps omit it.",
    )
    async_client: Any = Field(
        default=None,
        exclude=True,
        repr=False,
        description=(
            "A custom `httpx.AsyncClient` for async calls; it is never closed here. Pickles and dumps omit it."
        ),
    )

    on_response: Annotated[Callable[[RerankResponse], Any] | None, WithJsonSchema({"type": "null"})] = Field(
        default=None,
        exclude=True,
        repr=False,
        description=(
            "Is called with the `hosted_rerank.RerankResponse` of each call: scores, usage, request ids, and what else "
            "the API says (`extra`). Pickles and dumps omit it."
        ),
    )
    keep_extra: bool = Field(
        default=False,
        description=(
            "Whether a document keeps the other fields of its result in the API's reply (`relevant_spans`, an "
            "`embedding`): in its metadata as `rerank_extra`, or beside a node as `RerankedNode.extra`."
        ),
    )

    @field_serializer(*PRIVATE_FIELDS)
    def _serialize_public(self, value: Any, info: FieldSerializationInfo) -> Any:
        return serialize_public(info.field_name, value, self.provider)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Return the fields that a repr shows, without what may be secret."""
        return [(name, serialize_public(str(name), value, self.provider)) for name, value in super().__repr_args__()]
