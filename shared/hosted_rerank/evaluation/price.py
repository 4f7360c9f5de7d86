"""`Price` of an API, and what the queries of an evaluation cost by it."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from hosted_rerank.evaluation.outcome import Evaluation

DOCUMENTS_OF_A_SEARCH = 100
"""The documents of one billed search, as vendors who bill by search count them."""
FORM = re.compile(r"(\d+\.?\d*|\.\d+)/(Mtokens|Ksearches)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Price:
    """What an API costs.

    Args:
        amount: The money for a million tokens, or for a thousand searches.
        unit: What is billed: tokens, or searches, which are a query with up to 100 documents.
    """

    amount: float
    unit: Literal["tokens", "searches"]

    @classmethod
    def parse(cls, text: str) -> "Price":
        """Return the price that a text says.

        Args:
            text: "0.05/Mtokens" or "2/Ksearches".

        Raises:
            ValueError: The text says no price.
        """
        if (found := FORM.fullmatch(text)) is None:
            raise ValueError(f"{text!r} is not a price: write 0.05/Mtokens or 2/Ksearches")
        return cls(float(found[1]), "tokens" if found[2].lower() == "mtokens" else "searches")

    def cost(self, evaluation: Evaluation) -> float | None:
        """Return the money for 1,000 queries like those of an evaluation.

        Args:
            evaluation: The evaluation.

        Returns:
            The money; `None` if the API does not count tokens, or no query was answered.
        """
        answered = evaluation.answered
        if not answered:
            return None
        if self.unit == "tokens":
            tokens = [outcome.tokens for outcome in answered.values() if outcome.tokens is not None]
            return self.amount * sum(tokens) / len(tokens) / 1000 if tokens else None
        candidates = evaluation.dataset.candidates
        searches = sum(math.ceil(len(candidates[query]) / DOCUMENTS_OF_A_SEARCH) for query in answered)
        return self.amount * searches / len(answered)
