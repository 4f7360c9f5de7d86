"""Rerank documents through hosted rerank APIs, blocking or awaiting.

    from hosted_rerank import Reranker

    with Reranker("fireworks") as reranker:
        response = reranker.rerank("What is Python?", ["A snake.", "A language."], top_n=1)

`langchain_hosted_rerank` and `llamaindex_hosted_rerank` have the classes for LangChain and LlamaIndex.
Each name is imported at its first use, so that importing this package is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hosted_rerank._version import __version__

if TYPE_CHECKING:
    from hosted_rerank.display.compare import Comparison, compare
    from hosted_rerank.display.plots import plot_ranks, plot_scores
    from hosted_rerank.errors import (
        AuthenticationError,
        CircuitOpenError,
        ConfigurationError,
        DeadlineExceededError,
        InvalidRequestError,
        MalformedResponseError,
        NotFoundError,
        PaymentRequiredError,
        PermissionDeniedError,
        RateLimitError,
        RequestTooLargeError,
        RerankConnectionError,
        RerankError,
        RerankTimeoutError,
        ServerError,
    )
    from hosted_rerank.providers import PROVIDERS, Provider
    from hosted_rerank.providers.dialect import Dialect
    from hosted_rerank.providers.models import ModelFacts
    from hosted_rerank.reranker import Reranker
    from hosted_rerank.response import RerankResponse, RerankResult, Usage

__all__ = [
    "PROVIDERS",
    "AuthenticationError",
    "CircuitOpenError",
    "Comparison",
    "ConfigurationError",
    "DeadlineExceededError",
    "Dialect",
    "InvalidRequestError",
    "MalformedResponseError",
    "ModelFacts",
    "NotFoundError",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "Provider",
    "RateLimitError",
    "RequestTooLargeError",
    "RerankConnectionError",
    "RerankError",
    "RerankResponse",
    "RerankResult",
    "RerankTimeoutError",
    "Reranker",
    "ServerError",
    "Usage",
    "__version__",
    "compare",
    "plot_ranks",
    "plot_scores",
]

_MODULES = {
    "PROVIDERS": "providers",
    "Comparison": "display.compare",
    "Dialect": "providers.dialect",
    "ModelFacts": "providers.models",
    "Provider": "providers",
    "RerankResponse": "response",
    "RerankResult": "response",
    "Reranker": "reranker",
    "Usage": "response",
    "compare": "display.compare",
    "plot_ranks": "display.plots",
    "plot_scores": "display.plots",
}
"""The module of each name; all other names are in `errors`."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
