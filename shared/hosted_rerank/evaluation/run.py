"""`evaluate`: reranks the candidates of all queries of a dataset, with a checkpoint file to resume from."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from hosted_rerank._validation import check_count
from hosted_rerank.errors import AVAILABILITY_ERRORS, NotFoundError, PaymentRequiredError
from hosted_rerank.evaluation.checkpoint import Checkpoint
from hosted_rerank.evaluation.dataset import Dataset
from hosted_rerank.evaluation.outcome import Evaluation, Outcome
from hosted_rerank.evaluation.settings import describe_settings, is_listwise
from hosted_rerank.reranker import Reranker

DEFAULT_CONCURRENCY = 8
"""The default number of queries in flight."""
TIMED_LOCALLY = 5
"""How many queries of the embedded model are timed, each with an empty cache: later ones would find their vectors."""

NO_TIMEOUT = 86_400.0
"""Seconds (one day): a slow request to the embedded model is not an outage."""


def evaluate(
    reranker: Reranker,
    dataset: Dataset,
    *,
    name: str | None = None,
    top_n: int | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
    checkpoint: Path | str | None = None,
    on_progress: Callable[[Outcome], None] | None = None,
) -> Evaluation:
    """Rerank the candidates of every query. The embedded model has no timeout here.

    Args:
        reranker: The reranker.
        dataset: The dataset.
        name: The name of the evaluation; `None` for the names of the provider and model.
        top_n: The number of documents to ask for; `None` for all candidates.
        concurrency: The maximum number of queries in flight. The rankings do not depend on it.
            The embedded model takes one at a time.
        checkpoint: A file of outcomes to resume from. Each new outcome is appended at once. Queries with an outcome in
            the file are not sent again, except failed ones.
        on_progress: A function to call with each outcome, including those of the checkpoint.

    Returns:
        The outcomes of all queries of the dataset.

    Raises:
        RerankError: A request, key, model or account is wrong. An outage of the API only fails its query.
        ValueError: The checkpoint is of another dataset or other settings, or a number is less than 1.
    """
    return asyncio.run(
        aevaluate(
            reranker,
            dataset,
            name=name,
            top_n=top_n,
            concurrency=concurrency,
            checkpoint=checkpoint,
            on_progress=on_progress,
        )
    )


async def aevaluate(
    reranker: Reranker,
    dataset: Dataset,
    *,
    name: str | None = None,
    top_n: int | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
    checkpoint: Path | str | None = None,
    on_progress: Callable[[Outcome], None] | None = None,
) -> Evaluation:
    """Rerank the candidates of every query as `evaluate` does, in a running event loop, such as a notebook's.

    Args:
        reranker: The reranker.
        dataset: The dataset.
        name: The name of the evaluation; `None` for the names of the provider and model.
        top_n: The number of documents to ask for; `None` for all candidates.
        concurrency: The maximum number of queries in flight.
        checkpoint: A file of outcomes to resume from.
        on_progress: A function to call with each outcome, including those of the checkpoint.

    Returns:
        The outcomes of all queries of the dataset.

    Raises:
        RerankError: A request, key, model or account is wrong. An outage of the API only fails its query.
        ValueError: The checkpoint is of another dataset or other settings, or a number is less than 1.
    """
    check_count("concurrency", concurrency, least=1)
    if reranker.provider.name == "local":  # each query has all cores, and its time holds no wait for another one
        reranker, concurrency = reranker.with_timeout(NO_TIMEOUT), 1
    settings = describe_settings(reranker) | ({} if top_n is None else {"top_n": top_n})
    with nullcontext() if checkpoint is None else Checkpoint(Path(checkpoint), settings, dataset) as file:
        outcomes = {} if file is None else file.outcomes
        report = _ignore if on_progress is None else on_progress
        for outcome in outcomes.values():
            report(outcome)
        stopwatch = _Stopwatch(local=reranker.provider.name == "local")
        waiting = iter([query for query in dataset.queries if query not in outcomes])

        async def work() -> None:
            for query in waiting:
                timed = stopwatch.starts()
                outcome = replace(await _rerank_query(reranker, dataset, query, top_n), timed=timed)
                stopwatch.is_warm = stopwatch.is_warm or outcome.error is None
                outcomes[query] = outcome
                if file is not None:
                    file.add(outcome)
                report(outcome)

        await _run_all([work() for _ in range(concurrency)])
    if name is None:
        name = " ".join(filter(None, (reranker.provider.name, reranker.model)))
    ordered = {query: outcomes[query] for query in dataset.queries}
    return Evaluation(name, dataset, ordered, settings, is_listwise(reranker))


class _Stopwatch:
    """Decides whose time counts: nobody's before the first answer, and few of the embedded model's."""

    def __init__(self, *, local: bool) -> None:
        self.is_warm = False
        self._local, self._left = local, TIMED_LOCALLY

    def starts(self) -> bool:
        """Return whether the time of a query that starts now counts."""
        if not self._local or not self.is_warm:
            return self.is_warm
        self._left -= 1
        if self._left < 0:
            return False
        from hosted_rerank.local.model import load_model  # noqa: PLC0415 - heavy, and an extra

        load_model().clear_cache()
        return True


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


async def _rerank_query(reranker: Reranker, dataset: Dataset, query: str, top_n: int | None) -> Outcome:
    candidates, started = dataset.candidates[query], time.monotonic()
    documents = [dataset.documents[name] for name in candidates]
    try:
        response = await reranker.arerank(dataset.queries[query], documents, top_n=top_n)
    except AVAILABILITY_ERRORS as error:
        if isinstance(error, (NotFoundError, PaymentRequiredError)):  # other queries would fail as well
            raise
        elapsed = time.monotonic() - started
        return Outcome(query, elapsed=elapsed, requests=error.attempts, error=type(error).__name__, reason=str(error))
    return Outcome(
        query,
        tuple(candidates[result.index] for result in response.results),
        tuple(result.relevance_score for result in response.results),
        response.elapsed,
        response.attempts,
        response.usage.tokens,
        response.model,
    )
