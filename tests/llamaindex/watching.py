"""Handlers that keep what LlamaIndex' instrumentation tells them."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.instrumentation.span import BaseSpan
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from pydantic import Field


class Events(BaseEventHandler):
    """Keeps the events of reranks."""

    seen: list[BaseEvent] = Field(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "Events"

    def handle(self, event: BaseEvent, **_: Any) -> None:
        if isinstance(event, (ReRankStartEvent, ReRankEndEvent)):
            self.seen.append(event)

    @property
    def names(self) -> list[str]:
        return [event.class_name() for event in self.seen]


class Spans(BaseSpanHandler[BaseSpan]):
    """Keeps the spans, and how each of them ended."""

    parents: dict[str, str | None] = Field(default_factory=dict)
    ended: dict[str, str] = Field(default_factory=dict)

    def new_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any = None,
        parent_span_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **_: Any,
    ) -> BaseSpan:
        self.parents[id_] = parent_span_id
        return BaseSpan(id_=id_, parent_id=parent_span_id)

    def prepare_to_exit_span(self, id_: str, bound_args: inspect.BoundArguments, **_: Any) -> BaseSpan:
        self.ended[id_] = "exit"
        return self.open_spans[id_]

    def prepare_to_drop_span(self, id_: str, bound_args: inspect.BoundArguments, **_: Any) -> BaseSpan:
        self.ended[id_] = "drop"
        return self.open_spans[id_]

    def of(self, name: str) -> list[str]:
        """The ids of the spans of a method."""
        return [id_ for id_ in self.parents if id_.startswith(f"{name}-")]


@contextmanager
def watching() -> Iterator[tuple[Events, Spans]]:
    """Attach the handlers for a while."""
    root, events, spans = get_dispatcher(), Events(), Spans()
    root.event_handlers.append(events)
    root.span_handlers.append(spans)
    try:
        yield events, spans
    finally:
        root.event_handlers.remove(events)
        root.span_handlers.remove(spans)
