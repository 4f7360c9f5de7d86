"""`Outcome` of one query, and `Evaluation`: the outcomes of one reranker on a dataset."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hosted_rerank.evaluation.dataset import Dataset


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one query.

    Args:
        query: The id of the query.
        ranking: The ids of the documents, best first; empty if the rerank failed.
        scores: One score for each document of `ranking`; `None` for a document without one.
        elapsed: The seconds of the rerank, including waits for the API's limit.
        requests: The number of HTTP requests, retries included.
        tokens: The number of billed tokens; `None` if the API does not count them.
        model: The model that answered.
        error: The name of the class in `hosted_rerank.errors` of the error that failed the query, or `None`.
        reason: The message of that error.
        timed: Whether `elapsed` counts for the percentiles: the first queries warm the model up, and later ones of the
            embedded model find vectors that it has computed before.
    """

    query: str
    ranking: tuple[str, ...] = ()
    scores: tuple[float | None, ...] = ()
    elapsed: float = 0.0
    requests: int = 0
    tokens: int | None = None
    model: str = ""
    error: str | None = None
    reason: str = ""
    timed: bool = True

    @property
    def has_ties(self) -> bool:
        """Whether two documents have the same score."""
        scores = [score for score in self.scores if score is not None]
        return len(set(scores)) < len(scores)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The outcomes of one reranker on a dataset.

    Args:
        name: The name of the evaluation.
        dataset: The dataset.
        outcomes: The outcomes by query id, in the order of the dataset.
        settings: The settings of the reranker that change its answers, by name.
        listwise: Whether scores compare only within one request.
    """

    name: str
    dataset: Dataset
    outcomes: Mapping[str, Outcome]
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    listwise: bool = False

    @property
    def answered(self) -> dict[str, Outcome]:
        """The outcomes of the queries that did not fail, by query id."""
        return {query: outcome for query, outcome in self.outcomes.items() if outcome.error is None}

    @property
    def failed(self) -> dict[str, Outcome]:
        """The outcomes of the queries that failed, by query id."""
        return {query: outcome for query, outcome in self.outcomes.items() if outcome.error is not None}

    @property
    def failures(self) -> dict[str, int]:
        """How many queries failed, by the name of the error."""
        return dict(Counter(outcome.error or "" for outcome in self.failed.values()))

    @property
    def models(self) -> list[str]:
        """The models that answered."""
        return sorted({outcome.model for outcome in self.answered.values() if outcome.model})

    @property
    def tokens(self) -> int | None:
        """The billed tokens of all queries; `None` if the API does not count them."""
        counts = [outcome.tokens for outcome in self.outcomes.values() if outcome.tokens is not None]
        return sum(counts) if counts else None

    @property
    def times(self) -> list[float]:
        """The seconds of the answered queries that count; of all of them if none does."""
        timed = [outcome.elapsed for outcome in self.answered.values() if outcome.timed]
        return timed or [outcome.elapsed for outcome in self.answered.values()]

    @property
    def rankings(self) -> dict[str, Sequence[str]]:
        """The ids of the documents by query id, best first, of the queries that did not fail."""
        return {query: outcome.ranking for query, outcome in self.answered.items()}

    def trec_run(self) -> Iterator[str]:
        """Yield the lines of a TREC run file, which every tool orders as it was judged here.

        Tools sort by score, and equal scores each in its own way, so an equal score is written as the next smaller
        number of 32 bits, which is what trec_eval reads. Spaces in ids are written as `%20`.
        """
        for query, outcome in self.answered.items():
            yield from _write_lines(query, outcome.ranking, outcome.scores, self.name)


def write_candidates(dataset: Dataset) -> Iterator[str]:
    """Yield the lines of a TREC run file with the candidates of the first stage.

    Args:
        dataset: The dataset.
    """
    for query in dataset.queries:
        ranking = dataset.candidates[query]
        yield from _write_lines(query, ranking, range(len(ranking), 0, -1), dataset.first_stage)


def write_judgements(dataset: Dataset) -> Iterator[str]:
    """Yield the lines of a TREC qrels file with the judgements, and ids as in the runs.

    Args:
        dataset: The dataset.
    """
    for query in dataset.queries:
        for document, grade in dataset.judgements[query].items():
            yield f"{_escape(query)} 0 {_escape(document)} {grade}\n"


def rerank_to_depth(evaluation: Evaluation, depth: int) -> Evaluation:
    """Return what a reranker with independent scores answers for fewer candidates; the others follow in their order.

    Args:
        evaluation: An evaluation of a reranker that scores each document by itself.
        depth: How many candidates are reranked.

    Returns:
        The evaluation. Its tokens are the share of the characters that are sent, an estimate.
    """
    dataset = evaluation.dataset.cut(depth)
    outcomes: dict[str, Outcome] = {}
    for query, outcome in evaluation.outcomes.items():
        kept = set(dataset.candidates[query])
        pairs = [pair for pair in zip(outcome.ranking, outcome.scores, strict=True) if pair[0] in kept]
        share = _count_chars(dataset, query) / (_count_chars(evaluation.dataset, query) or 1)
        tokens = None if outcome.tokens is None else round(outcome.tokens * share)
        outcomes[query] = replace(
            outcome, ranking=tuple(d for d, _ in pairs), scores=tuple(s for _, s in pairs), tokens=tokens
        )
    return append_rest(replace(evaluation, dataset=dataset, outcomes=outcomes), evaluation.dataset)


def append_rest(evaluation: Evaluation, whole: Dataset) -> Evaluation:
    """Return an evaluation of a cut dataset in which the candidates that were not reranked follow, in their order.

    Args:
        evaluation: The evaluation.
        whole: The dataset with all candidates.
    """
    outcomes = dict(evaluation.outcomes)
    for query, outcome in evaluation.answered.items():
        rest = tuple(whole.candidates[query][len(evaluation.dataset.candidates[query]) :])
        scores = (*outcome.scores, *(None for _ in rest))
        outcomes[query] = replace(outcome, ranking=outcome.ranking + rest, scores=scores)
    return replace(evaluation, outcomes=outcomes)


def _count_chars(dataset: Dataset, query: str) -> int:
    """Return how many characters a rerank reads: the query goes with each document."""
    documents = dataset.candidates[query]
    return len(documents) * len(dataset.queries[query]) + sum(len(dataset.documents[name]) for name in documents)


def _write_lines(query: str, ranking: Sequence[str], scores: Sequence[float | None], name: str) -> Iterator[str]:
    last = np.float32(np.inf)
    for place, document, score in zip(itertools.count(1), ranking, scores):
        shown = np.float32(last if score is None else score)
        if np.isinf(last) and score is None:
            shown = np.float32(0)
        if not shown < last:
            shown = np.nextafter(last, np.float32(-np.inf))
        yield f"{_escape(query)} Q0 {_escape(document)} {place} {shown!s} {_escape(name)}\n"
        last = shown


def _escape(name: str) -> str:
    """Return an id without spaces, which separate the columns of TREC's files."""
    return re.sub(r"\s", lambda found: f"%{ord(found[0]):02X}", name) or "%"
