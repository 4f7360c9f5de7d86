"""Whether a provider works from here: the key, the endpoint, and the sense of its answer."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from hosted_rerank.errors import RerankError
from hosted_rerank.providers import PROVIDERS, Provider
from hosted_rerank.reranker import Reranker
from hosted_rerank.response import RerankResponse

QUERY = "What causes the tides?"
DOCUMENTS = ("Bread rises because yeast makes gas.", "The tides are caused by the pull of the moon and the sun.")


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a check."""

    fine: bool
    says: str


def with_keys() -> Sequence[Provider]:
    """Return the rows whose key the environment holds."""
    return [row for row in PROVIDERS.values() if any(map(os.environ.get, row.api_key_env))]


def check_provider(row: Provider, model: str | None = None, base_url: str | None = None) -> Finding:
    """Rerank two documents, once, and say how it went and what to do about it."""
    try:
        with Reranker(row, model, base_url=base_url, max_retries=0) as reranker:
            response = reranker.rerank(QUERY, DOCUMENTS)
    except (RerankError, ImportError, ValueError) as error:
        return Finding(fine=False, says=str(error))
    return _judge(response)


def _judge(response: RerankResponse) -> Finding:
    best, other = response.results
    said = f"{response.model or 'its model'} answered in {response.elapsed:.2f} s"
    scores = f"{best.relevance_score:.4g} and {other.relevance_score:.4g}"
    if best.relevance_score == other.relevance_score:
        return Finding(fine=False, says=f"{said}, but both documents got {scores}: is the model a reranker?")
    if best.index != 1:
        reason = "a server that runs a model without its prompt template answers so"
        return Finding(fine=False, says=f"{said}, but it put the wrong document first ({scores}): {reason}")
    return Finding(fine=True, says=f"works: {said}; the right document came first ({scores})")
