"""Platforms and gateways that serve models of others.

`Provider.docs` is the page that describes an API; each was read in 2026-11.
"""

from dataclasses import replace
from datetime import date

from hosted_rerank.providers.auth import KeyHeader
from hosted_rerank.providers.dialect import NO_ECHO, Dialect
from hosted_rerank.providers.document_parts import DocumentParts
from hosted_rerank.providers.provider import Provider
from hosted_rerank.providers.servers import TEI
from hosted_rerank.providers.size_errors import GATEWAY_SIZE_ERRORS
from hosted_rerank.providers.vendors import COHERE

TOGETHER = Provider(
    name="together",
    url="https://api.together.ai/v1/rerank",
    dialect=Dialect(  # its schema refuses unknown fields
        document_parts=DocumentParts(names=None), static_fields=NO_ECHO, options={"rank_fields": list}
    ),
    default_model="mixedbread-ai/Mxbai-Rerank-Large-V2",
    default_model_seen=date(2026, 11, 23),
    docs="https://docs.together.ai/reference/rerank",
    api_key_env=("TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY"),
    base_url_env=("TOGETHER_BASE_URL",),
    score_kind="unit",
)

OPENROUTER = Provider(
    name="openrouter",
    url="https://openrouter.ai/api/v1/rerank",
    dialect=Dialect(
        document_parts=DocumentParts(names=("text", "image")),
        options={"provider": dict, "session_id": str, "user": str, "trace": dict},
    ),
    default_model="cohere/rerank-5-fast",
    default_model_seen=date(2026, 11, 27),
    default_model_source="https://docs.cohere.com/docs/cohere-on-openrouter",
    other_models=("cohere/rerank-5-pro", "mongodb/rerank-3", "mongodb/rerank-2.5", "qwen/qwen3-reranker-8b"),
    docs="https://openrouter.ai/docs/api-reference/rerank",
    api_key_env=("OPENROUTER_API_KEY",),
    size_errors=GATEWAY_SIZE_ERRORS,
)

VERCEL = replace(
    COHERE,  # the gateway speaks Cohere's API
    name="vercel",
    url="https://ai-gateway.vercel.sh/v2/rerank",
    dialect=replace(COHERE.dialect, options={"max_tokens_per_doc": int, "providerOptions": dict}),
    default_model="cohere/rerank-v3.5",
    default_model_seen=date(2026, 11, 27),
    default_model_source="https://vercel.com/ai-gateway/models/cohere/rerank-v3.5",
    other_models=("voyage/rerank-3", "voyage/rerank-3-lite", "voyage/rerank-2.5", "voyage/rerank-2.5-lite"),
    docs="https://vercel.com/docs/ai-gateway/sdks-and-apis/cohere-rerank",
    api_key_env=("AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"),
    base_url_env=(),
    size_errors=GATEWAY_SIZE_ERRORS,
)

PRIME = Provider(
    name="prime",  # Prime Intellect; equal scores come in the order of the logits behind them
    url="https://api.pinference.ai/api/v1/rerank",
    dialect=Dialect(instruction="instruction"),
    default_model="qwen/qwen3-reranker-0.6b",
    default_model_seen=date(2026, 11, 27),
    docs="https://docs.primeintellect.ai/api-reference/inference-rerank",
    api_key_env=("PRIME_API_KEY",),
    score_kind="unit",
    max_documents=1000,
    max_bytes=16 << 20,
)

NOVITA = Provider(
    name="novita",
    url="https://api.novita.ai/openai/v1/rerank",
    default_model="baai/bge-reranker-v2-m3",  # qwen/qwen3-reranker-8b left the serverless list on 2026-01-08
    default_model_seen=date(2026, 11, 27),
    default_model_source="https://novita.ai/docs/changelog",
    docs="https://novita.ai/docs/api-reference/model-apis-llm-create-rerank",
    api_key_env=("NOVITA_API_KEY",),
    score_kind="unit",
)

