"""Facts about models, which hold wherever a model runs: a table of patterns of model ids, and of what is known of each.

A gateway or a server serves the same model under another id (`jina-reranker-v3.5`, `jinaai/jina-reranker-v3`), so a
pattern is searched in the id, in any letter case. `ModelFacts.docs` is the page that states the facts; each was read on
November 27, 2026, if `ModelFacts.read` has no other day.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date

from hosted_rerank.response import ScoreKind

_READ = date(2026, 11, 27)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What is known of the models whose id matches a pattern. `None` is a fact that nobody states.

    Args:
        pattern: A regular expression that is searched in the id, in any letter case.
        providers: The names of the providers where the facts hold; empty if they hold wherever the model runs.
        listwise: Whether the scores are comparable only within one request.
        max_documents: The number of documents that a request may have.
        max_tokens: The number of tokens that a request may have, with the query counted once for each document.
        max_document_tokens: The number of tokens that the model reads of a document with its query; it cuts or refuses
            a longer one.
        score_kind: The scale of the scores, if it differs from the provider's.
        docs: The URL of the page that states the facts.
        read: The day on which that page was read.

    Raises:
        ValueError: `pattern` is not a regular expression.
    """

    pattern: str
    providers: tuple[str, ...] = ()
    listwise: bool | None = None
    max_documents: int | None = None
    max_tokens: int | None = None
    max_document_tokens: int | None = None
    score_kind: ScoreKind | None = None
    docs: str = ""
    read: date = _READ

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as problem:
            raise ValueError(f"ModelFacts: pattern is not a regular expression: {problem}") from None


FACTS = tuple(each.name for each in fields(ModelFacts) if each.name not in ("pattern", "providers", "docs", "read"))
"""The names of the facts."""


def find_facts(model: str | None, provider: str, table: Iterable[ModelFacts]) -> ModelFacts:
    """Returns all that a table knows of a model; of two rows that state the same fact, the first one counts.

    Args:
        model: The id of the model; `None` if the API chooses the model, of which nothing is known.
        provider: The name of the provider that serves it.
        table: The rows.
    """
    found: dict[str, object] = {}
    for row in table if model is not None else ():
        if (not row.providers or provider in row.providers) and re.search(row.pattern, model or "", re.IGNORECASE):
            for name in FACTS:
                if (value := getattr(row, name)) is not None:
                    found.setdefault(name, value)
    return ModelFacts(pattern=re.escape(model or ""), **found)  # type: ignore[arg-type] # each has its field's type


_LITELLM = "https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json"  # of version 1.110.2
_VOYAGE = "https://docs.voyageai.com/docs/reranker"
_DASHSCOPE = "https://help.aliyun.com/zh/model-studio/text-rerank-api"
_PINECONE = "https://docs.pinecone.io/guides/search/rerank-results"
_DASHSCOPE_ROWS = ("dashscope", "dashscope-native")

