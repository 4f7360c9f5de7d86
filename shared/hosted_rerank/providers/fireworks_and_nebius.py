"""Fireworks and Nebius Token Factory, each with every rerank API that it offers.

`Provider.docs` is the page that describes an API; each was read in 2026-11.
"""

from dataclasses import replace
from datetime import date

from hosted_rerank.errors import PaymentRequiredError
from hosted_rerank.providers.dialect import NO_ECHO, Dialect
from hosted_rerank.providers.prompt import Prompt
from hosted_rerank.providers.provider import Provider

FIREWORKS = Provider(
    name="fireworks",
    url="https://api.fireworks.ai/inference/v1/rerank",
    dialect=Dialect(  # its schema refuses unknown fields
        instruction="task", static_fields=NO_ECHO, options={"return_documents": bool}, results="data"
    ),
    default_model="accounts/fireworks/models/qwen3-reranker-8b",
    default_model_seen=date(2026, 11, 27),
    default_model_source="https://api.fireworks.ai/v1/serverless/models",
    docs="https://docs.fireworks.ai/api-reference/rerank-documents",
    api_key_env=("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),
    base_url_env=("FIREWORKS_BASE_URL",),
    request_id_headers=("x-request-id", "x-fireworks-request-id", "cf-ray"),
    usage_headers={"fireworks-cached-prompt-tokens": "cached_tokens"},
    errors={412: PaymentRequiredError},  # a suspended account (inference error codes in the same docs)
    score_kind="unit",
)

FIREWORKS_LOGITS = replace(
    # For models and deployments that /rerank does not serve: the request has a prompt for each document, the response
    # the probabilities of the tokens "no" (2753 in the guide) and "yes" (9454) for each prompt.
    FIREWORKS,
    name="fireworks-logits",
    url="https://api.fireworks.ai/inference/v1/embeddings",
    docs="https://docs.fireworks.ai/guides/querying-embeddings-models",
    dialect=Dialect(
        query=None,
        documents="input",
        prompt=Prompt(
            "<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {document}",
            "Given a web search query, retrieve relevant passages that answer the query",
        ),
        top_n=None,
        static_fields={"return_logits": [2753, 9454], "normalize": True},
        results="data",
        score="embedding.1",
    ),
    max_documents=2048,
)

NEBIUS = Provider(
    name="nebius",
    url="https://api.tokenfactory.nebius.com/v1/rerank",
    dialect=Dialect(
        top_n=None,  # the response always repeats the documents
        options={"user": str, "service_tier": ("auto", "default", "over-limit", "flex", "no-limit")},
        error="detail",
    ),
    default_model="Qwen/Qwen3-Reranker-8B",
    default_model_seen=date(2026, 11, 23),  # on its API page; public lists of its models have no reranker
    docs="https://docs.tokenfactory.nebius.com/api-reference/rerank/create-rerank",
    api_key_env=("NEBIUS_API_KEY",),
    query_params=("ai_project_id",),
    request_id_headers=("x-request-id", "x-inference-id"),
    score_kind="unit",
)

FIREWORKS_AND_NEBIUS = (FIREWORKS, FIREWORKS_LOGITS, NEBIUS)
"""The providers of this file."""
