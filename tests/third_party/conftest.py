"""For tests with real clients of the vendors' APIs: the local server, texts, and the right answer.

Each folder here has an environment of its own, which `make test-third-party` makes.
"""

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest

pytest.importorskip("hosted_rerank.local.server", exc_type=ImportError)

from hosted_rerank.local.model import load_model
from hosted_rerank.local.server import running


def imported(name: str) -> Any:
    """A package of the environment; elsewhere than there, who needs it is skipped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it deprecates is not ours to mend
        return import_module(name) if os.environ.get("THIRD_PARTY") else pytest.importorskip(name)


@dataclass(frozen=True)
class Case:
    """A question, its documents, and their scores as (index, score), best first."""

    query: str
    documents: list[str]
    best: list[tuple[int, float]]


@pytest.fixture(scope="session")
def base_url() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture(scope="session")
def case() -> Case:
    """Three documents of which the last is the answer."""
    query = "What is the Python language?"
    documents = ["Pythons are snakes that kill.", "Bread rises.", "Python is a programming language."]
    relevance = load_model().score(query, documents).relevance
    best = sorted(enumerate(relevance), key=lambda pair: -pair[1])
    assert [index for index, _ in best] == [2, 0, 1]
    return Case(query, documents, best)
