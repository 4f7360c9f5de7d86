"""`Reranker`: what a caller sets, and one rerank with it, blocking or awaiting."""

from collections.abc import Callable, Mapping, Sequence
from types import EllipsisType
from typing import Any, Literal, TypeAlias

from hosted_rerank._other_names import explain_unknown
from hosted_rerank.call.call_options import MAX_CONCURRENCY, CallOptions
from hosted_rerank.call.call_state import CallState
from hosted_rerank.call.connected_endpoint import ConnectedEndpoint
from hosted_rerank.call.drivers import adrive, drive
from hosted_rerank.call.fallback_chain import FallbackChain, Stage
from hosted_rerank.call.passages import check_long_documents
from hosted_rerank.call.score_store import Cache, open_store
from hosted_rerank.limits.endpoint_state import ENDPOINTS
from hosted_rerank.limits.retry import RetryPolicy
from hosted_rerank.observability import observer_for
from hosted_rerank.providers import Provider, ProviderName, find_provider
from hosted_rerank.providers.endpoint import Endpoint, ScoreTransformChoice
from hosted_rerank.providers.private_settings import harmless_headers
from hosted_rerank.providers.setting_checks import Key
from hosted_rerank.response import RerankResponse
from hosted_rerank.transport.custom_client import AsyncHTTPClient, HTTPClient, check_way
from hosted_rerank.transport.rate_limiter import RateLimiter
from hosted_rerank.wire import Call, Document

InstructionOverride: TypeAlias = str | EllipsisType | None
"""The instruction of one call: a text, `None` for none, or `...` for the reranker's own."""


