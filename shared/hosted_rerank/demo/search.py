"""`FaqSearch`: the first stage, BM25 over the answers of the FAQ."""

from dataclasses import dataclass

from hosted_rerank.evaluation.bm25 import Bm25
from hosted_rerank.local.faq import Faq


@dataclass(frozen=True, slots=True)
class Hit:
    """An answer of a search, with the score of the last stage that ranked it."""

    id: str
    text: str
    score: float


class FaqSearch:
    """Finds the `count` answers with the highest BM25 scores."""

    def __init__(self, faq: Faq, count: int) -> None:
        self._answers = dict(zip(faq.ids, faq.answers, strict=True))
        self._count = count
        self._index = Bm25(self._answers)

    def find(self, query: str) -> list[Hit]:
        """Returns the answers, best first."""
        return [Hit(name, self._answers[name], score) for name, score in self._index.search(query, self._count)]
