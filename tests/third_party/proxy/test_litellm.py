"""Litellm, as a library and as a proxy, in front of the local server."""

import pytest

from tests.third_party.conftest import Case, imported

pytestmark = pytest.mark.filterwarnings("ignore")  # what it leaves open and deprecates is not ours to mend


LITELLM = {
    "cohere/rerank-v3.5": "/cohere/v2/rerank",
    "voyage/rerank-2.5": "/voyage/v1/rerank",
    "together_ai/m": "/together/v1",
    "fireworks_ai/fireworks/qwen3-reranker-8b": "/fireworks",
    "infinity/m": "/infinity",
    "hosted_vllm/m": "/vllm",
    "huggingface/m": "/tei",
}


@pytest.mark.parametrize("model", LITELLM)
def test_litellm(model: str, base_url: str, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Litellm gets the scores through each of its clients that can be given an address."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else its import asks the network for prices
    litellm = imported("litellm")
    address = f"{base_url}{LITELLM[model]}"
    response = litellm.rerank(
        model=model, query=case.query, documents=case.documents, top_n=2, api_key="k", api_base=address
    )
    assert [(result["index"], result["relevance_score"]) for result in response.results[:2]] == case.best[:2]
