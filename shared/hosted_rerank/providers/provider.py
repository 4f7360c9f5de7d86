"""`Provider`: one row of the table, and what a row of your own is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hosted_rerank.errors import RerankError
from hosted_rerank.providers.auth import Auth, KeyHeader
from hosted_rerank.providers.dialect import Dialect
from hosted_rerank.response import ScoreKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A rerank API. Pass one of your own wherever a provider's name is accepted.

    Args:
        name: What errors and traces call it.
        url: The full address of the endpoint, path included. A name in braces, such as `{region}`, is filled in from
            `params`; `{model}` is the model's id, `{model_}` the same with underscores for its dots.
        dialect: The names and paths of a call on its wire.
        default_model: The default model, which may have names in braces too; `None` if the caller has to choose, or if the API
            needs none.
        docs: The page that describes the API.
        auth: How a request shows who sends it: a key in a header, or a vendor's own credentials.
        api_key_env: Environment variables that may hold the key; the first that is set counts. Empty: the API needs no key.
        settings_env: Environment variables for other settings, by the name of a part of the URL, of an option or of a
            query parameter; likewise.
        params: Query parameters and parts of the URL, as they are where the caller gives no others.
        headers: HTTP headers that the API asks for.
        request_id_headers: Response headers that may hold the API's id of the request; the first that is there counts.
        usage_headers: Response headers that hold counts, and what a `usage` object would call them.
        errors: Errors that mean something else here than `hosted_rerank.errors` says: by status, or by the vendor's
            code or a phrase of its message.
        score_kind: Where its scores lie.
        max_documents: Documents that a request may have, where the vendor says so.
        max_bytes: Bytes that the texts of a request may have, where the vendor says so.
        max_tokens: Tokens that a request may have, where the vendor says so; the query counts once for each document.
        listwise_models: Beginnings of the ids of models whose scores compare only within one request.
        allow_http: Whether the key may travel over plain http to a host other than localhost, 127.0.0.1 or ::1.
        max_response_bytes: Bytes of a reply's body, decompressed, that are read before it is refused.

    Raises:
        ValueError: `name` or `url` is blank.
        TypeError: A single str stands where several are meant.
    """

    name: str
    url: str
    dialect: Dialect = Dialect()
    default_model: str | None = None
    docs: str = ""
    auth: Auth = KeyHeader()
    api_key_env: tuple[str, ...] = ()
    settings_env: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    request_id_headers: tuple[str, ...] = ("x-request-id",)
    usage_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    errors: Mapping[int | str, type[RerankError]] = field(default_factory=dict[int | str, type[RerankError]])
    score_kind: ScoreKind = "unknown"
    max_documents: int | None = None
    max_bytes: int | None = None
    max_tokens: int | None = None
    listwise_models: tuple[str, ...] = ()
    allow_http: bool = False
    max_response_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        for parameter, value in (("name", self.name), ("url", self.url)):
            if not value.strip():
                raise ValueError(f"Provider: {parameter} is blank")
        tuples = {
            "api_key_env": self.api_key_env,
            "request_id_headers": self.request_id_headers,
            "listwise_models": self.listwise_models,
        }
        for parameter, values in (tuples | {"dialect.usage": self.dialect.usage}).items():
            if isinstance(values, str):
                raise TypeError(f"Provider: {parameter} must be a tuple of str, not a str")
