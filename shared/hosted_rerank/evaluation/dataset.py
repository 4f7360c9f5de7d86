"""Datasets for an evaluation: queries, documents, judgements, and the candidates of a first stage.

They are read from a folder in BEIR's layout (`corpus.jsonl`, `queries.jsonl`, `qrels/<split>.tsv`), from TREC run and
qrels files (https://trec.nist.gov/data.html), or are the Python FAQ of this package. `ir_dataset` has another source.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hosted_rerank._text import is_blank
from hosted_rerank._validation import check_count
from hosted_rerank.evaluation.bm25 import Bm25
from hosted_rerank.evaluation.files import read_jsonl, read_judgements, read_run
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
        first_stage: The name of the first stage.
        dropped: How many rows of the files found no match, by what they are.
    """

    name: str
    queries: Mapping[str, str]
    documents: Mapping[str, str]
    judgements: Mapping[str, Mapping[str, int]]
    candidates: Mapping[str, Sequence[str]]
    first_stage: str = "BM25"
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def depth(self) -> int:
        """The largest number of candidates of a query."""
        return max(map(len, self.candidates.values()), default=0)

    def cut(self, depth: int) -> "Dataset":
        """Return the dataset with the best candidates only.

        Args:
            depth: The maximum number of candidates of each query.
        """
        return replace(self, candidates={query: found[:depth] for query, found in self.candidates.items()})


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
        _search_bm25(queries, documents, candidates, drop_identical=False),
    )


def load_dataset(
    folder: Path | str,
    *,
    split: str = "test",
    qrels: Path | str | None = None,
    run: Path | str | None = None,
    candidates: int = DEFAULT_CANDIDATES,
    ignore_identical_ids: bool = False,
) -> Dataset:
    """Return a dataset in BEIR's layout (https://github.com/beir-cellar/beir).

    Args:
        folder: A folder with `corpus.jsonl` (`_id`, `title`, `text`) and `queries.jsonl` (`_id`, `text`).
        split: The name of the split. Its judgements are in `qrels/<split>.tsv`.
        qrels: A file of judgements to use instead, in BEIR's or TREC's format.
        run: A TREC run file to use as the first stage; `None` for BM25 over the corpus.
        candidates: The maximum number of candidates of each query.
        ignore_identical_ids: Whether a document with the id of the query is no candidate, as BEIR has it for datasets
            whose queries are documents.

    Returns:
        The queries that have a judgement and a text, with the whole corpus. `dropped` counts what has no match.

    Raises:
        ValueError: A file has another format, nothing in it matches the other files, or `candidates` is less than 1.
            The message names the file.
        OSError: A file cannot be read.
    """
    folder = Path(folder)
    corpus, texts = (list(read_jsonl(folder / name)) for name in ("corpus.jsonl", "queries.jsonl"))
    return join_rows(
        folder.resolve().name,
        ((name, str(row.get("text") or "")) for name, row in texts),
        ((name, _join_title_and_text(row)) for name, row in corpus),
        read_judgements(Path(qrels) if qrels else folder / "qrels" / f"{split}.tsv"),
        None if run is None else Path(run),
        candidates,
        ignore_identical_ids,
    )