SILICONFLOW = Provider(
    name="siliconflow",
    url="https://api.siliconflow.com/v1/rerank",
    dialect=Dialect(
        document_parts=DocumentParts(names=("text", "image", "video"), models="vl-reranker"),
        instruction="instruction",
        static_fields=NO_ECHO,
        options={"max_chunks_per_doc": int, "overlap_tokens": int},
        usage=("tokens.input_tokens", "meta.tokens.input_tokens"),
        error="message",
    ),
    default_model="Qwen/Qwen3-Reranker-8B",
    default_model_seen=date(2026, 11, 23),
    other_models=("Qwen/Qwen3-Reranker-4B", "Qwen/Qwen3-Reranker-0.6B"),
    docs="https://docs.siliconflow.com/en/api-reference/rerank/create-rerank",
    api_key_env=("SILICONFLOW_API_KEY",),
    request_id_headers=("x-siliconcloud-trace-id",),
    score_kind="unit",
)

SILICONFLOW_CN = replace(
    SILICONFLOW,  # needs an account and a key of its own
    name="siliconflow-cn",
    url="https://api.siliconflow.cn/v1/rerank",
    other_models=(*SILICONFLOW.other_models, "Qwen/Qwen3-VL-Reranker-8B", "BAAI/bge-reranker-v2-m3"),
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
        options={"service_tier": ("default", "priority")},
        refused_options={"webhook": "the scores would go to the webhook, and the reply would have none"},
        results="scores",
        index=None,
        score="",
        usage=("input_tokens",),
        id="request_id",
        error="detail.error",
    ),
    default_model="Qwen/Qwen3-Reranker-8B",
    default_model_seen=date(2026, 11, 23),
    other_models=("Qwen/Qwen3-Reranker-4B", "Qwen/Qwen3-Reranker-0.6B"),
    docs="https://deepinfra.com/Qwen/Qwen3-Reranker-8B/api",
    api_key_env=("DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN", "DEEPINFRA_API_TOKEN"),
    score_kind="unit",
)

BASETEN = replace(
    TEI,  # Baseten Embeddings Inference speaks TEI's API
    name="baseten",
    url="https://model-{model_id}.api.baseten.co/environments/{environment}/sync/rerank",
    docs="https://docs.baseten.co/engines/bei/overview",
    auth=KeyHeader(scheme="Api-Key"),
    api_key_env=("BASETEN_API_KEY",),
    settings_env={"model_id": ("BASETEN_MODEL_ID",)},
    params={"environment": "production"},
)

RUNPOD = Provider(
    name="runpod",  # a serverless endpoint with RunPod's worker for Infinity
    url="https://api.runpod.ai/v2/{endpoint}/runsync",
    dialect=Dialect(
        model="input.model",
        query="input.query",
        documents="input.docs",
        top_n=None,
        static_fields={"input.return_docs": False},
        results="output.results",
        usage=("output.usage",),
        served_model="output.model",
        error="error",
    ),
    docs="https://github.com/runpod-workers/worker-infinity-embedding",
    api_key_env=("RUNPOD_API_KEY",),
    settings_env={"endpoint": ("RUNPOD_ENDPOINT_ID",)},
    score_kind="unit",
)

HUGGINGFACE = Provider(
    name="huggingface",  # the pipeline of sentence similarity: a bi-encoder, whose scores are cosines
    url="https://router.huggingface.co/hf-inference/models/{model}/pipeline/sentence-similarity",
    dialect=Dialect(
        model=None,
        query="inputs.source_sentence",
        documents="inputs.sentences",
        top_n=None,
        results="",
        index=None,
        score="",
        error="error",
    ),
    default_model="sentence-transformers/all-MiniLM-L6-v2",
    default_model_seen=date(2026, 11, 27),
    docs="https://huggingface.co/tasks/sentence-similarity",
    api_key_env=("HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
)

HOSTS = (
    *(TOGETHER, OPENROUTER, VERCEL, PRIME, NOVITA, SILICONFLOW, SILICONFLOW_CN, DEEPINFRA),
    *(BASETEN, RUNPOD, HUGGINGFACE),
)
"""The providers of this file."""
