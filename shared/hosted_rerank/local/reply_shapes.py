"""What the reply of each API has, as the vendors' pages and SDKs state it, whether our client reads it or not.

Where the results are, and the index and the score in each, is in the row's `Dialect`; all else is here, by the row's
name. An API that is not here replies with what its dialect names. The schemas of the replies are in `tests/samples/`.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from hosted_rerank.local.reply_shape import ABSENT, Answered, Echo, ReplyShape, Value
from hosted_rerank.providers.dialect import Dialect
from hosted_rerank.providers.json_path import at


def shape_of(name: str, dialect: Dialect) -> ReplyShape:
    """Returns the shape of an API's replies.

    Args:
        name: The name of the row.
        dialect: Its wire format, which tells the shape of a row that is not in the table.
    """
    if name in SHAPES:
        return SHAPES[name]
    counts: dict[str, Value] = {path: _count_at(path) for path in dialect.usage}
    return ReplyShape({dialect.id: _new_id(""), dialect.served_model: _model, **counts}, echo=Echo())


def _count_at(path: str) -> Callable[[Answered], Any]:
    name = path.rpartition(".")[2]
    if name.endswith("units"):
        return lambda _: 1
    return _tokens if name.endswith(("_tokens", "_bytes", "_count")) else _usage


def _new_id(prefix: str) -> Callable[[Answered], str]:
    return lambda _: f"{prefix}{uuid.uuid4().hex}"


def _model(answered: Answered) -> str:
    return answered.model


def _tokens(answered: Answered) -> int:
    return answered.scores.tokens


def _usage(answered: Answered) -> Mapping[str, int]:
    return answered.scores.usage


def _now(_: Answered) -> int:
    return int(time.time())


def _watsonx_time(_: Answered) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _triton_shape(answered: Answered) -> Any:
    return [len(at(answered.body, "inputs.0.data")), 1]


def _watsonx_query(answered: Answered) -> Any:
    return answered.query if at(answered.body, "parameters.return_options.query") is True else ABSENT


def _xinference_tokens(answered: Answered) -> Any:
    counts = {"input_tokens": answered.scores.tokens, "output_tokens": 0}
    return counts if at(answered.body, "return_len") is True else None


def _of_request(path: str, default: Any) -> Callable[[Answered], Any]:
    """Returns a function that returns a field of the request."""
    return lambda answered: default if (value := at(answered.body, path)) is None else value


_ALWAYS = Echo(asked_by=None)
_BILLED = {"meta.billed_units.search_units": 1, "meta.tokens.input_tokens": _tokens, "meta.tokens.output_tokens": 0}
_WITH_COMPLETION = {"usage.prompt_tokens": _tokens, "usage.completion_tokens": 0, "usage.total_tokens": _tokens}
_MODEL_AND_USAGE: Mapping[str, Value] = {"model": _model, "usage": _usage}
_LIST: Mapping[str, Value] = {"object": "list", "model": _model, "usage": _usage}
_LIST_TOTAL: Mapping[str, Value] = {"object": "list", "model": _model, "usage.total_tokens": _tokens}

_COHERE = ReplyShape({"id": _new_id(""), "meta.api_version.version": "2", **_BILLED}, echo=Echo())  # only v1 echoes
_NVIDIA = ReplyShape({"usage": _usage})
_VLLM = ReplyShape({"id": _new_id("rerank-"), **_MODEL_AND_USAGE}, echo=_ALWAYS, result={"document.multi_modal": None})
_TEI = ReplyShape(echo=Echo("text", "text", ("return_text",)), takes=("return_text",))
_SILICONFLOW = ReplyShape(
    {"id": _new_id(""), "tokens.input_tokens": _tokens, "tokens.output_tokens": 0, **_BILLED}, echo=Echo()
)
_INFINITY: Mapping[str, Value] = {
    "object": "rerank",
    "id": _new_id("infinity-"),
    "model": _model,
    "usage": _usage,
    "created": _now,
}

SHAPES: Mapping[str, ReplyShape] = {
    "cohere": _COHERE,
    "azure": _COHERE,
    "vercel": _COHERE,
    "jina": ReplyShape(_LIST_TOTAL, echo=Echo(default=True)),
    "voyage": ReplyShape(_LIST_TOTAL, echo=Echo(form="text")),
    "mixedbread": ReplyShape(
        {**_LIST, "top_k": _of_request("top_k", None), "return_input": _of_request("return_input", default=False)},
        {"object": "rank_result"},
        Echo("input", "sent", ("return_input",), otherwise=None),
        takes=("rank_fields",),
    ),
    "zeroentropy": ReplyShape(
        {
            "actual_latency_mode": _of_request("latency", "fast"),
            "e2e_latency": 0.01,
            "inference_latency": 0.01,
            "total_bytes": _tokens,
            "total_tokens": _tokens,
        }
    ),
    "pinecone": ReplyShape(
        {"model": _model, "usage.rerank_units": 1}, echo=Echo(form="sent", default=True), takes=("rank_fields",)
    ),
    "contextual": ReplyShape(takes=("metadata",)),
    "isaacus": ReplyShape({"usage.input_tokens": _tokens}),
    "nvidia": _NVIDIA,
    "nvidia-nim": _NVIDIA,
    "bedrock": ReplyShape(),
    "sagemaker": _COHERE,
    "tei-predict": ReplyShape(result={"0.label": "LABEL_0"}),
    "mlflow": ReplyShape(),
    "triton": ReplyShape(
        {
            "model_name": _model,
            "model_version": "1",
            "outputs.0.name": "scores",
            "outputs.0.datatype": "FP32",
            "outputs.0.shape": _triton_shape,
        }
    ),
    "oracle": ReplyShape({"id": _new_id(""), "modelId": _model, "modelVersion": "3.5"}, {"document": None}),
    "vertex": ReplyShape(echo=Echo("", "sent", ("ignoreRecordDetailsInResponse",), asks=False)),
    "watsonx": ReplyShape(
        {
            "model_id": _model,
            "created_at": _watsonx_time,
            "input_token_count": _tokens,
            "query": _watsonx_query,
        },
        echo=Echo("input", "object", ("parameters.return_options.inputs",)),
        takes=("parameters.return_options.inputs", "parameters.return_options.query"),
    ),
    "dashscope": ReplyShape({"id": _new_id(""), **_LIST_TOTAL}, echo=Echo()),
    "dashscope-native": ReplyShape(
        {"request_id": _new_id(""), "usage.total_tokens": _tokens}, echo=Echo(asked_by=("parameters.return_documents",))
    ),
    "cloudflare": ReplyShape({"success": True, "errors": [], "messages": []}),
    "scaleway": ReplyShape({"id": _new_id(""), **_MODEL_AND_USAGE}),
    "together": ReplyShape(
        {"object": "rerank", "id": _new_id(""), "model": _model, **_WITH_COMPLETION},
        echo=Echo(otherwise={}),
        takes=("rank_fields",),
    ),
    "openrouter": ReplyShape(
        {
            "id": _new_id("gen-rerank-"),
            "model": _model,
            "provider": "hosted-rerank",
            "usage": lambda answered: {"cost": 0.0, "search_units": 1, "total_tokens": answered.scores.tokens},
        },
        echo=_ALWAYS,
    ),
    "prime": ReplyShape({"id": _new_id("req_"), **_MODEL_AND_USAGE}, echo=_ALWAYS),
    "novita": ReplyShape({"id": _new_id(""), **_WITH_COMPLETION}, echo=_ALWAYS),
    "siliconflow": _SILICONFLOW,
    "siliconflow-cn": _SILICONFLOW,
    "deepinfra": ReplyShape(
        {
            "input_tokens": _tokens,
            "request_id": _new_id(""),
            "inference_status": lambda answered: {
                "status": "succeeded",
                "runtime_ms": 10,
                "cost": 0.0,
                "tokens_generated": 0,
                "tokens_input": answered.scores.tokens,
            },
        }
    ),
    "fireworks-logits": ReplyShape(_LIST, {"object": "embedding"}),
    "vllm": _VLLM,
    "vllm-score": ReplyShape({"id": _new_id("score-"), "created": _now, **_LIST}, {"object": "score"}),
    "tei": _TEI,
    "baseten": _TEI,
    "sglang": ReplyShape(echo=Echo(form="text", default=True), result={"meta_info": None}),
    "infinity": ReplyShape(_INFINITY, echo=Echo(form="text", otherwise=None)),
    "runpod": ReplyShape(
        {
            "id": _new_id("sync-"),
            "status": "COMPLETED",
            "delayTime": 1,
            "executionTime": 10,
            **{f"output.{path}": value for path, value in _INFINITY.items()},
        },
        echo=Echo(form="text", asked_by=("input.return_docs",), otherwise=None),
    ),
    "xinference": ReplyShape(
        {
            "id": _new_id(""),
            "meta.api_version": None,
            "meta.billed_units": None,
            "meta.tokens": _xinference_tokens,
            "meta.warnings": None,
        },
        echo=Echo(otherwise=None),
    ),
    "llamacpp": ReplyShape(_LIST),
    "localai": ReplyShape(_MODEL_AND_USAGE, echo=_ALWAYS),
    "litellm": ReplyShape({"id": _new_id(""), **_BILLED}, echo=Echo()),
    "elastic": ReplyShape(
        echo=Echo("text", "text", ("return_documents", "task_settings.return_documents"), default=True),
        top_n="top_n",
        headers={"x-elastic-product": "Elasticsearch"},  # without it its clients refuse a server
    ),
    "opensearch": ReplyShape(
        result={"output.0.name": "similarity", "output.0.data_type": "FLOAT32", "output.0.shape": [1]}
    ),
    "huggingface": ReplyShape(),
}
"""The shapes, by the name of the row."""