def join_rows(
    name: str,
    query_rows: Iterable[tuple[str, str]],
    document_rows: Iterable[tuple[str, str]],
    judgement_rows: Iterable[tuple[str, str, int]],
    run: Path | None,
    count: int,
    ignore_identical_ids: bool,  # noqa: FBT001 - all have a place
) -> Dataset:
    """Return a dataset of the rows that match each other, with the counts of the others.

    Args:
        name: The name of the dataset.
        query_rows: The ids and texts of the queries.
        document_rows: The ids and texts of the documents.
        judgement_rows: The query ids, document ids and relevance grades; the last one of a pair counts.
        run: A TREC run file to use as the first stage; `None` for BM25.
        count: The maximum number of candidates of each query.
        ignore_identical_ids: Whether a document with the id of the query is no candidate.

    Raises:
        ValueError: Nothing matches, or the number is less than 1.
        OSError: The run cannot be read.
    """
    check_count("candidates", count, least=1)
    query_rows, document_rows, judgement_rows = list(query_rows), list(document_rows), list(judgement_rows)
    texts, documents = dict(query_rows), dict(document_rows)
    judgements: dict[str, dict[str, int]] = {}
    for query, document, grade in judgement_rows:
        judgements.setdefault(query, {})[document] = grade
    queries = {query: text for query, text in texts.items() if query in judgements and not is_blank(text)}
    if not queries:
        raise ValueError(
            f"none of the {len(texts)} queries of {name} has a judgement: pass the split or qrels of these queries"
        )
    judged = [document for query in queries for document in judgements[query]]
    unknown = sum(document not in documents for document in judged)
    if unknown == len(judged):
        raise ValueError(f"none of the {len(judged)} judged documents is in the corpus of {name}: pass its own qrels")
    dropped = {
        "queries without a judgement": sum(query not in judgements for query in texts),
        "queries without a text": sum(is_blank(text) for query, text in texts.items() if query in judgements),
        "judged queries that are not in the queries": sum(query not in texts for query in judgements),
        "judgements of documents that are not in the corpus, which count as not found": unknown,
        "queries with the id of a later one": len(query_rows) - len(texts),
        "documents with the id of a later one": len(document_rows) - len(documents),
        "judgements with a later one for their query and document": len(judgement_rows)
        - sum(map(len, judgements.values())),
    }
    if run is None:
        found = _search_bm25(queries, documents, count, drop_identical=ignore_identical_ids)
    else:
        found, more = _match_run(run, queries, documents, count, drop_identical=ignore_identical_ids)
        dropped |= more
    dropped["queries without a candidate"] = sum(not each for each in found.values())
    first_stage = "BM25" if run is None else run.name
    shown = {what: number for what, number in dropped.items() if number}
    return Dataset(name, queries, documents, {q: judgements[q] for q in queries}, found, first_stage, shown)


def _search_bm25(
    queries: Mapping[str, str], documents: Mapping[str, str], count: int, *, drop_identical: bool
) -> dict[str, Sequence[str]]:
    index = Bm25(documents)
    more = count + drop_identical
    found = {query: [document for document, _ in index.search(text, more)] for query, text in queries.items()}
    return {query: _select(query, each, count, drop_identical=drop_identical) for query, each in found.items()}


def _select(query: str, found: Sequence[str], count: int, *, drop_identical: bool) -> list[str]:
    """Return the candidates of a query from what the first stage found."""
    return [document for document in found if not drop_identical or document != query][:count]


def _match_run(
    run: Path, queries: Mapping[str, str], documents: Mapping[str, str], count: int, *, drop_identical: bool
) -> tuple[dict[str, Sequence[str]], dict[str, int]]:
    """Return the candidates of a run, and the counts of what matches no query or document."""
    rows, repeated = read_run(run)
    known = {query: [found for found in rows.get(query, ()) if found in documents] for query in queries}
    if not any(known.values()):
        raise ValueError(
            f"{run}: none of its {len(rows)} queries and their documents is in the dataset: pass a run over this corpus"
        )
    dropped = {
        "lines of the run with a later one for their query and document": repeated,
        "queries of the run that are not evaluated": sum(query not in queries for query in rows),
        "documents of the run that are not in the corpus": sum(
            len(rows[query]) - len(found) for query, found in known.items() if query in rows
        ),
    }
    return {q: _select(q, found, count, drop_identical=drop_identical) for q, found in known.items()}, dropped


def _join_title_and_text(row: Mapping[str, Any]) -> str:
    """Return the text of a document as BEIR gives it to a model: its title, then its text."""
    return f"{row.get('title') or ''} {row.get('text') or ''}".strip()
