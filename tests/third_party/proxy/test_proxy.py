"""Litellm's proxy between our client, as provider "litellm", and the local server."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from hosted_rerank import InvalidRequestError, Reranker
from tests.bounded import patience
from tests.third_party.conftest import Case, imported

CONFIG = """
model_list:
  - model_name: via-cohere
    litellm_params: {{model: cohere/rerank-v3.5, api_key: k, api_base: "{0}/cohere/v2/rerank"}}
  - model_name: via-vllm
    litellm_params: {{model: hosted_vllm/m, api_key: k, api_base: "{0}/vllm"}}
  - model_name: via-infinity
    litellm_params: {{model: infinity/m, api_key: k, api_base: "{0}/infinity"}}
general_settings: {{master_key: sk-proxy}}
"""


@pytest.fixture(scope="module")
def proxy(base_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a running proxy that wants the key sk-proxy."""
    imported("litellm.proxy.proxy_server")
    folder = tmp_path_factory.mktemp("proxy")
    (folder / "config.yaml").write_text(CONFIG.format(base_url))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "litellm.proxy.proxy_cli", "--config", str(folder / "config.yaml")]
    command += ["--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    quiet = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # else it asks the network for prices
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, env=quiet, cwd=folder, stdout=log, stderr=log) as server,
    ):
        try:
            _wait(f"http://127.0.0.1:{port}/health/liveliness", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _wait(url: str, server: "subprocess.Popen[bytes]") -> None:
    """Waits until it answers, two minutes at most."""
    end = time.monotonic() + patience(120)
    while time.monotonic() < end and server.poll() is None:
        try:
            httpx.get(url).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError("the proxy did not start")


@pytest.mark.parametrize("model", ["via-cohere", "via-vllm", "via-infinity"])
def test_through_the_proxy(model: str, proxy: str, case: Case) -> None:
    """The scores come through each of its backends, blocking and awaiting, with the id of its call."""
    reranker = Reranker("litellm", model, base_url=proxy, api_key="sk-proxy")
    for response in (
        reranker.rerank(case.query, case.documents, top_n=2),
        asyncio.run(reranker.arerank(case.query, case.documents, top_n=2)),
    ):
        assert [(result.index, result.relevance_score) for result in response.results] == case.best[:2]
        assert all(response.request_ids)


def test_refusals(proxy: str, case: Case) -> None:
    """An unknown model is the caller's error, in the proxy's words."""
    with pytest.raises(InvalidRequestError, match="via-nobody"):
        Reranker("litellm", "via-nobody", base_url=proxy, api_key="sk-proxy").rerank(case.query, case.documents)
