"""Servers that users run themselves. The URLs are the servers' defaults on localhost; `base_url` names another one.

The servers check a key only if they are started with one, so a key is optional. `Provider.docs` is the page that
describes an API; each was read in 2026-11.
"""

from dataclasses import replace
from datetime import date

from hosted_rerank.errors import InvalidRequestError
from hosted_rerank.providers.auth import KeyHeader
from hosted_rerank.providers.clouds import NVIDIA
from hosted_rerank.providers.dialect import NO_ECHO, Dialect
from hosted_rerank.providers.document_parts import DocumentParts
from hosted_rerank.providers.provider import Provider
from hosted_rerank.providers.size_errors import GATEWAY_SIZE_ERRORS

_VLLM_PARTS = DocumentParts(
    names=("text", "image", "video"),
    models="^(?!.*(bge-reranker|qwen3-reranker|jina-reranker-v|mxbai-rerank|minilm|gte-reranker|zerank))",
    content="blocks",
    path="content",
)
"""Qwen3-VL-Reranker and jina-reranker-m0 take images, known text models none; SGLang takes the blocks themselves."""

VLLM = Provider(
    name="vllm",
    url="http://localhost:8000/v1/rerank",
    dialect=Dialect(
        document_parts=_VLLM_PARTS,
        instruction="instruction",
        options={
            "truncate_prompt_tokens": int,
            "max_tokens_per_query": int,
            "max_tokens_per_doc": int,
            "truncation_side": ("left", "right"),
            "padding": ("max_length", "do_not_pad"),
            "use_activation": bool,
            "chat_template_kwargs": dict,
            "mm_processor_kwargs": dict,
            "cache_salt": str,
            "user": str,
            "priority": int,
            "request_id": str,
        },
        allows_extra_fields=True,
    ),
    docs="https://docs.vllm.ai/en/latest/serving/openai_compatible_server/#re-rank-api",
    api_key_env=("VLLM_API_KEY",),
    score_kind="unit",
)

VLLM_SCORE = replace(
    VLLM,
    name="vllm-score",
    url="http://localhost:8000/v1/score",
    dialect=Dialect(
        query="text_1",
        documents="text_2",
        document_parts=_VLLM_PARTS,
        top_n=None,
        options={
            "truncate_prompt_tokens": int,
            "use_activation": bool,
            "mm_processor_kwargs": dict,
            "priority": int,
        },
        allows_extra_fields=True,
        results="data",
        score="score",
    ),
    docs="https://docs.vllm.ai/en/latest/serving/openai_compatible_server/#score-api",
)

TEI = Provider(
    name="tei",
    url="http://localhost:8080/rerank",
    dialect=Dialect(
        model=None,
        documents="texts",
        top_n=None,
        options={"truncate": bool, "truncation_direction": ("Left", "Right"), "raw_scores": bool},
        allows_extra_fields=True,
        results="",
        score="score",
        error="error",
    ),
    docs="https://huggingface.github.io/text-embeddings-inference/",
    api_key_env=("TEI_API_KEY",),
    usage_headers={"x-compute-tokens": "total_tokens"},
    score_kind="unit",
    max_documents=32,  # its default, as the bytes; its options change both
    max_bytes=1_900_000,
)

LLAMACPP = Provider(
    name="llamacpp",
    url="http://localhost:8080/v1/rerank",
    dialect=Dialect(allows_extra_fields=True),
    docs="https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
    api_key_env=("LLAMA_API_KEY",),
    errors={"too large to process": InvalidRequestError},  # a 500 that a retry does not help
)

INFINITY = Provider(
    name="infinity",
    url="http://localhost:7997/rerank",
    dialect=Dialect(static_fields=NO_ECHO, options={"raw_scores": bool}, allows_extra_fields=True),
    docs="https://michaelfeil.eu/infinity/",
    api_key_env=("INFINITY_API_KEY",),
    score_kind="unit",
    max_documents=2048,
)

