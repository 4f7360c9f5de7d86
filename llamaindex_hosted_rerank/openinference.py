"""The RERANKER span of OpenInference, which reads only the nodes of the end event: the facts of a rerank on it."""

import contextlib
import sys
from collections.abc import Generator, Mapping
from typing import Any, cast

# As in `events`.
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined] # pyright: ignore[reportPrivateImportUsage]
from llama_index.core.instrumentation.span import active_span_id

_INSTRUMENTATION = "openinference.instrumentation.llama_index"
_TOKEN_COUNTS = {"prompt_tokens": "llm.token_count.prompt", "total_tokens": "llm.token_count.total"}


@contextlib.contextmanager
def reranker_span() -> Generator[None]:
    """Let the calls of the body record on the active span, if OpenInference keeps it, in place of one of their own."""
    with contextlib.ExitStack() as recording:
        with contextlib.suppress(Exception):  # an error of the tracing must not fail the rerank
            if (kept := _active_span()) is not None:
                from opentelemetry.trace import get_current_span  # noqa: PLC0415 - with the next, only where it is in use

                from hosted_rerank.observability.opentelemetry import recording_on  # noqa: PLC0415 - as above

                recording.enter_context(recording_on(get_current_span(kept.context)))
        yield


def set_span_attributes(facts: Mapping[str, Any]) -> None:
    """Add the facts of a rerank to the active span, if OpenInference keeps it.

    Args:
        facts: The fields of the end event. The model that answered replaces the requested one.
    """
    with contextlib.suppress(Exception):  # as above
        if (kept := _active_span()) is not None:
            for name, value in _attributes(facts).items():
                kept[name] = value


def _active_span() -> Any:
    """Return the active span as OpenInference keeps it; `None` if it is not in use."""
    if _INSTRUMENTATION not in sys.modules:
        return None
    handlers = cast("list[Any]", get_dispatcher().span_handlers)  # pyright: ignore[reportUnknownMemberType] - generic
    ours = (each for each in handlers if type(each).__module__.startswith(_INSTRUMENTATION))
    return next((handler.open_spans.get(active_span_id.get()) for handler in ours), None)


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
