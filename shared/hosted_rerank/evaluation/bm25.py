"""`Bm25`: the default first stage, which scores documents by the words that they share with a query."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import bm25s  # pyright: ignore[reportMissingTypeStubs] - ships no types
import Stemmer


class Bm25:
    """A BM25 index of documents (k1 1.5, b 0.75; English stemmer, without English stopwords).

    Args:
        documents: The texts of the documents by id.
    """

    def __init__(self, documents: Mapping[str, str]) -> None:
        self._ids = list(documents)
        self._stemmer = cast(Any, Stemmer).Stemmer("english")
        self._index: Any = bm25s.BM25(k1=1.5, b=0.75)
        self._index.index(self._tokenize(list(documents.values())), show_progress=False)

    def search(self, query: str, count: int) -> list[tuple[str, float]]:
        """Return the best documents for a query.

        Args:
            query: The text of the query.
            count: The maximum number of documents.

        Returns:
            Pairs of a document's id and its score, best first.
        """
        tokens, most = self._tokenize([query]), min(count, len(self._ids))
        numbers, scores = self._index.retrieve(tokens, k=most, show_progress=False)
        best: Iterable[tuple[int, float]] = zip(numbers[0].tolist(), scores[0].tolist(), strict=True)
        return [(self._ids[number], score) for number, score in best]

    def _tokenize(self, texts: Sequence[str]) -> Any:
        return cast(Any, bm25s).tokenize(list(texts), stopwords="en", stemmer=self._stemmer, show_progress=False)
