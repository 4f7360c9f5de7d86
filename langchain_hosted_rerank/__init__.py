"""Hosted rerank APIs for LangChain: a document compressor and a retriever.

A name is imported at its first use, as in langchain_core: the import of the base classes of langchain_core takes most
of a second, and a program that does not rerank should start without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_hosted_rerank.compressor import HostedRerank
    from langchain_hosted_rerank.input import RerankInput
    from langchain_hosted_rerank.retriever import RerankRetriever
    from langchain_hosted_rerank.vendors import FireworksRerank, NebiusRerank

__all__ = ["FireworksRerank", "HostedRerank", "NebiusRerank", "RerankInput", "RerankRetriever"]

_MODULES = {
    "FireworksRerank": "vendors",
    "HostedRerank": "compressor",
    "NebiusRerank": "vendors",
    "RerankInput": "input",
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
