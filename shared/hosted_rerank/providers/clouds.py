"""Cloud platforms, where reranking is one service of many.

`Provider.docs` is the page that describes an API; each was read in 2026-11.
"""

from dataclasses import replace
from datetime import date

from hosted_rerank.providers.auth import GoogleCredentials, IbmToken, KeyHeader
from hosted_rerank.providers.dialect import NO_ECHO, Dialect
from hosted_rerank.providers.document_parts import DocumentParts
from hosted_rerank.providers.provider import Provider
from hosted_rerank.providers.size_errors import (
    DASHSCOPE_SIZE_ERRORS,
    GOOGLE_SIZE_ERRORS,
    SERVER_SIZE_ERRORS,
)
from hosted_rerank.providers.vendors import COHERE

AZURE = replace(
    COHERE,  # Azure AI Foundry serves Cohere's API
    name="azure",
    url="https://{resource}.services.ai.azure.com/providers/cohere/v2/rerank",
    host_paths={".models.ai.azure.com": "/v1/rerank"},  # its serverless hosts
    default_model="cohere-rerank-v4.0-fast",
    default_model_seen=date(2026, 11, 27),
    default_model_source="https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json",
    default_model_ends=date(2027, 9, 13),
    other_models=("cohere-rerank-v4.0-pro", "cohere-rerank-v5-fast", "cohere-rerank-v5-pro"),
    docs="https://learn.microsoft.com/azure/ai-foundry/foundry-models/concepts/models-sold-directly-by-azure",
    auth=KeyHeader("api-key", ""),
    api_key_env=("AZURE_AI_API_KEY",),
    base_url_env=("AZURE_AI_API_BASE",),
    settings_env={"resource": ("AZURE_AI_RESOURCE",)},
    request_id_headers=("apim-request-id", "x-request-id"),
)

NVIDIA = Provider(
    name="nvidia",
    url="https://ai.api.nvidia.com/v1/retrieval/{model_}/reranking",
    dialect=Dialect(
        query="query.text",
        documents="passages",
        document="text",
        document_parts=DocumentParts(names=("text", "image"), models="vl|nemotron-3"),
        top_n=None,
        options={"truncate": ("NONE", "END")},
        results="rankings",
        score="logit",
        error="detail",
    ),
    default_model="nvidia/llama-nemotron-rerank-1b-v2",
    default_model_seen=date(2026, 11, 23),
    docs="https://docs.nvidia.com/nim/nemo-retriever/text-reranking/latest/reference.html",
    api_key_env=("NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"),
    request_id_headers=("nvcf-reqid", "x-request-id"),
    score_kind="logit",
    max_documents=512,
)

DASHSCOPE = Provider(
    name="dashscope",
    url="https://{host}/compatible-api/v1/reranks",
    dialect=Dialect(instruction="instruct", static_fields=NO_ECHO, usage=("usage.total_tokens",)),
    default_model="qwen3-rerank",
    default_model_seen=date(2026, 11, 27),
    other_models=(
        "gte-rerank-v2",
        "qwen3-vl-rerank",
    ),
    docs="https://help.aliyun.com/zh/model-studio/text-rerank-api",
    api_key_env=("DASHSCOPE_API_KEY",),
    params={"host": "dashscope.aliyuncs.com"},  # abroad: dashscope-intl, or WORKSPACE.ap-southeast-1.maas
    size_errors={**SERVER_SIZE_ERRORS, **DASHSCOPE_SIZE_ERRORS},
    score_kind="unit",
    max_documents=100,  # the smallest of its models, as the tokens; most have more
    max_tokens=30_000,
)

DASHSCOPE_NATIVE = replace(
    DASHSCOPE,
    name="dashscope-native",
    base_url_env=("DASHSCOPE_HTTP_BASE_URL",),
    url="https://{host}/api/v1/services/rerank/text-rerank/text-rerank",
    dialect=Dialect(
        query="input.query",
        documents="input.documents",
        document_parts=DocumentParts(names=("text", "image", "video"), models="vl", single=True),
        top_n="parameters.top_n",
        instruction="parameters.instruct",
        static_fields={"parameters.return_documents": False},
        results="output.results",
        usage=("usage.total_tokens",),
        id="request_id",
        error="message",
    ),
)

