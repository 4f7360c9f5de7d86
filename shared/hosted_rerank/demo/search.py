"""The first stage: BM25 over the answers of the FAQ, by the words they share with the question."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import bm25s  # pyright: ignore[reportMissingTypeStubs] - ships no types
import Stemmer

from hosted_rerank.local.faq import Faq


@dataclass(frozen=True, slots=True)
class Found:
    """An answer that was found, with the score of whatever ranked it last."""

    id: str
    text: str
    score: float


class FaqSearch:
    """Finds the `count` answers with the highest BM25 scores (k1 1.5, b 0.75; English stems, no stopwords)."""

    def __init__(self, faq: Faq, count: int) -> None:
        self._faq = faq
        self._count = count
        self._stemmer = cast(Any, Stemmer).Stemmer("english")
        self._index: Any = bm25s.BM25(k1=1.5, b=0.75)
        self._index.index(self._tokenize(faq.answers), show_progress=False)

    def find(self, query: str) -> list[Found]:
        """The answers, best first."""
        numbers, scores = self._index.retrieve(self._tokenize([query]), k=self._count, show_progress=False)
        best: Iterable[tuple[int, float]] = zip(numbers[0].tolist(), scores[0].tolist(), strict=True)
        return [Found(self._faq.ids[number], self._faq.answers[number], score) for number, score in best]

    def _tokenize(self, texts: Sequence[str]) -> Any:
        return cast(Any, bm25s).tokenize(list(texts), stopwords="en", stemmer=self._stemmer, show_progress=False)
