"""What is known of a model holds wherever the model runs, and each default model says when it was seen and where."""

from dataclasses import replace
from datetime import date

import pytest

from hosted_rerank import PROVIDERS, ModelFacts, NotFoundError, Provider, RerankError
from hosted_rerank.call.batch_sizes import RequestSizes, cut
from hosted_rerank.call.request_encoding import BatchResult
from hosted_rerank.providers.models import MODELS
from tests.byhand import ACME, answered, joined, planned, walk
from tests.hostile import ranked

LISTWISE_IDS = ("jina-reranker-v3", "jina-reranker-v3.5", "jinaai/jina-reranker-v3", "jina_ai/Jina-Reranker-V3.5")


@pytest.mark.parametrize("model", LISTWISE_IDS)
@pytest.mark.parametrize("provider", ["jina", "vllm", "infinity", "xinference", "litellm", "openrouter", "tei", ACME])
def test_listwise_model_is_listwise_everywhere(provider: str | Provider, model: str) -> None:
    """A listwise model is not split or cached, whichever server or gateway it runs on."""
    assert planned(provider, model=model).listwise


@pytest.mark.parametrize("model", ["jina-reranker-v2-base-multilingual", "jina-reranker-m0", "my-jina", None])
def test_other_models_are_not_listwise(model: str | None) -> None:
    """Other models, and one that nobody names, score each pair alone."""
    assert not planned("vllm", model=model).listwise


@pytest.mark.parametrize(
    ("provider", "model", "documents", "tokens"),
    [
        ("voyage", "rerank-2.5", 1000, 600_000),
        ("voyage", "rerank-lite-1", 1000, 300_000),
        ("voyage", "rerank-1", 1000, 100_000),
        ("voyage", "rerank-99", 1000, 100_000),
        ("dashscope", "qwen3-rerank", 500, 120_000),
        ("dashscope-native", "gte-rerank-v2", 500, 30_000),
        ("dashscope", "qwen3-vl-rerank", 100, 120_000),
        ("pinecone", "bge-reranker-v2-m3", 100, None),
        ("pinecone", "cohere-rerank-3.5", 200, None),
        ("vllm", "bge-reranker-v2-m3", None, None),
        ("vllm", "qwen3-rerank", None, None),
        ("tei", None, 32, None),
    ],
)
def test_limits_of_a_model(provider: str, model: str | None, documents: int | None, tokens: int | None) -> None:
    """The limits are those of the model where it runs, else those of the provider."""
    facts = PROVIDERS[provider].facts(model)
    assert (facts.max_documents, facts.max_tokens) == (documents, tokens)


@pytest.mark.parametrize(("model", "sizes"), [("cohere-rerank-3.5", [200, 200]), ("bge-reranker-v2-m3", [100] * 4)])
def test_batches_follow_the_model(model: str, sizes: list[int]) -> None:
    """A call is cut by the limits of its model."""
    plan = planned("pinecone", [f"d{number}" for number in range(400)], model=model)
    assert [len(batch.text_indices) for batch in cut(RequestSizes(plan), plan.all_texts, {})] == sizes


@pytest.mark.parametrize(
    ("provider", "model", "kind"),
    [
        ("openrouter", "cohere/rerank-5-fast", "unit"),
        ("openrouter", "mongodb/rerank-2.5", "unit"),
        ("openrouter", "nvidia/x", "unknown"),
        ("litellm", "voyage/rerank-3-lite", "unit"),
        ("vllm", "jinaai/jina-reranker-v3", "unknown"),
        ("vllm", "BAAI/bge-reranker-v2-m3", "unit"),
        ("watsonx", "cross-encoder/ms-marco-minilm-l-12-v2", "logit"),
        ("watsonx", "ibm/slate-125m-english-rtrvr-v2", "unknown"),
    ],
)
def test_scale_of_a_model(provider: str, model: str, kind: str) -> None:
    """A model may have another scale than the other models of its provider."""
    assert PROVIDERS[provider].facts(model).score_kind == kind


def test_cosines_of_a_provider_of_logits_stay() -> None:
    """The sigmoid is for logits, so the cosines of an embedding model stay as they are."""
    todo = planned(replace(ACME, name="watsonx", score_kind="logit"), model="ibm/slate-30m")
    _, answer = walk(todo, answered(200, ranked(0.1, 0.9, 0.4)))
    assert isinstance(answer, BatchResult)
    response = joined(todo, answer)
    assert (response.results[0].relevance_score, response.score_transform) == (0.9, "none")


def test_facts_of_ones_own_come_first() -> None:
    """A row may know more of a model than the table, or differ from it; facts are joined from all that match."""
    mine = ModelFacts(pattern="reranker-v3$", listwise=False, max_documents=7)
    facts = Provider(name="mine", url="https://h.example", models=(mine,)).facts("jina-reranker-v3")
    assert (facts.listwise, facts.max_documents, facts.score_kind) == (False, 7, "unknown")


def test_pattern_that_is_none_is_refused() -> None:
    """A pattern that is no regular expression is refused when it is written."""
    with pytest.raises(ValueError, match="pattern"):
        ModelFacts(pattern="(")


def test_every_fact_has_its_source() -> None:
    """A row of the table of models says something, and where it was read."""
    for facts in MODELS:
        known = (facts.listwise, facts.max_documents, facts.max_tokens, facts.max_document_tokens, facts.score_kind)
        assert any(known)
        assert facts.docs.startswith("https://")
        assert facts.read <= date.today()  # noqa: DTZ011 - a day of the calendar
        assert set(facts.providers) <= set(PROVIDERS)


@pytest.mark.parametrize("row", [row for row in PROVIDERS.values() if row.default_model and row.name != "local"])
def test_every_default_model_was_seen(row: Provider) -> None:
    """A default model has the day on which it was seen, and the page that has it."""
    assert row.default_model_seen is not None
    assert date(2026, 11, 1) <= row.default_model_seen <= date.today()  # noqa: DTZ011 - a day of the calendar
    assert (row.default_model_source or row.docs).startswith("https://")
    assert row.default_model not in row.other_models
    assert row.default_model_ends is None or row.default_model_ends > row.default_model_seen


@pytest.mark.parametrize(
    ("provider", "settings", "named", "hidden"),
    [
        ("cohere", {"model": "rerank-v9"}, "cohere also has rerank-v5.0-fast, rerank-v5.0-pro", "x9"),
        ("cohere", {}, "cohere also has rerank-v5.0-pro", "rerank-v5.0-fast,"),
        ("prime", {}, "not available to this key", "also has"),
    ],
)
def test_missing_model_names_the_others(provider: str, settings: dict[str, str], named: str, hidden: str) -> None:
    """A 404 names the other models of the row, if it has any."""
    _, error = walk(planned(provider, **settings), answered(404))
    assert type(error) is NotFoundError
    assert named in str(error)
    assert hidden not in str(error)


def test_missing_model_of_a_region() -> None:
    """A model's id that has a part of the caller's is named with it."""
    _, error = walk(planned("bedrock", model="m", api_key=None, params={"region": "eu-1"}), answered(404))
    assert isinstance(error, RerankError)
    assert "arn:aws:bedrock:eu-1::foundation-model/amazon.rerank-v1:0" in str(error)
