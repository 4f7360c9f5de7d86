"""Datasets for an evaluation: queries, documents, judgements, and the candidates of a first stage.

Three sources are supported: a folder in BEIR's layout (`corpus.jsonl`, `queries.jsonl`, `qrels/<split>.tsv`), TREC run
and qrels files (https://trec.nist.gov/data.html), and the Python FAQ that is part of this package.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hosted_rerank._text import is_blank
from hosted_rerank._validation import check_count
from hosted_rerank.evaluation.bm25 import Bm25
from hosted_rerank.local.faq import load_faq

DEFAULT_CANDIDATES = 100
"""The default number of candidates of each query."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Queries with judged documents and first-stage candidates. Ids are strings, as in TREC.

    Args:
        name: The name of the dataset.
        queries: The texts of the queries by id. Each query has a judgement.
        documents: The texts of the documents by id.
        judgements: The relevance grades by query id and document id. 0 and missing documents count as irrelevant.
        candidates: The ids of the documents that the first stage found for each query, best first.
    """

    name: str
    queries: Mapping[str, str]
    documents: Mapping[str, str]
    judgements: Mapping[str, Mapping[str, int]]
    candidates: Mapping[str, Sequence[str]]


def load_faq_dataset(candidates: int = DEFAULT_CANDIDATES, *, joined: int = 1) -> Dataset:
    """Return the Python FAQ as a dataset: 172 questions, each with one relevant answer. BM25 is the first stage.

    Args:
        candidates: The maximum number of candidates of each query.
        joined: How many answers that follow each other in the FAQ are one document, to evaluate long documents.

    Returns:
        The dataset.

    Raises:
        ValueError: A number is less than 1.
    """
    check_count("joined", joined, least=1)
    faq = load_faq()
    place = {name: faq.ids[number - number % joined] for number, name in enumerate(faq.ids)}
    parts: dict[str, list[str]] = {}
    for name, answer in zip(faq.ids, faq.answers, strict=True):
        parts.setdefault(place[name], []).append(answer)
    documents = {name: "\n\n".join(answers) for name, answers in parts.items()}
    queries = dict(zip(faq.ids, faq.questions, strict=True))
    return Dataset(
        "python-faq" if joined == 1 else f"python-faq-joined-{joined}",
        queries,
        documents,
        {name: {place[name]: 1} for name in faq.ids},
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
        folder: A folder with `corpus.jsonl` (`_id`, `title`, `text`) and `queries.jsonl` (`_id`, `text`).
        split: The name of the split. Its judgements are in `qrels/<split>.tsv`.
        qrels: A file of judgements to use instead, in BEIR's or TREC's format.
        run: A TREC run file to use as the first stage; `None` for BM25 over the corpus.
        candidates: The maximum number of candidates of each query.

    Returns:
        The queries that have a judgement and a text, with the whole corpus.

    Raises:
        ValueError: A file has another format, or `candidates` is less than 1. The message names the file and the line.
        OSError: A file cannot be read.
    """
    check_count("candidates", candidates, least=1)
    folder = Path(folder)
    documents = {name: _join_title_and_text(row) for name, row in _read_jsonl(folder / "corpus.jsonl")}
    judgements = _read_judgements(Path(qrels) if qrels else folder / "qrels" / f"{split}.tsv")
    texts = {name: str(row.get("text", "")) for name, row in _read_jsonl(folder / "queries.jsonl")}
    queries = {name: text for name, text in texts.items() if name in judgements and not is_blank(text)}
    if not queries:
        raise ValueError(
            f"none of the {len(texts)} queries of {folder} has a judgement: pass the split or qrels of these queries"
        )
    found = _search_bm25(queries, documents, candidates) if run is None else _read_run(Path(run), documents, candidates)
    return Dataset(folder.resolve().name, queries, documents, judgements, {q: found.get(q, ()) for q in queries})


def _search_bm25(queries: Mapping[str, str], documents: Mapping[str, str], count: int) -> dict[str, Sequence[str]]:
    index = Bm25(documents)
    return {name: [found for found, _ in index.search(text, count)] for name, text in queries.items()}


def _join_title_and_text(row: Mapping[str, Any]) -> str:
    """Return the text of a document as BEIR gives it to a model: its title, then its text."""
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
    """Read judgements in BEIR's format (header; query, document, score) or TREC's (query, 0, document, score)."""
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
    """Read the best documents of a TREC run, sorted by score and not by rank, as trec_eval does."""
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
            raise ValueError(
                f"{path}, line {place}: document {document!r} is not in the corpus: pass a run over this corpus"
            )
        scores.setdefault(query, {})[document] = value
    return {query: sorted(found, key=found.__getitem__, reverse=True)[:count] for query, found in scores.items()}