CLOUDFLARE = Provider(
    name="cloudflare",
    url="https://api.cloudflare.com/client/v4/accounts/{account}/ai/run/{model}",
    dialect=Dialect(
        model=None,
        documents="contexts",
        document="text",
        top_n="top_k",
        always_send_top_n=True,  # the docs state no default
        results="result.response",
        index="id",
        score="score",
        error="errors.0.message",
    ),
    default_model="@cf/baai/bge-reranker-base",
    default_model_seen=date(2026, 11, 23),
    docs="https://developers.cloudflare.com/workers-ai/models/bge-reranker-base",
    api_key_env=("CLOUDFLARE_API_TOKEN",),
    settings_env={"account": ("CLOUDFLARE_ACCOUNT_ID",)},
    request_id_headers=("cf-ray",),
    score_kind="logit",
)

SCALEWAY = Provider(
    name="scaleway",
    url="https://api.scaleway.ai/v1/rerank",
    default_model="qwen3-embedding-8b",  # the documented one; its scores are cosines
    default_model_seen=date(2026, 11, 23),
    docs="https://www.scaleway.com/en/docs/generative-apis/how-to/query-reranking-models",
    api_key_env=("SCW_SECRET_KEY",),
)

WATSONX = Provider(
    name="watsonx",
    url="https://{region}.ml.cloud.ibm.com/ml/v1/text/rerank",
    dialect=Dialect(
        model="model_id",
        documents="inputs",
        document="text",
        top_n="parameters.return_options.top_n",
        options={"project_id": str, "space_id": str, "parameters.truncate_input_tokens": int},
        score="score",
        usage=("input_token_count",),
        served_model="model_id",
        error="errors.0.message",
    ),
    default_model="cross-encoder/ms-marco-minilm-l-12-v2",
    default_model_seen=date(2026, 11, 23),
    docs="https://cloud.ibm.com/apidocs/watsonx-ai#text-rerank",
    auth=IbmToken(),
    api_key_env=("WATSONX_APIKEY", "WATSONX_API_KEY"),
    base_url_env=("WATSONX_URL", "WATSONX_API_BASE"),
    settings_env={"project_id": ("WATSONX_PROJECT_ID",)},
    params={"region": "us-south", "version": "2024-03-13"},
    request_id_headers=("x-request-id", "x-global-transaction-id"),
    score_kind="logit",
)

VERTEX = Provider(
    # Google's JSON leaves out fields that are 0, so a score of 0 is missing.
    name="vertex",
    url="https://discoveryengine.googleapis.com/v1/projects/{project}/locations/{location}"
    "/rankingConfigs/default_ranking_config:rank",
    dialect=Dialect(
        documents="records",
        document="content",
        document_id="id",
        document_parts=DocumentParts(names=("text", "title", "content"), text="content"),
        top_n="topN",
        static_fields={"ignoreRecordDetailsInResponse": True},
        options={"userLabels": dict},
        results="records",
        index="id",
        score="score",
        default_score=0.0,
    ),
    default_model="semantic-ranker-default-004",
    default_model_seen=date(2026, 11, 27),
    default_model_source="https://cloud.google.com/generative-ai-app-builder/pricing",
    other_models=("semantic-ranker-fast-004",),
    docs="https://cloud.google.com/generative-ai-app-builder/docs/ranking",
    auth=GoogleCredentials(),
    settings_env={"project": ("GOOGLE_CLOUD_PROJECT",)},
    params={"location": "global"},
    size_errors={**SERVER_SIZE_ERRORS, **GOOGLE_SIZE_ERRORS},
    score_kind="unit",
    max_documents=200,
)

CLOUDS = (AZURE, NVIDIA, DASHSCOPE, DASHSCOPE_NATIVE, CLOUDFLARE, SCALEWAY, WATSONX, VERTEX)
"""The providers of this file."""
