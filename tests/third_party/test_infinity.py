"""Against infinity's real server, with a tiny cross-encoder: `make test-servers`."""

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hosted_rerank import PROVIDERS, Reranker, RerankError
from hosted_rerank.response import RerankResponse
from tests.bounded import patience

INFINITY = os.environ.get("INFINITY")
"""The command of an environment that has it; it needs torch, and older packages than ours."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not INFINITY, reason="INFINITY does not name the command infinity_emb: make test-servers does"),
]
QUERY = "what is python"
DOCUMENTS = ["python is a language", "cats", " ", "debian is a distribution"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a running infinity server."""
    command, folder = Path(INFINITY or ""), tmp_path_factory.mktemp("model")
    writer = Path(__file__).with_name("tiny_bert.py")
    subprocess.run([str(command.with_name("python")), str(writer), str(folder)], check=True, timeout=patience(300))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = ["v2", "--model-id", str(folder), "--served-model-name", "tiny", "--host", "127.0.0.1"]
    arguments += ["--port", str(port), "--engine", "torch", "--device", "cpu", "--no-bettertransformer"]
    arguments += ["--no-model-warmup", "--no-compile"]
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
    with subprocess.Popen([str(command), *arguments], env=quiet) as server:
        try:
            _wait(f"http://127.0.0.1:{port}/health", server)
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
    raise AssertionError("infinity did not start")


def ask_directly(address: str, **more: Any) -> dict[int, float]:
    """The scores that the server gives a plain HTTP client."""
    body = {"model": "tiny", "query": QUERY, "documents": [text for text in DOCUMENTS if text.strip()], **more}
    results = httpx.post(f"{address}/rerank", json=body).raise_for_status().json()["results"]
    return {result["index"]: result["relevance_score"] for result in results}


def check(response: RerankResponse, scores: dict[int, float]) -> None:
    expected = {0: scores[0], 1: scores[1], 3: scores[2]}  # the blank document was not sent
    *scored, blank = response.results
    assert {result.index: result.relevance_score for result in scored} == pytest.approx(expected, abs=1e-5)
    assert [result.index for result in scored] == sorted(expected, key=expected.__getitem__, reverse=True)
    assert (blank.index, blank.relevance_score) == (2, None)


def test_the_row_reranks(address: str) -> None:
    """The table's row, told the address, gets the server's own scores, sorted, blocking and awaiting."""
    reranker = Reranker("infinity", "tiny", base_url=address)
    scores = ask_directly(address)
    assert len(set(scores.values())) == 3
    response = reranker.rerank(QUERY, DOCUMENTS)
    check(response, scores)
    assert (response.model, response.score_kind) == ("tiny", "unit")
    assert response.usage.total_tokens
    check(asyncio.run(reranker.arerank(QUERY, DOCUMENTS)), scores)
    best = reranker.rerank(QUERY, DOCUMENTS, top_n=1).results
    assert [result.index for result in best] == [response.results[0].index]


def test_raw_scores(address: str) -> None:
    """Its option gives the model's logits, of which the response does not claim that they lie from 0 to 1."""
    reranker = Reranker("infinity", "tiny", base_url=address, options={"raw_scores": True})
    response = reranker.rerank(QUERY, DOCUMENTS)
    check(response, ask_directly(address, raw_scores=True))
    assert response.score_kind == "unknown"


def test_its_refusals_become_our_errors(address: str) -> None:
    """Its error for a document beyond its limit reaches the caller in its words."""
    with pytest.raises(RerankError) as caught:
        Reranker("infinity", "tiny", base_url=address, max_retries=0).rerank(QUERY, ["a" * 200_000])
    assert caught.value.status is not None
    assert PROVIDERS["infinity"].name in str(caught.value)
