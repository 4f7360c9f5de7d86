"""The modules that an import of an adapter loads, counted in a process of its own."""

import importlib
import subprocess
import sys

import pytest

from tests.adapters.fixtures import FRAMEWORKS
from tests.bounded import patience

PACKAGES = {name: f"{name}_hosted_rerank" for name in FRAMEWORKS}
NAMES = {
    "langchain": {"FireworksRerank", "HostedRerank", "NebiusRerank", "RerankInput", "RerankRetriever"},
    "llamaindex": {
        *("FireworksRerank", "HostedReRankEndEvent", "HostedRerank", "NebiusRerank", "RerankRetriever", "RerankedNode")
    },
}
BASES = {
    "langchain": "langchain_core.callbacks, langchain_core.documents, langchain_core.retrievers",
    "llamaindex": "llama_index.core.base.base_retriever, llama_index.core.postprocessor.types",
}
HEAVY = {"onnxruntime", "tokenizers", "numpy", "starlette", "uvicorn", "typer", "aiohttp"}
OURS = {*PACKAGES.values(), "hosted_rerank.local", "hosted_rerank.cli"}
STRANGERS = {
    "langchain": HEAVY | OURS - {PACKAGES["langchain"]} | {"llama_index", "langchain_classic", "langgraph"},
    "llamaindex": HEAVY | OURS - {PACKAGES["llamaindex"]} | {"langchain_core", "langsmith"},
}


def python(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=patience(120), check=False
    )


def modules(code: str) -> set[str]:
    return set(python(f"{code}; import sys; print(*sys.modules)").stdout.split())


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_import_brings_no_stranger(name: str) -> None:
    """An adapter imports what its framework's own base classes bring, and nothing heavy, nor a framework, besides."""
    pytest.importorskip(FRAMEWORKS[name])
    before, imported = modules(f"import {BASES[name]}"), modules(f"from {PACKAGES[name]} import *")
    assert f"{PACKAGES[name]}.vendors" in imported
    assert not imported & STRANGERS[name] - before


def test_langchain_is_imported_when_it_is_needed() -> None:
    """`import langchain_hosted_rerank` is quick: not even the framework, or an HTTP stack, comes with it."""
    pytest.importorskip("langchain_core")
    imported = modules("import langchain_hosted_rerank")
    assert "langchain_hosted_rerank" in imported
    assert not imported & (STRANGERS["langchain"] | {"langchain_core.runnables", "httpx", "httpx2"})


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_public_names(name: str) -> None:
    """`__all__` holds exactly the public names, in order, and each of them is there; another name is not."""
    pytest.importorskip(FRAMEWORKS[name])
    package = importlib.import_module(PACKAGES[name])
    assert package.__all__ == sorted(NAMES[name])
    assert all(getattr(package, public).__module__.startswith(PACKAGES[name]) for public in package.__all__)
    with pytest.raises(AttributeError, match="HostedReranker"):
        _ = package.HostedReranker


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_missing_framework(name: str) -> None:
    """Without the framework the error says what to install."""
    root = FRAMEWORKS[name].partition(".")[0]
    error = python(f"import sys; sys.modules[{root!r}] = None; from {PACKAGES[name]} import HostedRerank").stderr
    assert "Error" in error
    assert f"hosted-rerank[{name}]" in error
