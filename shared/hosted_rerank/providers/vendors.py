"""Vendors that sell reranking by the call.

`Provider.docs` is the page that describes an API; each was read in 2026-11.
"""

from dataclasses import replace

from hosted_rerank.errors import PaymentRequiredError
from hosted_rerank.providers.auth import KeyHeader
from hosted_rerank.providers.dialect import NO_ECHO, Dialect
from hosted_rerank.providers.provider import Provider
from hosted_rerank.providers.size_errors import (
    COHERE_SIZE_ERRORS,
    GATEWAY_SIZE_ERRORS,
    SERVER_SIZE_ERRORS,
    VOYAGE_SIZE_ERRORS,
)

COHERE = Provider(
    name="cohere",
    url="https://api.cohere.com/v2/rerank",
    dialect=Dialect(
        options={"max_tokens_per_doc": int, "priority": int, "relevant_spans": dict},
        allows_extra_fields=True,  # it accepts `return_documents`, which clients of its first version send
        usage=("meta.billed_units.search_units", "meta.tokens.input_tokens"),
        error="message",
    ),
    default_model="rerank-v4.0-fast",
    docs="https://docs.cohere.com/reference/rerank",
    api_key_env=("CO_API_KEY", "COHERE_API_KEY"),
    size_errors={**SERVER_SIZE_ERRORS, **COHERE_SIZE_ERRORS},
    score_kind="unit",
    max_documents=1000,
)

JINA = Provider(
    name="jina",
    url="https://api.jina.ai/v1/rerank",
    dialect=Dialect(
        static_fields=NO_ECHO,
        options={"truncation": bool, "max_doc_length": int, "return_embeddings": bool},
        usage=("usage.total_tokens",),
        error="detail",
    ),
    default_model="jina-reranker-v2-base-multilingual",
    docs="https://api.jina.ai/scalar",
    api_key_env=("JINA_API_KEY", "JINA_AI_API_KEY"),
    errors={"insufficient_balance": PaymentRequiredError, "insufficient balance": PaymentRequiredError},  # a 403
    listwise_models=("jina-reranker-v3",),
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
    docs="https://docs.voyageai.com/reference/reranker-api",
    api_key_env=("VOYAGE_API_KEY",),
    size_errors={**SERVER_SIZE_ERRORS, **VOYAGE_SIZE_ERRORS},
    score_kind="unit",
    max_documents=1000,
    max_tokens=600_000,
)

TOGETHER = Provider(
    name="together",
    url="https://api.together.ai/v1/rerank",
    dialect=Dialect(static_fields=NO_ECHO, options={"rank_fields": list}),  # its schema refuses unknown fields
    default_model="mixedbread-ai/Mxbai-Rerank-Large-V2",
    docs="https://docs.together.ai/reference/rerank",
    api_key_env=("TOGETHER_API_KEY",),
    score_kind="unit",
)

MIXEDBREAD = Provider(
    name="mixedbread",
    url="https://api.mixedbread.com/v1/reranking",
    dialect=Dialect(
        documents="input",
        top_n="top_k",
        static_fields={"return_input": False},
        options={"rank_fields": list, "rewrite_query": bool},
        results="data",
        score="score",
    ),
    default_model="mixedbread-ai/mxbai-rerank-large-v2",
    docs="https://www.mixedbread.com/api-reference/endpoints/reranking",
    api_key_env=("MXBAI_API_KEY",),
    score_kind="unit",
)

ZEROENTROPY = Provider(
    name="zeroentropy",
    url="https://api.zeroentropy.dev/v1/models/rerank",
    dialect=Dialect(options={"latency": ("fast", "slow")}, usage=("total_tokens", "total_bytes"), error="detail"),
    default_model="zerank-2",
    docs="https://docs.zeroentropy.dev/api-reference/models/rerank",
    api_key_env=("ZEROENTROPY_API_KEY",),
    size_errors={**SERVER_SIZE_ERRORS, "utf-8 bytes in this request": "bytes"},
    score_kind="unit",
    max_bytes=5_000_000,
)

