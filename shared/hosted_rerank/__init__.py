"""Rerank documents through hosted rerank APIs, blocking or awaiting.

    from hosted_rerank import Reranker

    with Reranker("fireworks") as reranker:
        response = reranker.rerank("What is Python?", ["A snake.", "A language."], top_n=1)

The LangChain and LlamaIndex classes over this core are in `langchain_hosted_rerank` and `llamaindex_hosted_rerank`.
"""

from hosted_rerank.dialect import Dialect
from hosted_rerank.errors import (
    AuthenticationError,
    CircuitOpenError,
    DeadlineExceededError,
    InvalidRequestError,
    MalformedReplyError,
    NoReplyError,
    NotFoundError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
    RequestTooLargeError,
    RerankError,
    RerankTimeoutError,
    ServerError,
)
from hosted_rerank.providers import PROVIDERS, Provider
from hosted_rerank.reranker import Reranker
from hosted_rerank.wire import RerankResponse, RerankResult, Usage

__all__ = [
    "PROVIDERS",
    "AuthenticationError",
    "CircuitOpenError",
    "DeadlineExceededError",
    "Dialect",
    "InvalidRequestError",
    "MalformedReplyError",
    "NoReplyError",
    "NotFoundError",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "Provider",
    "RateLimitError",
    "RequestTooLargeError",
    "RerankError",
    "RerankResponse",
    "RerankResult",
    "RerankTimeoutError",
    "Reranker",
    "ServerError",
    "Usage",
]
__version__ = "0.1.0"
