"""`evaluate`: reranks the candidates of all queries of a dataset, with a checkpoint file to resume from."""

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
from hosted_rerank.errors import AVAILABILITY_ERRORS, NotFoundError, PaymentRequiredError
from hosted_rerank.evaluation.dataset import Dataset
from hosted_rerank.reranker import Reranker

DEFAULT_CONCURRENCY = 8
"""The default number of queries in flight."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one query.

    Args:
        query: The id of the query.
        ranking: The ids of all candidates, best first; empty if the rerank failed.
        scores: One score for each document of `ranking`; `None` for a document without text.
        elapsed: The seconds of the rerank, including waits for the API's limit.
        requests: The number of HTTP requests, retries included.
        tokens: The number of billed tokens; `None` if the API does not count them.
        model: The model that answered.
        error: The name of the class in `hosted_rerank.errors` of the error that failed the query, or `None`.
    """

    query: str
    ranking: tuple[str, ...] = ()
    scores: tuple[float | None, ...] = ()
    elapsed: float = 0.0
    requests: int = 0
    tokens: int | None = None
    model: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The outcomes of one reranker on a dataset.

    Args:
        name: The name of the evaluation.
        dataset: The dataset.
        outcomes: The outcomes by query id, in the order of the dataset.
    """

    name: str
    dataset: Dataset
    outcomes: Mapping[str, Outcome]

    @property
    def rankings(self) -> dict[str, Sequence[str]]:
        """The ids of the documents by query id, best first."""
        return {query: outcome.ranking for query, outcome in self.outcomes.items()}

    def trec_run(self) -> Iterator[str]:
        """Yield the lines of a TREC run file. trec_eval may order equal or missing scores in another way."""
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
        reranker: The reranker.
        dataset: The dataset.
        name: The name of the evaluation; `None` for the names of the provider and model.
        concurrency: The maximum number of queries in flight. The rankings do not depend on it.
        checkpoint: A file of outcomes to resume from. Each new outcome is appended at once. Queries with an outcome in
            the file are not sent again, except failed ones.
        on_progress: A function to call with each outcome, including those of the checkpoint.

    Returns:
        The outcomes of all queries of the dataset.

    Raises:
        RerankError: A request, key, model or account is wrong. An outage of the API only fails its query.
        ValueError: The checkpoint belongs to another provider, model or dataset, or `concurrency` is less than 1.
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
    """Rerank the candidates of every query as `evaluate` does, in a running event loop, such as a notebook's.

    Args:
        reranker: The reranker.
        dataset: The dataset.
        name: The name of the evaluation; `None` for the names of the provider and model.
        concurrency: The maximum number of queries in flight.
        checkpoint: A file of outcomes to resume from.
        on_progress: A function to call with each outcome, including those of the checkpoint.

    Returns:
        The outcomes of all queries of the dataset.

    Raises:
        RerankError: A request, key, model or account is wrong. An outage of the API only fails its query.
        ValueError: The checkpoint belongs to another provider, model or dataset, or `concurrency` is less than 1.
    """
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
    """Ignore an outcome."""


async def _run_all(tasks: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run tasks until all end, or until the first failure cancels the others."""
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
    except AVAILABILITY_ERRORS as error:
        if isinstance(error, (NotFoundError, PaymentRequiredError)):  # other queries would fail as well
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
    """A file of outcomes: a header line that identifies the evaluation, then one line for each outcome."""

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
        whole = [line for line in lines if line.endswith(b"\n")]  # a kill may have cut off the last line
        if whole and json.loads(whole[0]) != self._header:
            raise ValueError(
                f"checkpoint {self._path} is of another provider, model or dataset: pass another file, or remove it"
            )
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
        """Append an outcome."""
        self._write(asdict(outcome))

    def _write(self, row: Mapping[str, object]) -> None:
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def __exit__(self, *_: object) -> None:
        self._file.close()
