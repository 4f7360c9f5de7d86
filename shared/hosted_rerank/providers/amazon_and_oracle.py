"""Clouds that sign each request, body included.

`Provider.docs` is the page that describes an API; each was read in 2026-11.
"""

from dataclasses import replace
from datetime import date

from hosted_rerank.errors import RateLimitError, ServerError
from hosted_rerank.providers.auth import AwsSignature, OciSignature
from hosted_rerank.providers.dialect import Dialect
from hosted_rerank.providers.document_parts import DocumentParts
from hosted_rerank.providers.provider import Provider
from hosted_rerank.providers.size_errors import BEDROCK_SIZE_ERRORS, SERVER_SIZE_ERRORS
from hosted_rerank.providers.vendors import COHERE

BEDROCK = Provider(
    name="bedrock",
    url="https://bedrock-agent-runtime.{region}.amazonaws.com/rerank",
    dialect=Dialect(
        model="rerankingConfiguration.bedrockRerankingConfiguration.modelConfiguration.modelArn",
        query="queries.0.textQuery.text",
        documents="sources",
        document="inlineDocumentSource.textDocument.text",
        document_fields={"type": "INLINE", "inlineDocumentSource.type": "TEXT"},
        document_parts=DocumentParts(
            names=None,
            path="inlineDocumentSource.jsonDocument",
            fields={"type": "INLINE", "inlineDocumentSource.type": "JSON"},
        ),
        top_n="rerankingConfiguration.bedrockRerankingConfiguration.numberOfResults",
        always_send_top_n=True,
        static_fields={"queries.0.type": "TEXT", "rerankingConfiguration.type": "BEDROCK_RERANKING_MODEL"},
        options={
            "rerankingConfiguration.bedrockRerankingConfiguration.modelConfiguration.additionalModelRequestFields": dict
        },
        score="relevanceScore",
        error="message",
        next_page="nextToken",
    ),
    default_model="arn:aws:bedrock:{region}::foundation-model/cohere.rerank-v3-5:0",
    default_model_seen=date(2026, 11, 27),
    default_model_source="https://docs.aws.amazon.com/bedrock/latest/userguide/model-card-cohere-rerank-3-5.md",
    other_models=("arn:aws:bedrock:{region}::foundation-model/amazon.rerank-v1:0",),
    docs="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_Rerank.html",
    auth=AwsSignature(),
    settings_env={"region": ("AWS_REGION", "AWS_DEFAULT_REGION")},
    request_id_headers=("x-amzn-requestid",),
    errors={"ServiceQuotaExceededException": RateLimitError, "DependencyFailedException": ServerError},  # 400, 424
    size_errors={**SERVER_SIZE_ERRORS, **BEDROCK_SIZE_ERRORS},
    score_kind="unit",
    max_documents=1000,
)

SAGEMAKER = Provider(
    name="sagemaker",  # the endpoint of a model of Cohere's
    url="https://runtime.sagemaker.{region}.amazonaws.com/endpoints/{model}/invocations",
    dialect=replace(COHERE.dialect, model=None, static_fields={"api_version": 2}),  # as Cohere's SDK 7.3 sends
    docs="https://docs.cohere.com/docs/amazon-sagemaker-setup-guide",
    auth=AwsSignature("sagemaker"),
    settings_env=BEDROCK.settings_env,
    request_id_headers=BEDROCK.request_id_headers,
    score_kind="unit",
)

ORACLE = Provider(
    name="oracle",
    url="https://inference.generativeai.{region}.oci.oraclecloud.com/20231130/actions/rerankText",
    dialect=Dialect(
        model="servingMode.endpointId",  # its only reranker, cohere.rerank.v3-5, runs on dedicated clusters
        query="input",
        top_n="topN",
        static_fields={"servingMode.servingType": "DEDICATED", "isEcho": False},
        options={"compartmentId": str, "maxChunksPerDocument": int, "maxTokensPerDocument": int},
        results="documentRanks",
        score="relevanceScore",
        served_model="modelId",
        error="message",
    ),
    docs="https://docs.oracle.com/iaas/api/#/en/generative-ai-inference/20231130/RerankTextResult/RerankText",
    auth=OciSignature(),
    settings_env={"region": ("OCI_REGION",), "compartmentId": ("OCI_COMPARTMENT_ID",)},
    request_id_headers=("opc-request-id",),
    score_kind="unit",
)

AMAZON_AND_ORACLE = (BEDROCK, SAGEMAKER, ORACLE)
"""The providers of this file."""
