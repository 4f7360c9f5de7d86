"""For tests of signed requests: no credentials from outside, a token service, a caller that asks through a proxy.

The real libraries sign, against token services on loopback. The requests go to made-up hosts, through a custom client
whose proxy is the server, because a request to loopback is not signed.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from hosted_rerank import PROVIDERS, Provider, Reranker
from tests.conftest import QUERY
from tests.hostile import HostileServer, reply

TEXTS = ["The moon pulls.", "Bread rises."]
BEDROCK = replace(PROVIDERS["bedrock"], url="http://bedrock.{region}.example/rerank", allow_http=True)
SAGEMAKER = replace(
    PROVIDERS["sagemaker"], url="http://sagemaker.{region}.example/endpoints/{model}/invocations", allow_http=True
)
VERTEX = replace(PROVIDERS["vertex"], url="http://vertex.example/v1/{project}:rank", allow_http=True)
ANSWERS = {
    "bedrock": {"results": [{"index": 0, "relevanceScore": 0.9}, {"index": 1, "relevanceScore": 0.1}]},
    "sagemaker": {"results": [{"index": 0, "relevance_score": 0.9}, {"index": 1, "relevance_score": 0.1}]},
    "vertex": {"records": [{"id": "0", "score": 0.9}, {"id": "1"}]},
    "watsonx": {"results": [{"index": 0, "score": 2.0}, {"index": 1, "score": -2.0}]},
}


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials from outside: no variable, no file, no service of a cloud's machines."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "WATSONX_APIKEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p-1")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


@pytest.fixture
def tokens() -> Iterator[HostileServer]:
    """A service that gives out tokens."""
    with HostileServer() as server:
        yield server


@pytest.fixture
def ask(way: str, server: HostileServer) -> Iterator[Callable[..., Any]]:
    """Reranks through the server as a proxy, blocking or awaiting."""
    with asyncio.Runner() as runner, httpx.Client(proxy=server.url) as client:
        async_client = httpx.AsyncClient(proxy=server.url)

        def call(row: Provider, **settings: Any) -> Any:
            server.play(reply(200, ANSWERS[row.name])) if settings.pop("answers", True) else None
            settings = {"max_retries": 0, "client": client, "async_client": async_client} | settings
            reranker = Reranker(row, **settings)
            if way == "blocking":
                return reranker.rerank(QUERY, TEXTS)
            return runner.run(reranker.arerank(QUERY, TEXTS))

        yield call
        runner.run(async_client.aclose())
