"""A comparison of a ranking with the one before it, of texts, LangChain documents or LlamaIndex nodes."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hosted_rerank._table_rendering import Line, as_html, as_table, as_text
from hosted_rerank._validation import check_list
from hosted_rerank.response import RerankResponse

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """A ranking with the previous rank of each document, shown as a table with the beginnings of texts."""

    lines: tuple[Line, ...]
    """The documents, in their new order."""
    left_out: tuple[Line, ...]
    """The documents that left the ranking, in their old order. Their `after` is one more than the last rank."""
    title: str = ""
    """The line above the table."""
    below: str = ""
    """The line below the table."""

    def _repr_html_(self) -> str:
        return as_html(self.lines, self.title, self.below)

    def __rich__(self) -> "Table":
        return as_table(self.lines, self.title, self.below)

    def __repr__(self) -> str:
        return as_text(self.lines, self.title, self.below)


def compare(
    before: Sequence[Any],
    after: Sequence[Any] | RerankResponse,
    *,
    title: str = "",
    score_key: str = "relevance_score",
) -> Comparison:
    """Compare a ranking with the one before it.

    Args:
        before: The candidates in their original order: texts, LangChain documents or LlamaIndex nodes.
        after: The reranked candidates: items of the same kind, or the response of `Reranker.rerank`. Items are matched
            by id, or by text if they have no id.
        title: The line above the table, such as the question.
        score_key: The metadata key of the score in LangChain documents.

    Returns:
        The comparison, which notebooks and terminals can show.

    Raises:
        TypeError: `before` or `after` is not a list, or an item is not a text, a document or a node.
    """
    check_list("before", before, object)
    shown = [_read_item(item, score_key) for item in before]
    if isinstance(after, RerankResponse):
        kept = [shown[result.index] for result in after.results]
        places: list[int | None] = [result.index + 1 for result in after.results]
        scores = [(result.relevance_score, result.error) for result in after.results]
        below = after.summary
    else:
        check_list("after", after, object)
        kept = [_read_item(item, score_key) for item in after]
        places = _previous_ranks(shown, kept)
        scores = [(item.score, None) for item in kept]
        below = f"{len(kept)} of {len(shown)} kept"
    lines = [
        Line(rank, place, score, item.text, error)
        for rank, (item, place, (score, error)) in enumerate(zip(kept, places, scores, strict=True), 1)
    ]
    gone = [place for place in range(1, len(shown) + 1) if place not in set(places)]
    left_out = [Line(len(lines) + 1, place, None, shown[place - 1].text) for place in gone]
    return Comparison(tuple(lines), tuple(left_out), title, below)


@dataclass(frozen=True, slots=True)
class _Item:
    """The text, id and score of a document."""

    text: str
    id: str | None
    score: float | None


def _previous_ranks(before: Sequence[_Item], after: Sequence[_Item]) -> list[int | None]:
    """Return the previous rank of each item, from 1, matched by id, or by text if the item has no id."""
    where: dict[tuple[str, str], deque[int]] = {}
    for place, item in enumerate(before, 1):
        if item.id is not None:
            where.setdefault(("id", item.id), deque()).append(place)
        where.setdefault(("text", item.text), deque()).append(place)
    used: set[int] = set()
    places: list[int | None] = []
    for item in after:
        found = where.get(("text", item.text) if item.id is None else ("id", item.id), deque())
        while found and found[0] in used:
            found.popleft()
        places.append(found.popleft() if found else None)
        used.update(filter(None, places[-1:]))
    return places


def _read_item(item: Any, score_key: str) -> _Item:
    """Return the item for a text or for an object with the attributes of a `Document` or a `NodeWithScore`."""
    if isinstance(item, str):
        return _Item(item, None, None)
    if hasattr(item, "page_content"):
        score = item.metadata.get(score_key)
        return _Item(item.page_content, item.id, score)
    if hasattr(item, "node") and hasattr(item.node, "get_content"):
        return _Item(item.node.get_content(), item.node.node_id, item.score)
    raise TypeError(f"before and after must hold texts, documents or nodes, not {type(item).__name__}")