class Reranker(ConnectedEndpoint):
    """Scores how well documents answer a query, through a hosted rerank API or the embedded model.

    All rerankers and event loops of the process share connections, which open at the first call and stay open for the
    next ones. A reranker works in any thread and event loop, and after a fork. It can be copied and pickled; a pickle
    omits the key, the cache, the rate limiter, custom clients, `on_response`, and what else may be secret: all headers
    but a few harmless ones, params that the provider does not name, and `extra_body`. A copy that lacks one of these
    raises `ConfigurationError` at its first request.

    Args:
        provider: A name in `PROVIDERS` ("fireworks", "cohere", "vllm", "local", ...), or a `Provider` for another API.
        model: The model's id, sent unchanged; `None` for the provider's default.
        api_key: The key, a str or pydantic's `SecretStr`; `None` to read the environment at each call.
        base_url: Another URL, a base (`/v1`) or an endpoint (`/v1/reranking`); a key is optional. Else `CO_API_URL`...
        instruction: What "relevant" means, for models that take an instruction (Fireworks calls it `task`).
        instruction_in_query: Whether to put the instruction before the query if the API has no field for it.
        score_transform: "auto" applies the sigmoid to scores that are logits, "none" returns the API's scores,
            "sigmoid" applies it to all scores. `RerankResponse.score_transform` is the transform that was applied.
        timeout: httpx' timeout: seconds for connecting, for each read and for each write of an attempt.
        deadline: Seconds, a hard bound on a whole call with its retries, waits and fallbacks, also on a blocking call
            and for a custom client; `None` for no bound. Fallbacks share it.
        max_retries: Attempts after the first, after no response or a status of 408, 409, 425, 429, 500, 502 to 504, 520
            to 524, or 529. Without a fallback, a refusal by a rate limit costs none for a minute; 0 means one attempt.
        batch_size: The largest number of documents in a request; `None` for the limits that are known and learned.
        max_concurrency: The largest number of requests in flight to the same model of the same host with the same key.
        max_document_chars: The number of characters of a document to send; `None` for all.
        dedupe: Whether to send equal documents once.
        cache: Keeps scores, so that no pair of query and document is sent again: a `MutableMapping[str, float]` (a
            dict, `cachetools.TTLCache`, `diskcache.Cache`), LangChain's `BaseStore`, or an object with `get_many` and
            `set_many` (`hosted_rerank.call.score_store`). If it fails, the call goes on. Not for listwise models.
        on_error: "raise", or "passthrough": documents that an outage affects, or that are too long, come last, unscored
            and with the name of the error; an invalid request, a refused key and a cancellation always raise.
        long_documents: "truncate" leaves a document that is longer than the model reads to the API, which cuts it;
            "passages" sends it as overlapping passages, and its score is the best one's. Not for listwise models.
        passage_chars: The largest number of characters of a passage; `None` for what the model of the call reads.
        fallbacks: The rerankers to call in turn in an outage or a long wait: `Reranker`s, or providers by name or as
            `Provider`, which get this reranker's timeout, retries, `long_documents`, limiter, clients, some headers.
        rate_limiter: LangChain's `BaseRateLimiter` or the like, acquired for each request, besides the learned rate.
        headers: Additional HTTP headers; they replace default headers of the same name.
        params: Query parameters of the URL (Nebius' `ai_project_id`), and values of names in braces in it (`region`).
        options: Additional fields of the request that the provider lists, such as Nebius' `service_tier`.
        extra_body: Additional fields that the provider does not list, for APIs that ignore unknown fields.
        client: A custom `httpx.Client` (or httpx2's) for every blocking call of this reranker and fallbacks by name;
            it is never closed. If only `async_client` is given, a blocking call raises `ConfigurationError`.
        async_client: A custom `httpx.AsyncClient` (or httpx2's) for every awaiting call, in the same way.
        on_response: Is called with the response of each call; for code that does not see it, as in a framework's
            pipeline. Its exceptions are the call's.

    Raises:
        ValueError: A parameter has an invalid value. The message names it.
        TypeError: A parameter has the wrong type.
    """

    @explain_unknown
    def __init__(
        self,
        provider: ProviderName | str | Provider = "fireworks",
        model: str | None = None,
        *,
        api_key: Key | None = None,
        base_url: str | None = None,
        instruction: str | None = None,
        instruction_in_query: bool = False,
        score_transform: ScoreTransformChoice = "auto",
        timeout: float = 30.0,
        deadline: float | None = None,
        max_retries: int = 2,
        batch_size: int | None = None,
        max_concurrency: int = MAX_CONCURRENCY,
        max_document_chars: int | None = None,
        dedupe: bool = True,
        cache: Cache | None = None,
        on_error: Literal["raise", "passthrough"] = "raise",
        long_documents: Literal["truncate", "passages"] = "truncate",
        passage_chars: int | None = None,
        fallbacks: Sequence["ProviderName | str | Provider | Reranker"] = (),
        rate_limiter: RateLimiter | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        options: Mapping[str, Any] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        client: HTTPClient | None = None,
        async_client: AsyncHTTPClient | None = None,
        on_response: Callable[[RerankResponse], object] | None = None,
    ) -> None:
        endpoint = Endpoint(
            provider=find_provider(provider),
            model=model,
            api_key=api_key,
            base_url=base_url,
            headers=dict(headers or {}),
            params=dict(params or {}),
            options=dict(options or {}),
            extra_body=dict(extra_body or {}),
            score_transform=score_transform,
            instruction_in_query=instruction_in_query,
        )
        endpoint.check_instruction(instruction)
        self._instruction = instruction
        call_options = CallOptions(
            timeout,
            deadline,
            RetryPolicy(max_retries),
            batch_size,
            max_concurrency,
            max_document_chars,
            dedupe,
            on_error,
            long_documents,
            passage_chars,
        )
        check_long_documents(endpoint, call_options)
        self._store = open_store(cache)
        self._on_response = on_response
        super().__init__(endpoint, call_options, client, async_client, rate_limiter)
        self._fallbacks = tuple(map(self._make_fallback, fallbacks))

    _endpoints = ENDPOINTS
    """The learned limits of the process; a bulk job replaces them by limits that its processes share."""

    def rerank(
        self,
        query: str,
        documents: Sequence[Document],
        *,
        top_n: int | None = None,
        instruction: InstructionOverride = ...,
        model: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> RerankResponse:
        """Ranks documents by how well they answer a query.

        Args:
            query: The query; not blank.
            documents: The texts, or mappings of parts: `{"image": url, "text": caption}` where the API takes images,
                and fields, which go as text where it takes no fields. Blank ones are never sent and come last, with
                `relevance_score=None`; if all are blank, there is no request and no need for a key.
            top_n: The number of results to return; `None` for all.
            instruction: The instruction of this call, in place of the reranker's; `None` for none.
            model: The model of this call, in place of the reranker's; `None` for the reranker's. Fallbacks keep theirs.
            options: Options of this call, such as Nebius' `user`, besides the reranker's. Fallbacks keep theirs.

        Returns:
            The results, best first, by index into `documents`, with usage and request ids.

        Raises:
            RerankError: The rerank failed; `hosted_rerank.errors` draws the tree of errors.
            TypeError: An argument has the wrong type.
        """
        if model is not None or options:
            return self._with(model, options).rerank(query, documents, top_n=top_n, instruction=instruction)
        call = self._make_call(query, documents, top_n, instruction)
        with observer_for(self._endpoint, call) as observer:
            chain = FallbackChain(call, self._list_stages("client"), self._store, observer)
            for state, transport in chain:
                with chain.falling_back():
                    drive(state, transport)
                    return self._answer(chain, state)
            raise chain.failures[-1]

    async def arerank(
        self,
        query: str,
        documents: Sequence[Document],
        *,
        top_n: int | None = None,
        instruction: InstructionOverride = ...,
        model: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> RerankResponse:
        """Ranks documents as `rerank` does, awaiting; cancelling it cancels the request on the wire."""
        if model is not None or options:
            return await self._with(model, options).arerank(query, documents, top_n=top_n, instruction=instruction)
        call = self._make_call(query, documents, top_n, instruction)
        with observer_for(self._endpoint, call) as observer:
            chain = FallbackChain(call, self._list_stages("async_client"), self._store, observer)
            for state, transport in chain:
                with chain.falling_back():
                    await adrive(state, transport)
                    return self._answer(chain, state)
            raise chain.failures[-1]

    def _answer(self, chain: FallbackChain, state: CallState) -> RerankResponse:
        """Returns the response of a stage that has succeeded, and hands it to the caller's function."""
        response = chain.answer(state)
        if self._on_response is not None:
            self._on_response(response)
        return response

    def _make_fallback(self, fallback: "str | Provider | Reranker") -> "Reranker":
        """Returns a reranker for an item of `fallbacks`."""
        if isinstance(fallback, Reranker):
            return fallback
        if not isinstance(fallback, (str, Provider)):
            raise TypeError(f"fallbacks must be provider names, Providers or Rerankers, not {type(fallback).__name__}")
        return Reranker(
            fallback,
            timeout=self._call_options.timeout,
            max_retries=self._call_options.retry.max_retries,
            long_documents=self._call_options.long_documents,
            rate_limiter=self._rate_limiter,
            headers=harmless_headers(self._endpoint.headers),  # a key must not go to another host
            client=self._client,
            async_client=self._async_client,
        )

    def _make_call(
        self, query: str, documents: Sequence[Document], top_n: int | None, instruction: InstructionOverride
    ) -> Call:
        effective = self._instruction if isinstance(instruction, EllipsisType) else instruction
        for fallback in self._fallbacks:
            fallback._endpoint.check_instruction(effective)  # noqa: SLF001 - before any request
        return Call(query, documents, top_n, effective)

    def _list_stages(self, client: Literal["client", "async_client"]) -> list[Stage]:
        """Returns this reranker and its fallbacks.

        Raises:
            ConfigurationError: One of them has a custom client only for the other way of calling.
        """
        chain = (self, *self._fallbacks)
        for each in chain:
            check_way(client, each._client, each._async_client)  # noqa: SLF001 - of the same class
        return [Stage(each._endpoint, each._call_options, each._connect, each._endpoints) for each in chain]  # noqa: SLF001 - as above

    def __getstate__(self) -> dict[str, Any]:
        endpoint = self._endpoint.without_private()
        names = ("_client", "_async_client", "_store", "_rate_limiter", "_on_response")
        return self.__copy__().__dict__ | dict.fromkeys(names) | {"_endpoint": endpoint}
