"""The demonstration: what reranking is worth on a real text, in both frameworks, through both APIs.

The Python FAQ is searched with BM25. A LangChain pipeline reranks what was found through the Fireworks API, a
LlamaIndex pipeline through the Nebius API; both are answered by the local server. A few questions show how candidates
move, and all 172 how much better the ranking is. `search` is the first stage, `pipelines` the second, `report` what is
printed.
"""

import itertools
import time
from collections.abc import Sequence

try:
    from rich.console import Console

    from hosted_rerank.demo.pipelines import Pipeline, build_langchain, build_llamaindex
    from hosted_rerank.demo.report import measure, show_measures, show_question, track
    from hosted_rerank.demo.search import FaqSearch
except ImportError as missing:
    raise ImportError(
        f"the demonstration needs {missing.name}: pip install 'hosted-rerank[demo]'", name=missing.name
    ) from missing

from hosted_rerank.local import MODEL
from hosted_rerank.local.faq import Faq, load_faq
from hosted_rerank.local.server import running

CANDIDATES = 50
"""Answers that BM25 hands on."""
SAMPLES = (
    "programming#how-do-i-write-a-function-with-output-parameters-call-by-reference",
    "programming#what-is-a-method",
    "design#why-can-t-i-use-an-assignment-in-an-expression",  # the model is not always right
)
"""Entries of the FAQ whose questions are shown."""


def run(query: str | None = None, top_n: int = 5, console: Console | None = None) -> None:
    """Prints the demonstration, or only what becomes of `query`.

    Raises `ImportError`, which says what to install, if the model or the server lacks a package.
    """
    console, faq = console or Console(), load_faq()
    search = FaqSearch(faq, CANDIDATES)
    with running() as url:
        console.print(f"BM25 finds {CANDIDATES} of the FAQ's {len(faq.ids)} answers, {MODEL} reranks them.", "")
        pipelines = [build_langchain(search, url), build_llamaindex(search, url)]
        if query is not None:
            for pipeline in pipelines:
                _show(console, pipeline, search, query, top_n)
            return
        for expected, pipeline in zip(SAMPLES, itertools.cycle(pipelines), strict=False):
            _show(console, pipeline, search, faq.questions[faq.ids.index(expected)], top_n, expected)
        _compare(console, pipelines, search, faq)


def _show(
    console: Console, pipeline: Pipeline, search: FaqSearch, question: str, top_n: int, expected: str | None = None
) -> None:
    before, after = search.find(question), pipeline.ask(question, CANDIDATES)
    show_question(console, f"{question}\n{pipeline.name}", before, after, top_n, expected)


def _compare(console: Console, pipelines: Sequence[Pipeline], search: FaqSearch, faq: Faq) -> None:
    """Measures the first stage and each pipeline on every question."""
    started = time.monotonic()
    measured = {"BM25 alone": measure(faq, [search.find(question) for question in faq.questions])}
    for pipeline in pipelines:
        questions = track(console, faq.questions, pipeline.name)
        measured[pipeline.name] = measure(faq, [pipeline.ask(question, 10) for question in questions])
    show_measures(console, measured)
    count = len(pipelines) * len(faq.questions)
    console.print(f"{count} reranks of {CANDIDATES} answers, on this machine, in {time.monotonic() - started:.0f} s.")
