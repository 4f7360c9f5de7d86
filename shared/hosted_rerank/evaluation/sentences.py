"""The sentences of a report, which are the same in a terminal and on a page."""

from collections.abc import Iterator, Mapping
from typing import Any

from hosted_rerank.evaluation.comparison import Comparison
from hosted_rerank.evaluation.curves import Curve
from hosted_rerank.evaluation.measures import measure_names
from hosted_rerank.evaluation.outcome import Evaluation
from hosted_rerank.evaluation.threshold import Threshold

PASTED = ("provider", "model", "instruction", "max_document_chars", "long_documents", "passage_chars", "options")
"""The settings that the code with a threshold repeats."""


def explain_columns(k: int) -> str:
    """Return what the headings of the main table mean.

    Args:
        k: The cutoff rank of the measures.
    """
    return (
        f"gain: in {measure_names(k)[0]} over the first stage, on the queries that were answered; ±: half of its 95 %"
        " interval (paired bootstrap); won, lost, tied (equal scores), failed: queries; per 1,000: money for queries"
    )


def describe_what(about: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was measured: first stage, date, version, what was dropped, and the settings of each reranker.

    Args:
        about: The description of a report.
    """
    yield (
        f"First stage: {about['first_stage']}, up to {about['candidates']} candidates. {about['date']},"
        f" {about['version']}."
    )
    if about["dropped"]:
        counts = "; ".join(f"{number:,} {what}" for what, number in about["dropped"].items())
        yield f"Without a match: {counts}."
    for name, settings in about["rerankers"].items():
        answered = ", ".join(settings["answered by"])
        shown = ", ".join(
            f"{key}={value!r}" for key, value in settings.items() if key not in ("answered by", "listwise")
        )
        yield f"{name}: {shown}{answered and f'; answered by {answered}'}."


def describe_failures(evaluation: Evaluation) -> str:
    """Return how many queries failed and why; empty if none did.

    Args:
        evaluation: The evaluation.
    """
    failed = evaluation.failed
    if not failed:
        return ""
    counts = ", ".join(f"{count} {name}" for name, count in evaluation.failures.items())
    return (
        f"{evaluation.name}: {len(failed)} of {len(evaluation.outcomes)} queries failed and do not count ({counts})."
        f" The first one: {next(iter(failed.values())).reason}"
    )


def describe_comparison(comparison: Comparison, k: int) -> str:
    """Return what the test of two rankings says.

    Args:
        comparison: The comparison.
        k: The cutoff rank of the measures.
    """
    if not comparison.queries:
        return f"{comparison.first} against {comparison.second}: no query was answered by both"
    says = "a difference" if comparison.is_significant else "may be chance"
    return (
        f"{comparison.first} against {comparison.second}: {comparison.difference:+.3f} {measure_names(k)[0]},"
        f" p {comparison.p:.4f}, {says} ({comparison.queries} queries)"
    )


def title_curve(curve: Curve, k: int) -> str:
    """Return the title of a curve.

    Args:
        curve: The curve.
        k: The cutoff rank of the measures.
    """
    of = "candidates that are reranked" if curve.kind == "candidates" else "characters of a document that are sent"
    return f"{curve.name}: {measure_names(k)[0]} against {of}"


def conclude_curve(curve: Curve) -> str:
    """Return which point is enough, and how the curve was made.

    Args:
        curve: The curve.
    """
    if not curve.points:
        return "No query was answered at every point."
    last = curve.points[-1].x
    enough = (
        f"No fewer {curve.kind} than {'all' if last is None else f'{last:,}'} do as well."
        if curve.enough == last
        else f"{curve.enough:,} {curve.kind} are enough: no worse than the best point."
    )
    made = "one pass over the deepest candidates" if curve.passes == 1 else f"{curve.passes} passes, one for each point"
    return f"{enough} From {made}; {curve.queries} queries."


def describe_threshold(name: str, threshold: Threshold) -> str:
    """Return what a threshold keeps and lets through, or why there is none.

    Args:
        name: The name of the reranker.
        threshold: The threshold.
    """
    if threshold.score_threshold is None:
        return f"{name}: no threshold, for {threshold.doubt}."
    says = f"no clean separation, for {threshold.doubt}; " if threshold.doubt else ""
    kept, through = threshold.kept_interval, threshold.let_through_interval
    of_kept = "" if kept is None else f" ({kept.low:.1%} to {kept.high:.1%} on other queries)"
    of_through = "" if through is None else f" ({through.low:.1%} to {through.high:.1%})"
    return (
        f"{name}: {says}score_threshold={threshold.score_threshold:g} keeps {threshold.kept:.1%}{of_kept} of"
        f" {threshold.relevant:,} relevant candidates, and lets through {threshold.let_through:.1%}{of_through} of"
        f" {threshold.others:,} others."
    )


def write_code(evaluation: Evaluation, threshold: Threshold) -> str:
    """Return the code that uses a threshold; empty if there is no clean one.

    Args:
        evaluation: The evaluation.
        threshold: Its threshold.
    """
    if threshold.score_threshold is None or threshold.doubt:
        return ""
    settings = {name: evaluation.settings[name] for name in PASTED if name in evaluation.settings}
    arguments = {**settings, "score_threshold": threshold.score_threshold}
    return f"HostedRerank({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"
