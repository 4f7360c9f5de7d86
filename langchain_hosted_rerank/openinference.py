"""The span of a rerank in OpenInference's instrumentation of LangChain.

OpenInference makes a span of each run and takes its kind from the type of the run. LangSmith has no type for reranking,
so our runs are chains; here the run that OpenInference keeps for itself becomes a `RERANKER`.
"""

import json
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from langchain_core.callbacks import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun
from langchain_core.documents import Document

from hosted_rerank import RerankResponse

RunManager: TypeAlias = CallbackManagerForChainRun | AsyncCallbackManagerForChainRun
"""What LangChain gives a run to work with."""


@contextmanager
def reranker_span(run: RunManager) -> Generator[Any]:
    """Make the span of a run a `RERANKER`, and let the calls of the body record on it, in place of a span of their own.

    Args:
        run: The run of a rerank.

    Yields:
        The span; `None` if OpenInference is not in use.
    """
    spans: list[Any] = []
    if "openinference.instrumentation.langchain" in sys.modules:
        spans = [span for handler in run.handlers if (span := _claim(handler, run)) is not None]
    if not spans:
        yield None
        return
    from hosted_rerank.observability.opentelemetry import recording_on  # noqa: PLC0415 - its package is an extra

    with recording_on(spans[0]):
        yield spans[0]


def _claim(handler: Any, run: RunManager) -> Any:
    """Return the span of a run as a `RERANKER`, if the handler is OpenInference's."""
    if not type(handler).__module__.startswith("openinference."):
        return None
    handler.run_map[str(run.run_id)].run_type = "reranker"
    return handler.get_span(run.run_id)


def describe_request(span: Any, query: str, top_n: int, model: str | None, documents: Sequence[Any] | None) -> None:
    """Describe the request of a rerank on its span.

    Args:
        span: The span; `None` for none.
        query: The question.
        top_n: The largest number of documents to return.
        model: The model that is asked.
        documents: The candidates, if they are to be shown.
    """
    if span is None:
        return
    span.set_attributes({"reranker.query": query, "reranker.top_k": top_n, "reranker.model_name": model or ""})
    for place, document in enumerate(documents or ()):
        span.set_attributes(_document_attributes(f"reranker.input_documents.{place}", document))


def describe_response(span: Any, response: RerankResponse, documents: Sequence[Any] | None) -> None:
    """Describe the response of a rerank on its span.

    Args:
        span: The span; `None` for none.
        response: The response.
        documents: The candidates, if the best of them are to be shown.
    """
    if span is None:
        return
    if response.model:
        span.set_attribute("reranker.model_name", response.model)
    if (tokens := response.usage.tokens) is not None:
        span.set_attributes({"llm.token_count.prompt": tokens, "llm.token_count.total": tokens})
    for place, result in enumerate(response.results if documents is not None else ()):
        prefix = f"reranker.output_documents.{place}"
        span.set_attributes(_document_attributes(prefix, (documents or ())[result.index]))
        if result.relevance_score is not None:
            span.set_attribute(f"{prefix}.document.score", result.relevance_score)


def _document_attributes(prefix: str, document: Any) -> dict[str, Any]:
    if not isinstance(document, Document):
        return {f"{prefix}.document.content": str(document)}
    shown = {"id": document.id, "content": document.page_content}
    shown["metadata"] = json.dumps(document.metadata, default=str)
    return {f"{prefix}.document.{name}": value for name, value in shown.items() if value is not None}
