"""The types of the core. Type checkers read this; nothing runs it.

Each `type: ignore` is a promise too: mypy strict refuses one that is not needed.
"""

from collections.abc import Mapping, Sequence
from typing import assert_type

import httpx
from pydantic import SecretStr

from hosted_rerank import (
    PROVIDERS,
    DeadlineExceededError,
    Dialect,
    InvalidRequestError,
    PermissionDeniedError,
    Provider,
    RerankConnectionError,
    Reranker,
    RerankError,
    RerankResponse,
    RerankResult,
    RerankTimeoutError,
    Usage,
)


def made() -> Sequence[Reranker]:
    row = Provider(
        name="mine",
        url="https://h.example/v1/rerank",
        dialect=Dialect(instruction="task", options={"tier": ("a", "b"), "user": str}),
        api_key_env=("MINE_API_KEY",),
        errors={418: PermissionDeniedError},
        allow_http=True,
        max_response_bytes=1 << 20,
    )
    return [
        Reranker(),
        Reranker("nebius", "a-model", api_key="k", params={"ai_project_id": "p"}, options={"service_tier": "flex"}),
        Reranker(row, api_key=SecretStr("k"), headers={"x-a": "1"}, timeout=5, deadline=10.0, max_retries=0),
        Reranker(PROVIDERS["fireworks"], instruction="be brief", base_url="http://127.0.0.1:8080"),
        Reranker(client=httpx.Client(), async_client=httpx.AsyncClient()),
    ]


def blocking(reranker: Reranker, texts: tuple[str, ...]) -> None:
    with reranker as entered:
        assert_type(entered, Reranker)
    response = reranker.rerank("query", texts, top_n=3, instruction=None)
    assert_type(response, RerankResponse)
    assert_type(response.results, tuple[RerankResult, ...])
    assert_type([result.index for result in response.results], list[int])
    assert_type(response.results[0].relevance_score, float | None)
    assert_type(response.usage, Usage)
    assert_type(response.usage.total_tokens, int | None)
    assert_type(response.usage.units, Mapping[str, float])
    assert_type(response.request_ids, tuple[str, ...])
    assert_type((response.model, response.provider), tuple[str, str])
    assert_type((response.attempts, response.elapsed), tuple[int, float])
    assert_type(reranker.provider, Provider)
    assert_type(reranker.model, str | None)


async def awaiting(reranker: Reranker) -> None:
    async with reranker as entered:
        assert_type(entered, Reranker)
    assert_type(
        await reranker.arerank("query", ["text"], top_n=None, instruction="be brief", model="m"), RerankResponse
    )


def caught(error: RerankError) -> None:
    assert_type(error.status, int | None)
    assert_type(error.provider, str | None)
    assert_type(error.request_id, str | None)
    assert_type(error.retry_after, float | None)


def family(late: DeadlineExceededError, wrong: InvalidRequestError) -> None:
    for_timeouts: Sequence[TimeoutError] = [late]
    for_values: Sequence[ValueError] = [wrong]
    for_us: Sequence[RerankError] = [late, wrong]
    narrower: tuple[RerankTimeoutError, RerankConnectionError] = (late, late)
    print(for_timeouts, for_values, for_us, narrower)


def refused(reranker: Reranker, response: RerankResponse) -> None:
    reranker.rerank("query", ["text"], 3)  # type: ignore[call-arg]  # top_n is given by name
    reranker.rerank("query", [1, 2])  # type: ignore[list-item]
    reranker.rerank("query", ["text"], top_n="3")  # type: ignore[arg-type]
    Reranker("fireworks", "model", "key")  # type: ignore[call-arg]  # a key is given by name
    Reranker(api_key=b"key")  # type: ignore[arg-type]
    Reranker(async_client=httpx.Client())  # type: ignore[arg-type]
    Reranker(retries=3)  # type: ignore[call-arg]
    response.results = ()  # type: ignore[misc]  # an answer does not change
