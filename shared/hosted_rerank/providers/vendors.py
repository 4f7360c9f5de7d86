"""Vendors that sell rerankers of their own by the call.

`Provider.docs` is the page that describes an API; each was read in 2026-11.
"""

from datetime import date

from hosted_rerank.errors import PaymentRequiredError
from hosted_rerank.providers.auth import KeyHeader
from hosted_rerank.providers.dialect import NO_ECHO, Dialect
from hosted_rerank.providers.document_parts import DocumentParts
from hosted_rerank.providers.provider import Provider
from hosted_rerank.providers.size_errors import (
    COHERE_SIZE_ERRORS,
    SERVER_SIZE_ERRORS,
    VOYAGE_SIZE_ERRORS,
)

COHERE = Provider(
    name="cohere",
    url="https://api.cohere.com/v2/rerank",
    dialect=Dialect(
        document_parts=DocumentParts(as_text="yaml"),  # as its docs advise, and its class for LangChain sends
        options={"max_tokens_per_doc": int, "priority": int, "relevant_spans": dict},  # it refuses unknown fields
        usage=("meta.billed_units.search_units", "meta.tokens.input_tokens"),
        error="message",
    ),
    default_model="rerank-v5.0-fast",
    default_model_seen=date(2026, 11, 27),
    default_model_source="https://docs.cohere.com/changelog/rerank-v5",
    other_models=("rerank-v5.0-pro", "rerank-v4.0-fast", "rerank-v4.0-pro", "rerank-v3.5"),
    docs="https://docs.cohere.com/reference/rerank",
    api_key_env=("CO_API_KEY", "COHERE_API_KEY"),
    base_url_env=("CO_API_URL",),
    size_errors={**SERVER_SIZE_ERRORS, **COHERE_SIZE_ERRORS},
    score_kind="unit",
    max_documents=1000,
    max_document_tokens=4096,  # the default of max_tokens_per_doc
)

JINA = Provider(
    name="jina",
    url="https://api.jina.ai/v1/rerank",
    dialect=Dialect(
        document_parts=DocumentParts(names=("text", "image"), models="m0", single=True),
        static_fields=NO_ECHO,
        options={"truncation": bool, "max_doc_length": int, "return_embeddings": bool},
        usage=("usage.total_tokens",),
        error="detail",
    ),
    default_model="jina-reranker-v3.5",  # listwise
    default_model_seen=date(2026, 11, 27),
    default_model_source="https://api.jina.ai/v1/models",
    other_models=("jina-reranker-m0", "jina-reranker-v3", "jina-reranker-v2-base-multilingual"),
    docs="https://api.jina.ai/scalar",
    api_key_env=("JINA_API_KEY", "JINA_AI_API_KEY", "JINAAI_API_KEY"),
    errors={"insufficient_balance": PaymentRequiredError, "insufficient balance": PaymentRequiredError},  # a 403
)

VOYAGE = Provider(
    name="voyage",
    url="https://api.voyageai.com/v1/rerank",
    dialect=Dialect(
        top_n="top_k",
        static_fields=NO_ECHO,
        options={"truncation": bool},
        results="data",
        usage=("usage.total_tokens",),
        error="detail",
    ),
    default_model="rerank-2.5",
    default_model_seen=date(2026, 11, 27),
    default_model_source="https://docs.voyageai.com/docs/pricing",
    other_models=("rerank-3", "rerank-3-lite", "rerank-2.5-lite", "rerank-2", "rerank-2-lite"),
    docs="https://docs.voyageai.com/reference/reranker-api",
    api_key_env=("VOYAGE_API_KEY", "VOYAGE_AI_API_KEY"),
    key_urls={"al-": "https://ai.mongodb.com/v1/rerank"},  # keys of MongoDB Atlas, as in the SDK, voyageai 0.5.0
    size_errors={**SERVER_SIZE_ERRORS, **VOYAGE_SIZE_ERRORS},
    score_kind="unit",
    max_documents=1000,
    max_tokens=100_000,  # the smallest of its models; most have more
)