MODELS = (
    ModelFacts(
        pattern=r"jina-reranker-v3",  # v3.5 too
        listwise=True,
        score_kind="unknown",  # cosines, also where a server's other models have scores from 0 to 1
        docs="https://jina.ai/models/jina-reranker-v3.5",
    ),
    ModelFacts(pattern=r"jina-reranker-m0", max_document_tokens=10_240, docs="https://api.jina.ai/v1/models"),
    ModelFacts(pattern=r"jina-reranker-v2", max_document_tokens=1_024, docs="https://api.jina.ai/v1/models"),
    ModelFacts(
        pattern=r"^rerank(-\w+)?-v3|cohere[./-]rerank(-\w+)?-v?3",
        max_document_tokens=4_096,
        score_kind="unit",
        docs="https://docs.cohere.com/docs/rerank",
    ),
    ModelFacts(
        pattern=r"^rerank-v[45]|cohere[./-]rerank-v?[45]",
        max_document_tokens=32_768,
        score_kind="unit",
        docs="https://docs.cohere.com/changelog/rerank-v5",
    ),
    ModelFacts(pattern=r"^cohere-rerank-3\.5$", providers=("pinecone",), max_documents=200, docs=_PINECONE),
    ModelFacts(
        pattern=r"^bge-reranker-v2-m3$",
        providers=("pinecone",),
        max_documents=100,
        max_document_tokens=1_024,
        docs=_PINECONE,
    ),
    ModelFacts(
        pattern=r"(^|(voyage(ai)?|mongodb)/)rerank-3(-lite)?$",
        max_document_tokens=32_000,
        score_kind="unit",
        docs="https://vercel.com/changelog/voyage-rerank-3-and-rerank-3-lite-are-now-available-on-ai-gateway",
    ),
    ModelFacts(
        pattern=r"(^|(voyage(ai)?|mongodb)/)rerank-2\.5(-lite)?$",
        max_tokens=600_000,
        max_document_tokens=32_000,
        score_kind="unit",
        docs=_VOYAGE,
    ),
    ModelFacts(
        pattern=r"(^|voyage/)rerank-2$",
        max_tokens=600_000,
        max_document_tokens=16_000,
        score_kind="unit",
        docs=_VOYAGE,
    ),
    ModelFacts(
        pattern=r"(^|voyage/)rerank-2-lite$",
        max_tokens=600_000,
        max_document_tokens=8_000,
        score_kind="unit",
        docs=_VOYAGE,
    ),
    ModelFacts(
        pattern=r"(^|voyage/)rerank-1$",
        max_tokens=100_000,
        max_document_tokens=8_000,
        score_kind="unit",
        docs=_VOYAGE,
    ),
    ModelFacts(
        pattern=r"(^|voyage/)rerank-lite-1$",
        max_tokens=300_000,
        max_document_tokens=4_000,
        score_kind="unit",
        docs=_VOYAGE,
    ),
    ModelFacts(
        pattern=r"^qwen3-rerank$",
        providers=_DASHSCOPE_ROWS,
        max_documents=500,
        max_tokens=120_000,
        max_document_tokens=4_000,
        docs=_DASHSCOPE,
    ),
    ModelFacts(
        pattern=r"^gte-rerank-v2$",
        providers=_DASHSCOPE_ROWS,
        max_documents=500,
        max_tokens=30_000,
        max_document_tokens=4_000,
        docs=_DASHSCOPE,
    ),
    ModelFacts(
        pattern=r"^qwen3-vl-rerank$", providers=_DASHSCOPE_ROWS, max_documents=100, max_tokens=120_000, docs=_DASHSCOPE
    ),
    ModelFacts(
        pattern=r"qwen3-reranker",
        providers=("fireworks", "fireworks-logits"),
        max_document_tokens=40_960,
        docs=_LITELLM,
    ),
    ModelFacts(
        pattern=r"qwen3-reranker", max_document_tokens=32_768, docs="https://huggingface.co/Qwen/Qwen3-Reranker-8B"
    ),
    ModelFacts(
        pattern=r"bge-reranker-v2-m3", max_document_tokens=8_192, docs="https://huggingface.co/BAAI/bge-reranker-v2-m3"
    ),
    ModelFacts(
        pattern=r"bge-reranker-(base|large)",
        max_document_tokens=512,
        docs="https://huggingface.co/BAAI/bge-reranker-base",
    ),
    ModelFacts(
        pattern=r"ms-marco-minilm",
        max_document_tokens=512,
        docs="https://huggingface.co/cross-encoder/ms-marco-MiniLM-L12-v2",
    ),
    ModelFacts(pattern=r"^amazon\.rerank-v1|/amazon\.rerank-v1", max_document_tokens=32_000, docs=_LITELLM),
    ModelFacts(
        pattern=r"slate|embed|all-minilm",
        providers=("watsonx",),
        score_kind="unknown",  # cosines, where its rerankers have logits
        docs="https://cloud.ibm.com/apidocs/watsonx-ai#text-rerank",
    ),
    ModelFacts(
        pattern=r"^all-MiniLM-L6-v2$",
        providers=("local",),
        max_document_tokens=128,
        docs="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
    ),
)
"""The known models; a row stands before those that say less of the same model."""
