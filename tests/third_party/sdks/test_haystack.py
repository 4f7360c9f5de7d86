"""Haystack's rankers, unpatched, against the local server."""

import math
from typing import Any

import pytest

from tests.third_party.conftest import Case, imported

pytestmark = pytest.mark.filterwarnings("ignore")  # what these packages leave open and deprecate is not ours to mend


def ranked(ranker: Any, case: Case) -> list[tuple[int, float]]:
    """Index and score of what a ranker keeps."""
    documents = [imported("haystack").Document(content=text) for text in case.documents]
    if hasattr(ranker, "warm_up"):
        ranker.warm_up()
    kept = ranker.run(query=case.query, documents=documents, top_k=2)["documents"]
    return [(case.documents.index(document.content), document.score) for document in kept]


@pytest.mark.parametrize(
    ("module", "name", "settings"),
    [
        ("cohere", "CohereRanker", {"model": "rerank-v3.5", "api_base_url": "{}/cohere"}),
        ("jina", "JinaRanker", {"model": "jina-reranker-v3", "base_url": "{}/jina/v1/rerank"}),
        ("nvidia", "NvidiaRanker", {"model": "m", "api_url": "{}/nvidia-nim/v1"}),
    ],
)
def test_haystack(module: str, name: str, settings: dict[str, str], base_url: str, case: Case) -> None:
    """Each ranker gets the scores; a NIM's are logits."""
    secret = imported("haystack.utils").Secret.from_token("k")
    rankers = imported(f"haystack_integrations.components.rankers.{module}")
    arguments = {key: value.format(base_url) for key, value in settings.items()}
    found = ranked(getattr(rankers, name)(api_key=secret, **arguments), case)
    best = [(index, math.log(score / (1 - score)) if module == "nvidia" else score) for index, score in case.best[:2]]
    assert found == [(index, pytest.approx(score)) for index, score in best]
