"""Infinity's own client, unpatched, against the local server."""

import pytest

from tests.third_party.conftest import Case, imported

pytestmark = pytest.mark.filterwarnings("ignore")  # what it leaves open and deprecates is not ours to mend


def test_infinity_client(base_url: str, case: Case) -> None:
    """It gets scores, texts and tokens."""
    infinity, models = imported("infinity_client"), imported("infinity_client.models")
    rerank = imported("infinity_client.api.default.rerank")
    asked = models.RerankInput(query=case.query, documents=case.documents, return_documents=True, model="m", top_n=2)
    with infinity.Client(base_url=f"{base_url}/infinity") as client:
        response = rerank.sync(client=client, body=asked)
    assert [(result.index, result.relevance_score) for result in response.results] == case.best[:2]
    assert [result.document for result in response.results] == [case.documents[index] for index, _ in case.best[:2]]
    assert response.usage.total_tokens > 0