PINECONE = Provider(
    name="pinecone",
    url="https://api.pinecone.io/rerank",
    dialect=Dialect(
        document="text",
        static_fields=NO_ECHO,
        options={"rank_fields": list, "parameters.truncate": ("END", "NONE")},
        results="data",
        score="score",
        usage=("usage.rerank_units",),
    ),
    default_model="bge-reranker-v2-m3",
    docs="https://docs.pinecone.io/reference/api/latest/inference/rerank",
    auth=KeyHeader("api-key", ""),
    api_key_env=("PINECONE_API_KEY",),
    headers={"x-pinecone-api-version": "2026-04"},
    score_kind="unit",
    max_documents=100,
)

OPENROUTER = Provider(
    name="openrouter",
    url="https://openrouter.ai/api/v1/rerank",
    dialect=Dialect(options={"provider": dict, "session_id": str, "user": str, "trace": dict}),
    default_model="cohere/rerank-v3.5",
    docs="https://openrouter.ai/docs/api-reference/rerank",
    api_key_env=("OPENROUTER_API_KEY",),
    size_errors=GATEWAY_SIZE_ERRORS,
)

CONTEXTUAL = Provider(
    name="contextual",
    url="https://api.contextual.ai/v1/rerank",
    dialect=Dialect(instruction="instruction", error="message"),
    default_model="ctxl-rerank-v2-instruct-multilingual",
    docs="https://docs.contextual.ai/api-reference/rerank/rerank",
    api_key_env=("CONTEXTUAL_API_KEY",),
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
    docs="https://docs.isaacus.com/api-reference/rerankings",
    api_key_env=("ISAACUS_API_KEY",),
    score_kind="unit",
)

NOVITA = Provider(
    name="novita",
    url="https://api.novita.ai/openai/v1/rerank",
    default_model="qwen/qwen3-reranker-8b",
    docs="https://novita.ai/docs/api-reference/model-apis-llm-create-rerank",
    api_key_env=("NOVITA_API_KEY",),
    score_kind="unit",
)

SILICONFLOW = Provider(
    name="siliconflow",
    url="https://api.siliconflow.com/v1/rerank",
    dialect=Dialect(
        instruction="instruction",
        static_fields=NO_ECHO,
        options={"max_chunks_per_doc": int, "overlap_tokens": int},
        usage=("tokens.input_tokens", "meta.tokens.input_tokens"),
        error="message",
    ),
    default_model="Qwen/Qwen3-Reranker-8B",
    docs="https://docs.siliconflow.com/en/api-reference/rerank/create-rerank",
    api_key_env=("SILICONFLOW_API_KEY",),
    request_id_headers=("x-siliconcloud-trace-id",),
    score_kind="unit",
)

SILICONFLOW_CN = replace(
    SILICONFLOW,  # needs an account and a key of its own
    name="siliconflow-cn",
    url="https://api.siliconflow.cn/v1/rerank",
    docs="https://docs.siliconflow.cn/cn/api-reference/rerank/create-rerank",
)

DEEPINFRA = Provider(
    name="deepinfra",
    url="https://api.deepinfra.com/v1/inference/{model}",
    dialect=Dialect(
        model=None,
        query="queries.0",
        top_n=None,
        instruction="instruction",
        options={"service_tier": ("default", "priority"), "webhook": str},
        results="scores",
        index=None,
        score="",
        usage=("input_tokens",),
        id="request_id",
        error="detail.error",
    ),
    default_model="Qwen/Qwen3-Reranker-8B",
    docs="https://deepinfra.com/Qwen/Qwen3-Reranker-8B/api",
    api_key_env=("DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"),
    score_kind="unit",
)

VENDORS = (
    *(COHERE, JINA, VOYAGE, TOGETHER, MIXEDBREAD, ZEROENTROPY, PINECONE, OPENROUTER, CONTEXTUAL, ISAACUS, NOVITA),
    *(SILICONFLOW, SILICONFLOW_CN, DEEPINFRA),
)
"""The providers of this file."""
