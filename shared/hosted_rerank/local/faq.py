"""The Python FAQ: questions, each with its answer.

It is small, its license permits a copy (`data/python_faq.NOTICE`), and it is labelled: answer i belongs to question i,
so the right answer has a rank among all answers. An answer that is almost equal to the right one counts as wrong.
"""

import json
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Faq:
    """Questions and answers; the question and the answer at the same position belong together."""

    ids: tuple[str, ...]
    """The page and anchor in the Python documentation, such as `general#what-is-python`."""
    questions: tuple[str, ...]
    answers: tuple[str, ...]


def load_faq() -> Faq:
    """Returns the 172 entries of the Python 3.11 FAQ, in the order of the documentation."""
    lines = (files("hosted_rerank.local") / "data" / "python_faq.jsonl").read_text(encoding="utf-8").splitlines()
    entries: list[dict[str, str]] = [json.loads(line) for line in lines]
    return Faq(
        ids=tuple(entry["id"] for entry in entries),
        questions=tuple(entry["question"] for entry in entries),
        answers=tuple(entry["answer"] for entry in entries),
    )
