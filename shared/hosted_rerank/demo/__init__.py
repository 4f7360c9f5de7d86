"""The demonstration: reranks answers of the Python FAQ in both frameworks and measures the improvement.

BM25 searches the FAQ. A LangChain pipeline reranks the hits through the Fireworks API, a LlamaIndex pipeline through
the Nebius API. The local server answers both. A few questions show how candidates move, and all 172 questions measure
the ranking. `search` is the first stage, `pipelines` holds the second stage, and `report` prints the results.
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
"""The number of answers that BM25 finds for each question."""
SAMPLES = (
    "programming#how-do-i-write-a-function-with-output-parameters-call-by-reference",
    "programming#what-is-a-method",
    "design#why-can-t-i-use-an-assignment-in-an-expression",  # an example that the model gets wrong
)
"""The ids of the FAQ entries whose questions are shown."""


def run(query: str | None = None, top_n: int = 5, console: Console | None = None) -> None:
    """Prints the demonstration, or only the rankings for `query`.

    Args:
        query: A question to rank answers for; `None` for the whole demonstration.
        top_n: The number of answers to show for each question.
        console: The console to print on; `None` for the standard output.

    Raises:
        ImportError: A package of the model or the server is missing. The message says how to install it.
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