XINFERENCE = Provider(
    name="xinference",
    url="http://localhost:9997/v1/rerank",
    dialect=Dialect(
        always_send_top_n=True,  # some versions return no results without it
        static_fields=NO_ECHO,
        options={"return_len": bool, "max_chunks_per_doc": int, "kwargs": str},
        allows_extra_fields=True,
        usage=("meta.tokens.input_tokens",),
        error="detail",
    ),
    docs="https://inference.readthedocs.io/en/latest/models/model_abilities/rerank.html",
    api_key_env=("XINFERENCE_API_KEY",),
)

SGLANG = Provider(
    name="sglang",
    url="http://localhost:30000/v1/rerank",
    dialect=Dialect(
        model=None,
        document_parts=replace(_VLLM_PARTS, path=""),
        instruction="instruct",
        static_fields=NO_ECHO,
        allows_extra_fields=True,
        results="",
        score="score",
        error="message",
    ),
    docs="https://docs.sglang.ai/supported_models/rerank_models.html",
    api_key_env=("SGLANG_API_KEY",),
)

LOCALAI = Provider(
    name="localai",
    url="http://localhost:8080/v1/rerank",
    dialect=Dialect(options={"backend": str}),
    docs="https://localai.io/features/reranker/",
    api_key_env=("LOCALAI_API_KEY",),
)

LITELLM = Provider(
    name="litellm",
    url="http://localhost:4000/v1/rerank",
    dialect=Dialect(
        static_fields=NO_ECHO,
        options={"max_chunks_per_doc": int, "max_tokens_per_doc": int},
        allows_extra_fields=True,  # it passes some on: `instruction` to vLLM and DeepInfra, to no other of 12 APIs
        usage=("meta.billed_units.search_units", "meta.billed_units.total_tokens", "meta.tokens.input_tokens"),
    ),
    docs="https://docs.litellm.ai/docs/rerank",
    api_key_env=("LITELLM_PROXY_API_KEY", "LITELLM_API_KEY"),
    request_id_headers=("x-litellm-call-id",),
    size_errors=GATEWAY_SIZE_ERRORS,
)

NVIDIA_NIM = replace(
    NVIDIA, name="nvidia-nim", url="http://localhost:8000/v1/ranking", base_url_env=("NVIDIA_BASE_URL",)
)

ELASTIC = Provider(
    name="elastic",
    url="http://localhost:9200/_inference/rerank/{model}",  # the model is the id of an inference endpoint
    dialect=Dialect(
        model=None,
        documents="input",
        document_parts=DocumentParts(  # models of its own service take images; URLs since 9.6
            names=("text", "image"),
            models=r"^(?!\.rerank-v1-elasticsearch$)",
            single=True,
            content="typed",
            alike=True,
        ),
        top_n=None,  # older versions refuse it
        options={"return_documents": bool, "task_settings": dict},
        results="rerank",
        error="error.reason",
    ),
    default_model=".rerank-v1-elasticsearch",
    default_model_seen=date(2026, 11, 27),
    default_model_source="https://www.elastic.co/docs/reference/elasticsearch/rest-apis/retrievers"
    "/text-similarity-reranker-retriever",
    docs="https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-inference-rerank",
    auth=KeyHeader(scheme="ApiKey"),
    api_key_env=("ELASTIC_API_KEY", "ELASTICSEARCH_API_KEY"),
)

OPENSEARCH = Provider(
    name="opensearch",
    url="http://localhost:9200/_plugins/_ml/_predict/text_similarity/{model}",
    dialect=Dialect(
        model=None,
        query="query_text",
        documents="text_docs",
        top_n=None,
        results="inference_results",
        index=None,
        score="output.0.data.0",
        error="error.reason",
    ),
    docs="https://docs.opensearch.org/latest/ml-commons-plugin/api/train-predict/predict/",
    auth=KeyHeader(scheme="Basic"),  # the key is the base64 of user:password; no variable has it
)

LOCAL = Provider(
    name="local",
    url="local:",  # no server: hosted_rerank.local answers in this process
    dialect=Dialect(top_n=None),
    default_model="all-MiniLM-L6-v2",  # it is in the package
    score_kind="unit",
)

SERVERS = (
    *(VLLM, VLLM_SCORE, TEI, LLAMACPP, INFINITY, XINFERENCE, SGLANG, LOCALAI, LITELLM, NVIDIA_NIM, ELASTIC, OPENSEARCH),
    LOCAL,
)
"""The providers of this file."""
