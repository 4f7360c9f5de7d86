"""Checks that a provider works: the key, the endpoint, and the order of its results."""

from dataclasses import dataclass, replace
from datetime import date, timedelta

from hosted_rerank.errors import RerankError
from hosted_rerank.providers import Provider
from hosted_rerank.reranker import Reranker
from hosted_rerank.response import RerankResponse

QUERY = "What causes the tides?"
MAX_AGE = timedelta(days=183)
"""The age of a sighting after which a check says that a default model is old: six months."""
DOCUMENTS = ("Bread rises because yeast makes gas.", "The tides are caused by the pull of the moon and the sun.")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check.

    Args:
        passed: Whether the provider works.
        message: A description, with the remedy if it does not work.
        error: The error of the rerank, if it failed.
    """

    passed: bool
    message: str
    error: Exception | None = None


def check_provider(provider: Provider, model: str | None = None, base_url: str | None = None) -> CheckResult:
    """Reranks two documents with one request, and returns whether the right one came first.

    Args:
        provider: The provider.
        model: The id of the model; `None` for the default.
        base_url: Another URL of the same API; `None` for the provider's.

    Returns:
        The result; for the default model, with a note if it was seen long ago, or has an end.
    """
    result = _check(provider, model, base_url)
    note = "" if model else note_on_default(provider, date.today())  # noqa: DTZ011 - a day of the calendar here
    return replace(result, message=f"{result.message}; {note}") if note else result


def note_on_default(provider: Provider, today: date) -> str:
    """Returns what to know of a provider's default model; empty if it was seen lately and goes on.

    Args:
        provider: The provider.
        today: The day of the check.
    """
    seen, ends, model = provider.default_model_seen, provider.default_model_ends, provider.default_model
    notes: list[str] = []
    if seen is not None and today - seen > MAX_AGE:
        source = provider.default_model_source or provider.docs
        notes.append(f"the default model {model} was last seen on {seen}: look it up at {source}, and pass model=")
    if ends is not None and today > ends - MAX_AGE:
        notes.append(f"the default model {model} ends on {ends}: pass model=")
    return "; ".join(notes)


def _check(provider: Provider, model: str | None, base_url: str | None) -> CheckResult:
    try:
        with Reranker(provider, model, base_url=base_url, max_retries=0) as reranker:
            response = reranker.rerank(QUERY, DOCUMENTS)
    except (RerankError, ImportError, ValueError) as error:
        return CheckResult(passed=False, message=str(error), error=error)
    return _check_response(response)


def _check_response(response: RerankResponse) -> CheckResult:
    best, other = response.results
    answered = f"{response.model or 'its model'} answered in {response.elapsed:.2f} s"
    scores = f"{best.relevance_score:.4g} and {other.relevance_score:.4g}"
    if best.relevance_score == other.relevance_score:
        return CheckResult(
            passed=False, message=f"{answered}, but both documents got {scores}: is the model a reranker?"
        )
    if best.index != 1:
        reason = "check that the server uses the prompt template of the model"
        return CheckResult(
            passed=False, message=f"{answered}, but it put the wrong document first ({scores}): {reason}"
        )
    return CheckResult(passed=True, message=f"works: {answered}; the right document came first ({scores})")
