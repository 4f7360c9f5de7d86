"""Reads the form of the page, sends its request to the chosen providers at once, and keeps each ranking or error."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hosted_rerank._text import is_blank
from hosted_rerank.errors import RerankError
from hosted_rerank.local.faq import load_faq
from hosted_rerank.playground.examples import examples
from hosted_rerank.providers import PROVIDERS, Provider, providers_with_key
from hosted_rerank.reranker import Reranker
from hosted_rerank.response import RerankResponse, RerankResult

CANDIDATES = 20
"""The answers of the FAQ that are ranked."""
MAX_SHOWN = 10
"""The most results of a column."""
DEADLINE = 20.0
"""Seconds after which a provider's column has an error, so that the others are shown."""
SCALES = {"unit": "0 to 1", "logit": "any number, higher is better", "unknown": "the model's own"}
"""What a page calls the scale of scores."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a person fills in."""

    query: str = "How do I make an executable from a Python script?"
    documents: str = ""
    """The pasted documents, one a line."""
    use_faq: bool = True
    """Whether answers of the Python FAQ are ranked, in place of pasted documents."""
    providers: Sequence[str] = ("local",)
    """The names of the chosen providers."""
    models: Mapping[str, str] = field(default_factory=dict[str, str])
    """The model of each provider by the provider's name, where a person names one."""

    def texts(self) -> list[str]:
        """Returns the documents to rank."""
        if self.use_faq:
            return find_candidates(self.query)
        return [line for line in self.documents.splitlines() if not is_blank(line)]

    def problem(self) -> str:
        """Returns what is wrong with the form; empty if it can be sent."""
        if is_blank(self.query):
            return "Write a query."
        if not self.texts():
            return "Paste at least one document, or choose the FAQ."
        return "" if self.providers else "Choose at least one provider."


def find_candidates(query: str) -> list[str]:
    """Returns the answers of the Python FAQ that share the most words with a query, as a simple first stage."""
    wanted = _words(query)
    answers = sorted(load_faq().answers, key=lambda answer: -len(wanted & _words(answer)))
    return answers[:CANDIDATES]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


@dataclass(frozen=True, slots=True)
class Column:
    """The ranking of one provider, or its error, and the code that does the same."""

    provider: str
    code: Mapping[str, str]
    texts: Sequence[str] = field(repr=False)
    response: RerankResponse | None = None
    error: str = ""

    @property
    def scale(self) -> str:
        """The scale of the scores."""
        return SCALES[self.response.score_kind] if self.response is not None else ""

    @property
    def shown(self) -> Sequence[RerankResult]:
        """The best results."""
        return self.response.results[:MAX_SHOWN] if self.response is not None else ()


def available_providers() -> list[Provider]:
    """Returns the embedded model, and the providers that have a key in the environment."""
    return [PROVIDERS["local"], *providers_with_key()]


async def run(form: Form) -> list[Column]:
    """Returns a column for each chosen provider, asking all of them at once."""
    texts = form.texts()
    return await asyncio.gather(*(_ask(PROVIDERS[name], form, texts) for name in form.providers))


async def _ask(provider: Provider, form: Form, texts: Sequence[str]) -> Column:
    model = form.models.get(provider.name) or None
    code = examples(provider, model, form.query)
    try:
        reranker = Reranker(provider, model, deadline=DEADLINE)
        return Column(provider.name, code, texts, await reranker.arerank(form.query, texts))
    except (RerankError, ValueError, TypeError, ImportError) as error:
        return Column(provider.name, code, texts, error=str(error))
