"""Questions with judged documents, and what a first stage found for them: what an evaluation needs to read.

Three layouts are read: BEIR's folder (`corpus.jsonl`, `queries.jsonl`, `qrels/<split>.tsv`), TREC's run and qrels files
(https://trec.nist.gov/data.html), and the Python FAQ that the package brings.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hosted_rerank._validation import check_count
from hosted_rerank.evaluation.bm25 import Bm25
from hosted_rerank.local.faq import load_faq

DEFAULT_CANDIDATES = 100
"""Documents that a first stage hands on, where the caller says nothing."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a reranker is judged by. Ids are strings, as in TREC."""

    name: str
    queries: Mapping[str, str]
    """Texts of the questions by id; each has a judgement."""
    documents: Mapping[str, str]
    """Texts of the documents by id."""
    judgements: Mapping[str, Mapping[str, int]]
    """Relevance by query and document; 0 and what is not there count as irrelevant."""
    candidates: Mapping[str, Sequence[str]]
    """What the first stage found for each query, best first."""


def load_faq_dataset(candidates: int = DEFAULT_CANDIDATES) -> Dataset:
    """Return the Python FAQ: 172 questions, each with the one answer that was written for it, found by BM25."""
    faq = load_faq()
    documents = dict(zip(faq.ids, faq.answers, strict=True))
    queries = dict(zip(faq.ids, faq.questions, strict=True))
    return Dataset(
        "python-faq",
        queries,
        documents,
        {name: {name: 1} for name in faq.ids},
        _search_bm25(queries, documents, candidates),
    )


def load_dataset(
    folder: Path | str,
    *,
    split: str = "test",
    qrels: Path | str | None = None,
    run: Path | str | None = None,
    candidates: int = DEFAULT_CANDIDATES,
) -> Dataset:
    """Return a dataset in BEIR's layout (https://github.com/beir-cellar/beir).

    Args:
        folder: With `corpus.jsonl` (`_id`, `title`, `text`) and `queries.jsonl` (`_id`, `text`).
        split: The judgements are `qrels/<split>.tsv`.
        qrels: A file of judgements instead, BEIR's or TREC's.
        run: A TREC run file, whose ranking is the first stage; `None` for BM25 over the corpus.
        candidates: Documents for each query at most.

    Raises:
        ValueError: A file does not say what it should; the message names the file and the line.
        OSError: A file cannot be read.
    """
    check_count("candidates", candidates, least=1)
    folder = Path(folder)
    documents = {name: _join_title_and_text(row) for name, row in _read_jsonl(folder / "corpus.jsonl")}
    judgements = _read_judgements(Path(qrels) if qrels else folder / "qrels" / f"{split}.tsv")
    texts = {name: str(row.get("text", "")) for name, row in _read_jsonl(folder / "queries.jsonl")}
    queries = {name: text for name, text in texts.items() if name in judgements and text.strip()}
    if not queries:
        raise ValueError(f"none of the {len(texts)} queries of {folder} has a judgement")
    found = _search_bm25(queries, documents, candidates) if run is None else _read_run(Path(run), documents, candidates)
    return Dataset(folder.resolve().name, queries, documents, judgements, {q: found.get(q, ()) for q in queries})


def _search_bm25(queries: Mapping[str, str], documents: Mapping[str, str], count: int) -> dict[str, Sequence[str]]:
    index = Bm25(documents)
    return {name: [found for found, _ in index.search(text, count)] for name, text in queries.items()}


def _join_title_and_text(row: Mapping[str, Any]) -> str:
    """The text of a document as BEIR gives it to a model: its title, then its text."""
    return f"{row.get('title') or ''} {row.get('text') or ''}".strip()


def _read_jsonl(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for place, line in _read_lines(path):
        try:
            row = json.loads(line)
            name = row["_id"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path}, line {place}: not a JSON object with an _id") from None
        yield str(name), row


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8") as file:
        for place, line in enumerate(file, 1):
            if line.strip():
                yield place, line


def _read_judgements(path: Path) -> dict[str, dict[str, int]]:
    """Judgements as BEIR writes them (query, document, score; with a heading) or TREC (query, 0, document, score)."""
    judgements: dict[str, dict[str, int]] = {}
    for place, line in _read_lines(path):
        words = line.split()
        if place == 1 and words[-1:] == ["score"]:
            continue
        try:
            query, *_, document, score = words[:1] + words[-2:] if len(words) in (3, 4) else words[:0]
            grade = int(score)
        except ValueError:
            raise ValueError(f"{path}, line {place}: not a judgement (query, document, whole number)") from None
        judgements.setdefault(query, {})[document] = grade
    return judgements


def _read_run(path: Path, documents: Mapping[str, str], count: int) -> dict[str, Sequence[str]]:
    """The best documents of a TREC run: by score, as trec_eval reads it, whatever the ranks say."""
    scores: dict[str, dict[str, float]] = {}
    for place, line in _read_lines(path):
        try:
            query, _, document, _, score, *_ = line.split()
            value = float(score)
        except ValueError:
            raise ValueError(
                f"{path}, line {place}: not a line of a TREC run (query Q0 document rank score tag)"
            ) from None
        if document not in documents:
            raise ValueError(f"{path}, line {place}: document {document!r} is not in the corpus")
        scores.setdefault(query, {})[document] = value
    return {query: sorted(found, key=found.__getitem__, reverse=True)[:count] for query, found in scores.items()}
