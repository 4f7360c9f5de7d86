"""Servers that users run, which take pairs of the query and a document.

The URLs are the servers' defaults on localhost. `Provider.docs` is the page that describes an API; each was read in
2026-11.
"""

from dataclasses import replace

from hosted_rerank.providers.dialect import Dialect
from hosted_rerank.providers.provider import Provider
from hosted_rerank.providers.servers import TEI

TEI_PREDICT = replace(
    TEI,
    name="tei-predict",
    url="http://localhost:8080/predict",
    dialect=replace(
        TEI.dialect,
        query=None,
        documents="inputs",
        document_query="0",
        document="1",
        index=None,
        score="0.score",  # [[{"score": 0.9, "label": "LABEL_0"}], ...]
    ),
)

MLFLOW = Provider(
    name="mlflow",
    url="http://localhost:5000/invocations",
    dialect=Dialect(
        model=None,
        query=None,
        documents="inputs",
        document_query="0",
        document="1",
        top_n=None,
        results="predictions",
        index=None,
        score="0",  # [[0.9], ...]
        error="message",
    ),
    docs="https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/",
)

TRITON = Provider(
    name="triton",
    url="http://localhost:8000/v2/models/{model}/infer",
    dialect=Dialect(
        model=None,
        query=None,
        documents="inputs.0.data",
        document_query="0",
        document="1",
        document_count="inputs.0.shape.0",  # the shape of the input: [documents, 2]
        static_fields={"inputs.0.name": "pairs", "inputs.0.datatype": "BYTES", "inputs.0.shape.1": 2},
        top_n=None,
        results="outputs.0.data",
        index=None,
        score="",
        served_model="model_name",
        error="error",
    ),
    docs="https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/README.html",
    request_id_headers=(),
)

PAIR_SERVERS = (TEI_PREDICT, MLFLOW, TRITON)
"""The providers of this file."""
