"""What of a reranker changes its answers: it is shown in a report, and a checkpoint is of one such reranker only."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from hosted_rerank.reranker import Reranker


def describe_settings(reranker: Reranker) -> dict[str, Any]:
    """Return the settings that change answers, as JSON has them; those that have no effect are left out.

    Args:
        reranker: The reranker.

    Returns:
        The settings by name. What may be secret (`params`, `extra_body`) is shown as a checksum.
    """
    endpoint, call = reranker._endpoint, reranker._call_options  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours
    fallbacks = reranker._fallbacks  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours
    settings: dict[str, Any] = {
        "provider": reranker.provider.name,
        "model": reranker.model,
        "url": reranker.url,
        "instruction": reranker._instruction,  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - ours
        "instruction_in_query": endpoint.instruction_in_query,
        "max_document_chars": call.max_document_chars,
        "long_documents": None if call.long_documents == "truncate" else call.long_documents,
        "passage_chars": call.passage_chars,
        "batch_size": call.batch_size if is_listwise(reranker) else None,
        "score_transform": None if endpoint.score_transform == "auto" else endpoint.score_transform,
        "options": dict(endpoint.options),
        "params": _checksum(endpoint.params),
        "extra_body": _checksum(endpoint.extra_body),
        "fallbacks": [describe_settings(fallback) for fallback in fallbacks],
    }
    return {name: value for name, value in settings.items() if value not in (None, False, "", {}, [])}


def is_listwise(reranker: Reranker) -> bool:
    """Return whether the scores of a reranker's model compare only within one request.

    Args:
        reranker: The reranker.
    """
    return bool(reranker.provider.facts(reranker.model).listwise)


def _checksum(values: Mapping[str, Any]) -> str:
    if not values:
        return ""
    return hashlib.sha256(json.dumps(dict(values), sort_keys=True, default=str).encode()).hexdigest()[:16]
