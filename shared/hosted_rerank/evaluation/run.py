"""Asking a reranker all questions of a dataset, and keeping what came, so that nothing is asked twice."""

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from hosted_rerank._validation import check_count
from hosted_rerank.errors import PASSABLE, NotFoundError, PaymentRequiredError
from hosted_rerank.evaluation.dataset import Dataset
from hosted_rerank.reranker import Reranker

DEFAULT_CONCURRENCY = 8
"""Questions under way at once, where the caller says nothing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one query."""

    query: str
    """Its id."""
    ranking: tuple[str, ...] = ()
    """Ids of all candidates, best first; none where the rerank failed."""
    scores: tuple[float | None, ...] = ()
    """One for each of the ranking; `None` for a document without text."""
    elapsed: float = 0.0
    """Seconds of the rerank, waits for the API's limit included."""
    requests: int = 0
    """HTTP requests made, retries included."""
    tokens: int | None = None
    """As the API counts them; `None` where it does not."""
    model: str = ""
    """Who answered."""
    error: str | None = None
    """What failed; a class of `hosted_rerank.errors`."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a reranker made of a dataset."""

    name: str
    dataset: Dataset
    outcomes: Mapping[str, Outcome]
    """By query, in the order of the dataset."""

    @property
    def rankings(self) -> dict[str, Sequence[str]]:
        """Ids of the documents by query, best first."""
        return {query: outcome.ranking for query, outcome in self.outcomes.items()}

    def trec_run(self) -> Iterator[str]:
        """Return the lines of a TREC run file. Where scores tie or lack, trec_eval's own order could be another one."""
        for query, outcome in self.outcomes.items():
            for place, (document, score) in enumerate(zip(outcome.ranking, outcome.scores, strict=True), 1):
                shown = float("-inf") if score is None else score
                yield f"{query} Q0 {document} {place} {shown!r} {self.name.replace(' ', '-')}\n"


def evaluate(
    reranker: Reranker,
    dataset: Dataset,
    *,
    name: str | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
    checkpoint: Path | str | None = None,
    on_progress: Callable[[Outcome], None] | None = None,
) -> Evaluation:
    """Rerank the candidates of every query.

    Args:
        reranker: Who is asked.
        dataset: What is asked.
        name: What the evaluation is called; `None` for the provider and model.
        concurrency: Queries under way at once. What comes out does not depend on it.
        checkpoint: A file of outcomes: what is in it is not asked again, what is new is added to it at once, so that an
            interrupted evaluation goes on where it was. Failed queries are asked again.
        on_progress: Called with each outcome, those of the file included.

    Raises:
        RerankError: A request is wrong, or a key; an outage of the API only fails its query.
        ValueError: The file is another evaluation's.
    """
    return asyncio.run(
        aevaluate(reranker, dataset, name=name, concurrency=concurrency, checkpoint=checkpoint, on_progress=on_progress)
    )


async def aevaluate(
    reranker: Reranker,
    dataset: Dataset,
    *,
    name: str | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
    checkpoint: Path | str | None = None,
    on_progress: Callable[[Outcome], None] | None = None,
) -> Evaluation:
    """Rerank the candidates of every query as `evaluate` does, awaiting: in a notebook, say."""
    check_count("concurrency", concurrency, least=1)
    with nullcontext() if checkpoint is None else _Checkpoint(Path(checkpoint), reranker, dataset) as file:
        outcomes = {} if file is None else file.outcomes
        report = _ignore if on_progress is None else on_progress
        for outcome in outcomes.values():
            report(outcome)
        waiting = iter([query for query in dataset.queries if query not in outcomes])

        async def work() -> None:
            for query in waiting:
                outcomes[query] = outcome = await _rerank_query(reranker, dataset, query)
                if file is not None:
                    file.add(outcome)
                report(outcome)

        await _run_all([work() for _ in range(concurrency)])
    if name is None:
        name = " ".join(filter(None, (reranker.provider.name, reranker.model)))
    return Evaluation(name, dataset, {query: outcomes[query] for query in dataset.queries})


def _ignore(_: Outcome) -> None:
    """Nobody wants to know how far it is."""


async def _run_all(tasks: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run tasks to their end; the first failure ends all of them."""
    try:
        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(task)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def _rerank_query(reranker: Reranker, dataset: Dataset, query: str) -> Outcome:
    candidates, started = dataset.candidates[query], time.monotonic()
    try:
        response = await reranker.arerank(dataset.queries[query], [dataset.documents[name] for name in candidates])
    except PASSABLE as error:
        if isinstance(error, (NotFoundError, PaymentRequiredError)):  # the others would fare no better
            raise
        elapsed = time.monotonic() - started
        return Outcome(query, elapsed=elapsed, requests=error.attempts, error=type(error).__name__)
    return Outcome(
        query,
        tuple(candidates[result.index] for result in response.results),
        tuple(result.relevance_score for result in response.results),
        response.elapsed,
        response.attempts,
        response.usage.tokens,
        response.model,
    )


class _Checkpoint:
    """The outcomes of an evaluation in a file: a line that says whose they are, then one for each."""

    def __init__(self, path: Path, reranker: Reranker, dataset: Dataset) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._path = path
        content = json.dumps([dataset.queries, dataset.documents, dataset.candidates]).encode()
        self._header = {
            "provider": reranker.provider.name,
            "model": reranker.model,
            "dataset": dataset.name,
            "content": hashlib.sha256(content).hexdigest()[:16],
        }
        self._file: TextIO

    def __enter__(self) -> "_Checkpoint":
        lines = self._path.read_bytes().splitlines(keepends=True) if self._path.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]  # the last one may have been cut off
        if whole and json.loads(whole[0]) != self._header:
            raise ValueError(f"{self._path} is of another provider, model or dataset: name another file, or remove it")
        for line in whole[1:]:
            fields: dict[str, Any] = json.loads(line)
            fields |= {name: tuple(fields[name]) for name in ("ranking", "scores")}
            outcome = Outcome(**fields)
            if outcome.error is None:
                self.outcomes[outcome.query] = outcome
        self._file = self._path.open("a", encoding="utf-8")
        if len(whole) < len(lines):
            os.truncate(self._path, sum(map(len, whole)))
        if not whole:
            self._write(self._header)
        return self

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome."""
        self._write(asdict(outcome))

    def _write(self, row: Mapping[str, object]) -> None:
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def __exit__(self, *_: object) -> None:
        self._file.close()
