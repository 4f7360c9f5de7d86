"""The first stage where none is given: BM25, by the words that a document shares with a question."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import bm25s  # pyright: ignore[reportMissingTypeStubs] - ships no types
import Stemmer


class Bm25:
    """An index of documents by id (k1 1.5, b 0.75; English stems, no stopwords)."""

    def __init__(self, documents: Mapping[str, str]) -> None:
        self._ids = list(documents)
        self._stemmer = cast(Any, Stemmer).Stemmer("english")
        self._index: Any = bm25s.BM25(k1=1.5, b=0.75)
        self._index.index(self._tokenize(list(documents.values())), show_progress=False)

    def search(self, query: str, count: int) -> list[tuple[str, float]]:
        """Return the best documents and their scores, best first."""
        tokens, most = self._tokenize([query]), min(count, len(self._ids))
        numbers, scores = self._index.retrieve(tokens, k=most, show_progress=False)
        best: Iterable[tuple[int, float]] = zip(numbers[0].tolist(), scores[0].tolist(), strict=True)
        return [(self._ids[number], score) for number, score in best]

    def _tokenize(self, texts: Sequence[str]) -> Any:
        return cast(Any, bm25s).tokenize(list(texts), stopwords="en", stemmer=self._stemmer, show_progress=False)
