"""The cost of an import: the core brings neither a framework, nor a model, nor an HTTP stack before it is needed."""

import socket
import subprocess
import sys
from types import ModuleType

import pytest

import hosted_rerank

HEAVY = (
    "httpx",
    "httpcore",
    "httpx2",
    "aiohttp",
    "langchain_core",
    "llama_index",
    "onnxruntime",
    "tokenizers",
    "numpy",
    "starlette",
    "uvicorn",
    "typer",
)


def imported(code: str) -> set[str]:
    """Which of the heavy packages a program of its own has imported at its end."""
    program = f"import sys\n{code}\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import hosted_rerank",
        "from hosted_rerank import *",
        "import hosted_rerank; hosted_rerank.Reranker('fireworks', api_key='k')",
        "import hosted_rerank; hosted_rerank.Reranker('fireworks').rerank('q', [' '])",
    ],
)
def test_core_is_light(code: str) -> None:
    """Importing the core, making a reranker, and ranking nothing import none of the heavy packages."""
    assert imported(code) == set()


@pytest.mark.parametrize("call", ["r.rerank('q', ['a'])", "asyncio.run(r.arerank('q', ['a']))"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_call_brings_httpx(call: str, scheme: str) -> None:
    """The first call imports httpx, and nothing else that is heavy."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"{scheme}://127.0.0.1:{server.getsockname()[1]}"
        row = f"h.Provider(name='a', url={url!r})"
        make = f"import asyncio, hosted_rerank as h\nr = h.Reranker({row}, max_retries=0, timeout=0.3)"
        assert imported(f"{make}\ntry: {call}\nexcept h.RerankConnectionError: pass") == {"httpx", "httpcore"}


def test_httpx2_may_be_half_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that fails while another thread imports httpx2 has the error that it has without httpx2."""
    monkeypatch.setitem(sys.modules, "httpx2", ModuleType("httpx2"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    reranker = hosted_rerank.Reranker("fireworks", base_url=url, max_retries=0)
    with pytest.raises(hosted_rerank.RerankConnectionError):
        reranker.rerank("q", ["a"])


def test_public_names_are_there() -> None:
    """Every name that the package lists exists, sorted, and none of them is missing from the agreement."""
    assert sorted(set(hosted_rerank.__all__)) == sorted(hosted_rerank.__all__)
    for name in hosted_rerank.__all__:
        assert getattr(hosted_rerank, name) is not None
    agreed = {"Reranker", "RerankResponse", "RerankResult", "Provider", "Dialect", "Usage", "RerankError"}
    assert agreed | {"MalformedResponseError"} <= set(hosted_rerank.__all__)
