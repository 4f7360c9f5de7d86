"""The traced run of a rerank: a chain in LangChain's tracing, with what LangSmith reads from the run of a model.

The type of a run says what consumers find in it: in an `llm` run the generations of a language model, in a `retriever`
run documents, which a rerank shows only if it is asked to. A `chain` promises nothing, so all consumers cope with it.
"""

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.runnables import RunnableConfig

from hosted_rerank import Reranker, RerankResponse
from hosted_rerank.frameworks.overrides import Overrides
from langchain_hosted_rerank.openinference import RunManager, describe_request, describe_response, reranker_span
from langchain_hosted_rerank.results import ranked_pairs
from langchain_hosted_rerank.text import Parts

__all__ = ["RerankRun", "RunManager"]


@dataclass(slots=True)
class RerankRun:
    """One rerank: what is asked, the response, and what a traced run shows of both."""

    documents: Sequence[Any] = field(repr=False)
    texts: Sequence[Parts] = field(repr=False)
    """One text for each document, or its parts."""
    query: str = field(repr=False)
    overrides: Overrides = field(repr=False)
    """The complete parameters of the call."""
    reranker: Reranker
    show_documents: bool
    """Whether the run shows the documents; else it shows only numbers and ids."""
    response: RerankResponse = field(init=False, repr=False)
    _span: Any = field(init=False, repr=False, default=None)
    """The span of OpenInference, if it is in use."""

    @property
    def model(self) -> str | None:
        """The model that is asked."""
        return self.overrides.get("model") or self.reranker.model

    @property
    def inputs(self) -> Any:
        """The inputs: the query, `top_n`, and the documents or their number."""
        shown = list(self.documents) if self.show_documents else len(self.documents)
        return {"query": self.query, "documents": shown, "top_n": self.overrides.get("top_n")}

    def config(self, config: RunnableConfig, name: str) -> RunnableConfig:
        """Return a config with the metadata that LangSmith reads from the run of a model.

        Args:
            config: The config of the call.
            name: The name of the run.
        """
        added = {"ls_provider": self.reranker.provider.name, "ls_model_type": "rerank"}
        added["ls_retriever_name"] = name  # a calling retriever passes down its own name
        if self.model:
            added["ls_model_name"] = self.model
        return {**config, "metadata": {**config.get("metadata", {}), **added}}

    @contextlib.contextmanager
    def in_progress(self, run_manager: RunManager) -> Generator[None]:
        """Describe the request on the span of OpenInference, if it is in use, which then is the span of the call.

        Args:
            run_manager: The run, which has started.
        """
        with reranker_span(run_manager) as self._span:
            top_n = self.overrides.get("top_n") or len(self.documents)
            describe_request(self._span, self.query, top_n, self.model, self._shown)
            yield

    def finish(self) -> dict[str, Any]:
        """Return the outputs; the usage goes to the metadata of the run too, and to the span of OpenInference."""
        describe_response(self._span, self.response, self._shown)
        shown = _facts(self.response)
        if self.show_documents:
            shown["documents"] = [self.documents[result.index] for result in self.response.results]
        record_usage(shown)
        return shown

    @property
    def _shown(self) -> Sequence[Any] | None:
        return self.documents if self.show_documents else None


def _facts(response: RerankResponse) -> dict[str, Any]:
    """Return what a run shows of a response."""
    shown: dict[str, Any] = {
        "results": ranked_pairs(response),
        "provider": response.provider,
        "model": response.model,
        "score_transform": response.score_transform,
        "request_ids": list(response.request_ids),
        "attempts": response.attempts,
        "elapsed": response.elapsed,
        "sent": response.sent,
        "deduplicated": response.deduplicated,
        "cached": response.cached,
    }
    if response.error is not None:
        shown["passthrough"] = type(response.error).__name__
    if response.fallback_errors:
        shown["fallback_errors"] = [type(error).__name__ for error in response.fallback_errors]
    if usage := usage_metadata(response):
        shown["usage_metadata"] = usage
    if response.usage.units:
        shown["usage_units"] = dict(response.usage.units)
    return shown


def usage_metadata(response: RerankResponse) -> dict[str, int]:
    """Return the tokens under the keys that LangSmith accepts: all are input tokens."""
    tokens = response.usage.tokens
    return {} if tokens is None else {"input_tokens": tokens, "output_tokens": 0, "total_tokens": tokens}


def record_usage(outputs: dict[str, Any]) -> None:
    """Add the usage to the metadata of the current run, where LangSmith reads the tokens and what they cost."""
    usage: dict[str, Any] = {name: outputs[name] for name in ("usage_metadata", "usage_units") if name in outputs}
    if "fallback_errors" in outputs:  # another one answered than the config says
        usage |= {"ls_provider": outputs["provider"], "ls_model_name": outputs["model"]}
    if not usage:
        return
    with contextlib.suppress(Exception):  # an error of the tracing must not fail the rerank
        from langsmith.run_helpers import get_current_run_tree  # noqa: PLC0415 - only a traced run needs it

        tree: Any = get_current_run_tree()
        if tree is not None:
            tree.extra.setdefault("metadata", {}).update(usage)