MIXEDBREAD = Provider(
    name="mixedbread",
    url="https://api.mixedbread.com/v1/reranking",
    dialect=Dialect(
        documents="input",
        document_parts=DocumentParts(names=None),
        top_n="top_k",
        static_fields={"return_input": False},
        options={"rewrite_query": bool, "rank_fields": list},
        results="data",
        score="score",
    ),
    default_model="mixedbread-ai/mxbai-rerank-large-v2",
    default_model_seen=date(2026, 11, 23),
    docs="https://www.mixedbread.com/api-reference/endpoints/reranking",
    api_key_env=("MXBAI_API_KEY",),
    base_url_env=("MIXEDBREAD_BASE_URL",),
    score_kind="unit",
)

ZEROENTROPY = Provider(
    name="zeroentropy",
    url="https://api.zeroentropy.dev/v1/models/rerank",
    dialect=Dialect(options={"latency": ("fast", "slow")}, usage=("total_tokens", "total_bytes"), error="detail"),
    default_model="zerank-2",
    default_model_seen=date(2026, 11, 23),
    other_models=("zerank-1", "zerank-1-small"),
    docs="https://docs.zeroentropy.dev/api-reference/models/rerank",
    api_key_env=("ZEROENTROPY_API_KEY",),
    base_url_env=("ZEROENTROPY_BASE_URL",),
    size_errors={**SERVER_SIZE_ERRORS, "utf-8 bytes in this request": "bytes"},
    score_kind="unit",
    max_bytes=5_000_000,
)

PINECONE = Provider(
    name="pinecone",
    url="https://api.pinecone.io/rerank",
    dialect=Dialect(
        document="text",
        document_parts=DocumentParts(names=None),
        static_fields=NO_ECHO,
        options={
            "rank_fields": list,
            "parameters.truncate": ("END", "NONE"),
            "parameters.max_tokens_per_doc": int,
        },
        results="data",
        score="score",
        usage=("usage.rerank_units",),
    ),
    default_model="bge-reranker-v2-m3",
    default_model_seen=date(2026, 11, 27),
    default_model_source="https://docs.pinecone.io/guides/search/rerank-results",
    other_models=("cohere-rerank-4-fast",),
    docs="https://docs.pinecone.io/reference/api/latest/inference/rerank",
    auth=KeyHeader("api-key", ""),
    api_key_env=("PINECONE_API_KEY",),
    base_url_env=("PINECONE_CONTROLLER_HOST",),
    headers={"x-pinecone-api-version": "2026-04"},
    score_kind="unit",
    max_documents=100,
)

CONTEXTUAL = Provider(
    name="contextual",
    url="https://api.contextual.ai/v1/rerank",
    dialect=Dialect(
        document_parts=DocumentParts(names=("text", "metadata"), beside={"metadata": "metadata"}),
        instruction="instruction",
        error="message",
    ),
    default_model="ctxl-rerank-v2-instruct-multilingual",
    default_model_seen=date(2026, 11, 23),
    other_models=("ctxl-rerank-v2-instruct-multilingual-mini", "ctxl-rerank-v1-instruct"),
    docs="https://docs.contextual.ai/api-reference/rerank/rerank",
    api_key_env=("CONTEXTUAL_API_KEY",),
    base_url_env=("CONTEXTUAL_AI_BASE_URL",),
    score_kind="unit",
)

ISAACUS = Provider(
    name="isaacus",
    url="https://api.isaacus.com/v1/rerankings",
    dialect=Dialect(
        documents="texts",
        options={
            "is_iql": bool,
            "scoring_method": ("auto", "chunk_max", "chunk_avg", "chunk_min"),
            "chunking_options": dict,
        },
        score="score",
        usage=("usage.input_tokens",),
    ),
    default_model="kanon-2-reranker",
    default_model_seen=date(2026, 11, 23),
    docs="https://docs.isaacus.com/api-reference/rerankings",
    api_key_env=("ISAACUS_API_KEY",),
    base_url_env=("ISAACUS_BASE_URL",),
    score_kind="unit",
)

VENDORS = (COHERE, JINA, VOYAGE, MIXEDBREAD, ZEROENTROPY, PINECONE, CONTEXTUAL, ISAACUS)
"""The providers of this file."""
