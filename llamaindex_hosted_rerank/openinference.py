"""The facts of a rerank on the RERANKER span of OpenInference, which reads nothing but the nodes of the end event."""

import contextlib
import sys
from collections.abc import Mapping
from typing import Any, cast

# As in `events`.
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined] # pyright: ignore[reportPrivateImportUsage]
from llama_index.core.instrumentation.span import active_span_id

_INSTRUMENTATION = "openinference.instrumentation.llama_index"
_TOKEN_COUNTS = {"prompt_tokens": "llm.token_count.prompt", "total_tokens": "llm.token_count.total"}


def set_span_attributes(facts: Mapping[str, Any]) -> None:
    """Add the facts of a rerank to the active span, if OpenInference keeps it.

    Args:
        facts: The fields of the end event. The model that answered replaces the requested one.
    """
    if _INSTRUMENTATION not in sys.modules:
        return
    with contextlib.suppress(Exception):  # an error of the tracing must not fail the rerank
        handlers = cast("list[Any]", get_dispatcher().span_handlers)  # pyright: ignore[reportUnknownMemberType] - generic
        for handler in handlers:
            if type(handler).__module__.startswith(_INSTRUMENTATION):
                span = handler.open_spans[active_span_id.get()]
                for name, value in _attributes(facts).items():
                    span[name] = value


def _attributes(facts: Mapping[str, Any]) -> dict[str, Any]:
    usage: dict[str, Any] = dict(facts["usage"] or {})
    counts = {name: usage.pop(key) for key, name in _TOKEN_COUNTS.items() if key in usage}
    own = {name: value for name, value in facts.items() if name in _OWN and value not in (None, [], "")}
    return {
        **counts,
        **({"reranker.model_name": facts["model_name"]} if facts["model_name"] else {}),
        **{_OWN[name]: value for name, value in own.items()},
        **{f"hosted_rerank.usage.{unit}": count for unit, count in usage.items()},
    }


_OWN = {
    "provider": "hosted_rerank.answered_by",
    "request_ids": "hosted_rerank.request_ids",
    "attempts": "hosted_rerank.requests",
    "elapsed": "hosted_rerank.elapsed",
    "fallback_errors": "hosted_rerank.fallback_errors",
    "passthrough": "hosted_rerank.passthrough",
}
"""The attributes of the facts that OpenInference has no name for, as on the core's own span."""
