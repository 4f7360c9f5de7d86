"""Hosted rerank APIs for LangChain: a document compressor and a retriever.

A name is loaded when it is first asked for, as in langchain_core: importing that core's base classes takes most of a
second, which a program that only may rerank should not pay at its start.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_hosted_rerank.compressor import HostedRerank, RerankInput
    from langchain_hosted_rerank.retriever import RerankRetriever
    from langchain_hosted_rerank.vendors import FireworksRerank, NebiusRerank

__all__ = ["FireworksRerank", "HostedRerank", "NebiusRerank", "RerankInput", "RerankRetriever"]

_MODULES = {
    "FireworksRerank": "vendors",
    "HostedRerank": "compressor",
    "NebiusRerank": "vendors",
    "RerankInput": "compressor",
    "RerankRetriever": "retriever",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    except ModuleNotFoundError as missing:
        if not (missing.name or "").startswith("langchain_core"):
            raise
        raise ImportError(f"{__name__} needs {missing.name}: pip install 'hosted-rerank[langchain]'") from missing


def __dir__() -> list[str]:
    return [*globals(), *__all__]
