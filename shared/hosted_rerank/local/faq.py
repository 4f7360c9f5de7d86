"""The Python FAQ: real questions, each with the answer that was written for it.

It is small, it is free to ship (`data/python_faq.NOTICE`), and it is labelled: the answer to question i is answer i, so
a ranking of all answers for a question can be judged. Near-duplicate answers count as wrong.
"""

import json
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Faq:
    """Questions and answers; those at the same position belong together."""

    ids: tuple[str, ...]
    """Page and anchor in the Python documentation, such as `general#what-is-python`."""
    questions: tuple[str, ...]
    answers: tuple[str, ...]


def load_faq() -> Faq:
    """The 172 entries of the Python 3.11 FAQ, in the order of the documentation."""
    lines = (files("hosted_rerank.local") / "data" / "python_faq.jsonl").read_text(encoding="utf-8").splitlines()
    rows: list[dict[str, str]] = [json.loads(line) for line in lines]
    return Faq(
        ids=tuple(row["id"] for row in rows),
        questions=tuple(row["question"] for row in rows),
        answers=tuple(row["answer"] for row in rows),
    )
