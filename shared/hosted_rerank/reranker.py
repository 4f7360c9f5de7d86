"""`Reranker`: the core's one door. It drives the flow, blocking or awaiting, and decides nothing itself."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import EllipsisType
from typing import Any, Literal, Self

from hosted_rerank._context_manager import ContextManagerMixin
from hosted_rerank.call.batching import CONCURRENCY, CallOptions
from hosted_rerank.call.drivers import adrive, drive
from hosted_rerank.call.fallback_chain import FallbackChain, Stage
from hosted_rerank.call.score_cache import Cache, check_cache
from hosted_rerank.limits.endpoint_state import ENDPOINTS
from hosted_rerank.limits.retry import RetryPolicy
from hosted_rerank.observability import observer_for
from hosted_rerank.providers import Provider, find_provider
from hosted_rerank.providers.auth import KeyHeader
from hosted_rerank.providers.endpoint import Endpoint, Key, ScoreTransformChoice
from hosted_rerank.providers.servers import LOCAL
from hosted_rerank.providers.url import without_credentials
from hosted_rerank.response import RerankResponse
from hosted_rerank.transport.custom_client import AsyncHTTPClient, HTTPClient, check_client, check_way
from hosted_rerank.transport.rate_limiter import RateLimitedTransport, RateLimiter
from hosted_rerank.transport.signing import SigningTransport
from hosted_rerank.transport.transport import open_transport
from hosted_rerank.wire import Call, Transport


class Reranker(ContextManagerMixin):
    """Scores documents by how well they answer a query, through a hosted rerank API or the embedded model.

    Connections are made at the first call, kept for the next ones, and shared by all rerankers of the process. One
    reranker serves all threads and event loops, works after a fork, and can be copied and pickled. A pickle does not
    hold the key, nor headers and params that look like one, nor a custom client: its copy reads the environment again.

    Args:
        provider: A name of `PROVIDERS` ("fireworks", "cohere", "vllm", "local", ...), or a `Provider` of your own.
        model: The model's id, passed on verbatim; `None` for the provider's default.
        api_key: The key, a str or pydantic's `SecretStr`; `None` to read the environment, each time.
        base_url: Another address of the same API, with or without the endpoint's path. A key is optional there.
        instruction: What "relevant" shall mean, for models that take one (Fireworks calls it `task`).
        instruction_in_query: Whether an instruction stands before the query where the API has no field for one.
        score_transform: "auto" gives the sigmoid of scores that are logits and leaves others alone, "none" leaves all
            alone, "sigmoid" is for a row that does not know. `RerankResponse.score_transform` says what was done.
        timeout: Seconds for one attempt, from connecting to the last byte of the reply.
        deadline: Seconds for a whole call, retries and waits included; `None` for no bound but the retries'.
        max_retries: Attempts after the first, for what may pass: no reply, 408, 409, 425, 429, 500, 502 to 504,
            520 to 524, 529.
        batch_size: Documents of one request at most; `None` for what the provider's row says. More documents go in
            several requests at once.
        max_concurrency: Requests under way at most, of all that ask the same model of the same host with the same key.
        max_document_chars: Characters of a document that are sent at most; `None` for all.
        dedupe: Whether equal documents are sent once.
        cache: Where scores are kept, a `MutableMapping[str, float]` of yours: a dict, `cachetools.TTLCache`,
            `diskcache.Cache`. Known pairs of a query and a document are not sent again.
            `hosted_rerank.call.score_cache` says what the keys are. Not for listwise models.
        on_error: "passthrough" leaves documents that an outage hit unscored, after the others, with the error's name;
            a wrong request, a wrong key and a cancellation always raise.
        fallbacks: Who is asked when this one is out: other rerankers, or providers by name or row, with the same times
            and retries. The `deadline` is for all together.
        rate_limiter: LangChain's `BaseRateLimiter`, or what is like it: asked once for each request, besides our own
            pace, which follows what the API's answers say.
        headers: More HTTP headers; they win failures ours.
        params: More query parameters of the URL, such as Nebius' `ai_project_id`, and parts of it, such as Bedrock's
            `region`.
        options: More fields of the request, of those that the provider's row lists, such as Nebius' `service_tier`.
        extra_body: Fields that the row does not list, for APIs that ignore what they do not know.
        client: An `httpx.Client` (or httpx2's) for blocking calls; used as it is and never closed. It counts a timeout
            from byte to byte, so a reply that drips can outlast `timeout` and `deadline`.
        async_client: An `httpx.AsyncClient` (or httpx2's) for awaiting calls; likewise.

    Raises:
        ValueError: A parameter cannot be right. The message names it.
        TypeError: A parameter is of the wrong kind.
    """

    def __init__(
        self,
        provider: str | Provider = "fireworks",
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
        max_concurrency: int = CONCURRENCY,
        max_document_chars: int | None = None,
        dedupe: bool = True,
        cache: Cache | None = None,
        on_error: Literal["raise", "passthrough"] = "raise",
        fallbacks: Sequence["str | Provider | Reranker"] = (),
        rate_limiter: RateLimiter | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        options: Mapping[str, Any] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        client: HTTPClient | None = None,
        async_client: AsyncHTTPClient | None = None,
    ) -> None:
        self._endpoint = Endpoint(
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
        self._endpoint.check_instruction(instruction)
        self._instruction = instruction
        self._call_options = CallOptions(
            timeout,
            deadline,
            RetryPolicy(max_retries),
            batch_size,
            max_concurrency,
            max_document_chars,
            dedupe,
            on_error,
        )
        check_cache(cache)
        self._cache = cache
        self._rate_limiter = rate_limiter
        check_client("client", client, "Client")
        check_client("async_client", async_client, "AsyncClient")
        self._client, self._async_client = client, async_client
        self._fallbacks = tuple(map(self._fallback, fallbacks))
        self._transport: Transport  # set by _connect

    _endpoints = ENDPOINTS
    """What is known of who is asked; bulk work brings a pace that several processes share."""

    @property
    def provider(self) -> Provider:
        """The row of the API that is asked."""
        return self._endpoint.provider

    @property
    def model(self) -> str | None:
        """The model that is asked for; `None` if the API chooses."""
        return self._endpoint.model

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        top_n: int | None = None,
        instruction: str | EllipsisType | None = ...,
    ) -> RerankResponse:
        """Rank documents by how well they answer a query.

        Args:
            query: The question; not blank.
            documents: The texts. Blank ones are never sent and come last, with `relevance_score=None`. With no text at
                all, no request is made and no key needed.
            top_n: How many results to return; `None` for all.
            instruction: Instead of the reranker's own, for this call; `None` for none.

        Returns:
            The results, best first, by index into `documents`; with what the API says of usage and request ids.

        Raises:
            RerankError: The rerank failed; `hosted_rerank.errors` draws the family.
            TypeError: An argument is of the wrong kind.
        """
        call = self._call(query, documents, top_n, instruction)
        with observer_for(self._endpoint, call) as observer:
            chain = FallbackChain(call, self._stages("client"), self._cache, observer)
            for state, transport in chain:
                with chain.falling_back():
                    drive(state, transport)
                    return chain.answer(state)
            raise chain.failures[-1]

    async def arerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        top_n: int | None = None,
        instruction: str | EllipsisType | None = ...,
    ) -> RerankResponse:
        """Rank documents by how well they answer a query, as `rerank` does, awaiting.

        Cancelling it cancels the request on the wire.
        """
        call = self._call(query, documents, top_n, instruction)
        with observer_for(self._endpoint, call) as observer:
            chain = FallbackChain(call, self._stages("async_client"), self._cache, observer)
            for state, transport in chain:
                with chain.falling_back():
                    await adrive(state, transport)
                    return chain.answer(state)
            raise chain.failures[-1]

    def _fallback(self, fallback: "str | Provider | Reranker") -> "Reranker":
        """A reranker to fall back to."""
        if isinstance(fallback, Reranker):
            return fallback
        if not isinstance(fallback, (str, Provider)):
            kind = type(fallback).__name__
            raise TypeError(f"fallbacks must be names of providers, Provider rows or Rerankers, not {kind}")
        return Reranker(
            fallback,
            timeout=self._call_options.timeout,
            max_retries=self._call_options.retry.max_retries,
            rate_limiter=self._rate_limiter,
            headers=without_credentials(self._endpoint.headers),  # a key must not go to another host
            client=self._client,
            async_client=self._async_client,
        )

    def _call(
        self, query: str, documents: Sequence[str], top_n: int | None, instruction: str | EllipsisType | None
    ) -> Call:
        chosen = self._instruction if isinstance(instruction, EllipsisType) else instruction
        for fallback in self._fallbacks:
            fallback._endpoint.check_instruction(chosen)  # noqa: SLF001 - of our own class; before anybody is asked
        return Call(query, documents, top_n, chosen)

    def _stages(self, client: Literal["client", "async_client"]) -> list[Stage]:
        """Returns this reranker and its fallbacks.

        Raises:
            ConfigurationError: One of them has a custom client for the other way of calling only.
        """
        chain = (self, *self._fallbacks)
        for each in chain:
            check_way(client, each._client, each._async_client)  # noqa: SLF001 - of the same class
        return [Stage(each._endpoint, each._call_options, each._connect, each._endpoints) for each in chain]  # noqa: SLF001 - as above

    def _connect(self) -> Transport:
        """The transport, made at the first call: the embedded model is an extra."""
        if "_transport" not in self.__dict__:
            # Atomic: of two threads that come here at once, one's transport is kept, and the other's holds nothing yet.
            self.__dict__.setdefault("_transport", self._open())
        return self._transport

    def _open(self) -> Transport:
        if self.provider.url == LOCAL.url:
            from hosted_rerank.local.inprocess import LocalTransport  # noqa: PLC0415 - an extra

            return LocalTransport()
        transport = open_transport(self._client, self._async_client)
        auth = self.provider.auth
        if not isinstance(auth, KeyHeader) and not self._endpoint.is_loopback:
            transport = SigningTransport(transport, auth, self._endpoint)
        return transport if self._rate_limiter is None else RateLimitedTransport(transport, self._rate_limiter)

    def close(self) -> None:
        """Let go of the blocking connections, which close when no other reranker of the process needs them.

        Those of an event loop close with it, or by `aclose` within it. Calls that are under way on this reranker may
        fail. A later call opens what it needs.
        """
        if "_transport" in self.__dict__:
            self._transport.close()

    async def aclose(self) -> None:
        """Let go of the blocking connections and of the running event loop's. A later call opens what it needs."""
        if "_transport" in self.__dict__:
            await self._transport.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(provider={self.provider.name!r}, model={self.model!r})"

    def __copy__(self) -> Self:
        copied = object.__new__(type(self))
        copied.__dict__ = {name: value for name, value in self.__dict__.items() if name != "_transport"}
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()  # all that is left is immutable, or the caller's

    def __getstate__(self) -> dict[str, Any]:
        headers, params = map(without_credentials, (self._endpoint.headers, self._endpoint.params))
        endpoint = replace(self._endpoint, api_key=None, headers=headers, params=params)
        own = {"_endpoint": endpoint, "_client": None, "_async_client": None, "_cache": None, "_rate_limiter": None}
        return self.__copy__().__dict__ | own

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
