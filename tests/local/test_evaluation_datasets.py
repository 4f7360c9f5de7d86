"""Datasets of an evaluation: what is read, and what has no match is counted."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.local.evaluation_data import DOCUMENTS, QUERIES

evaluation = pytest.importorskip("hosted_rerank.evaluation", exc_type=ImportError)


def test_beir_folder(data: Any) -> None:
    """Queries without a judgement are left out and counted; BM25 finds the candidates."""
    assert data.queries == {name: QUERIES[name] for name in ("q1", "q2")}
    assert data.documents == DOCUMENTS
    assert data.judgements == {"q1": {"d1": 2, "d2": 1}, "q2": {"d3": 1}}
    assert data.candidates["q1"][0] == "d1"
    assert data.candidates["q2"][0] == "d3"
    assert data.dropped == {"queries without a judgement": 1}


def test_trec_files(folder: Path) -> None:
    """A TREC run is the first stage, by its scores whatever its ranks; TREC's qrels are read as BEIR's are."""
    (folder / "first.run").write_text("q1 Q0 d4 1 1.5 bm25\nq1 Q0 d2 2 3.5 bm25\nq1 Q0 d1 3 2.5 bm25\n")
    (folder / "trec.qrels").write_text("q1 0 d1 1\nq2 0 d3 0\n")
    found = evaluation.load_dataset(folder, run=folder / "first.run", qrels=folder / "trec.qrels", candidates=2)
    assert found.candidates == {"q1": ["d2", "d1"], "q2": []}
    assert found.judgements == {"q1": {"d1": 1}, "q2": {"d3": 0}}
    assert found.first_stage == "first.run"
    assert found.dropped["queries without a candidate"] == 1


def test_equal_scores_of_a_run_are_ordered_as_trec_eval_does(folder: Path) -> None:
    """Equal scores of a run go by descending id, which is what other tools judge."""
    (folder / "first.run").write_text("q1 Q0 d1 1 1 x\nq1 Q0 d3 2 1 x\nq1 Q0 d2 3 2 x\n")
    assert evaluation.load_dataset(folder, run=folder / "first.run").candidates["q1"] == ["d2", "d3", "d1"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("test.tsv", "query-id\tcorpus-id\tscore\nthe q\tthe d\t1\n"),
        ("test.tsv", "\ufeffquery-id\tcorpus-id\tscore\r\nthe q\tthe d\t1.0\r\n"),
        ("test.tsv", "the q\t0\tthe d\t1\n"),
        ("test.csv", 'query-id,corpus-id,relevance\n"the q",the d,1\n'),
    ],
)
def test_ids_with_spaces(tmp_path: Path, name: str, content: str) -> None:
    """Tabs and commas separate ids with spaces; headings, a byte order mark and grades such as 1.0 are read."""
    (tmp_path / "corpus.jsonl").write_text(json.dumps({"_id": "the d", "text": "A heron."}), encoding="utf-8-sig")
    (tmp_path / "queries.jsonl").write_text(json.dumps({"_id": "the q", "text": "Who fishes?"}), encoding="utf-8-sig")
    (tmp_path / name).write_text(content, encoding="utf-8")
    found = evaluation.load_dataset(tmp_path, qrels=tmp_path / name)
    assert (found.judgements, found.candidates) == ({"the q": {"the d": 1}}, {"the q": ["the d"]})
    assert not found.dropped


def test_what_has_no_match_is_counted(folder: Path) -> None:
    """Each kind of row without a match is counted, in the files of the dataset and in the run."""
    with (folder / "qrels" / "test.tsv").open("a") as file:
        file.write("q1\tgone\t1\nq7\td1\t1\nblank\td1\t1\nq2\td3\t2\n")
    with (folder / "queries.jsonl").open("a") as file:
        file.write('\n{"_id": "blank", "text": " "}\n{"_id": "q1", "text": "Which bird fishes?"}')
    with (folder / "corpus.jsonl").open("a") as file:
        file.write('\n{"_id": "d1", "text": "The heron fishes."}')
    (folder / "first.run").write_text("q1 Q0 d1 1 2 x\nq1 Q0 gone 2 1 x\nother Q0 d1 1 1 x\nq1 Q0 d1 3 1 x\n")
    assert evaluation.load_dataset(folder, run=folder / "first.run").dropped == {
        "queries without a judgement": 1,
        "queries without a text": 1,
        "judged queries that are not in the queries": 1,
        "judgements of documents that are not in the corpus, which count as not found": 1,
        "queries with the id of a later one": 1,
        "documents with the id of a later one": 1,
        "judgements with a later one for their query and document": 1,
        "lines of the run with a later one for their query and document": 1,
        "queries of the run that are not evaluated": 1,
        "documents of the run that are not in the corpus": 1,
        "queries without a candidate": 1,
    }


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("corpus.jsonl", '{"_id": "d1"}\n{"text": 1}', "corpus.jsonl, line 2: not a JSON object with an _id"),
        ("queries.jsonl", "what?", "queries.jsonl, line 1: not a JSON object"),
        ("qrels/test.tsv", "q1\td1\tmuch", "test.tsv, line 1: not a judgement"),
        ("qrels/test.tsv", "q1\td1\t0.5", "test.tsv, line 1: not a judgement"),
        ("qrels/test.tsv", "q1", "test.tsv, line 1: not a judgement"),
        ("qrels/test.tsv", "q9\td1\t1", "none of the 3 queries"),
        ("qrels/test.tsv", "q1\td9\t1", "none of the 1 judged documents"),
        ("first.run", "q1 Q0 d1 1", "first.run, line 1: not a line of a TREC run"),
        ("first.run", "q1 Q0 d1 1 nan x", "first.run, line 1: not a line of a TREC run"),
        ("first.run", "q1 Q0 d99 1 0.5 x", "first.run: none of its 1 queries and their documents"),
    ],
)
def test_wrong_files(folder: Path, file: str, content: str, says: str) -> None:
    """An error in a file names the file and the line; files that match nothing are an error."""
    (folder / file).write_text(content)
    run = folder / file if file.endswith(".run") else None
    with pytest.raises(ValueError, match=says):
        evaluation.load_dataset(folder, run=run)


def test_identical_ids_are_ignored(folder: Path) -> None:
    """A document with the id of the query is no candidate where that is asked for, by BM25 and of a run."""
    (folder / "queries.jsonl").write_text('{"_id": "d1", "text": "The heron fishes."}')
    (folder / "qrels" / "test.tsv").write_text("d1\td2\t1\n")
    (folder / "first.run").write_text("d1 Q0 d1 1 9 x\nd1 Q0 d3 1 8 x\n")
    for run, kept, whole in ((None, 3, 4), (folder / "first.run", 1, 2)):
        found = evaluation.load_dataset(folder, run=run, ignore_identical_ids=True).candidates["d1"]
        assert (len(found), "d1" in found) == (kept, False)
        assert len(evaluation.load_dataset(folder, run=run).candidates["d1"]) == whole


def test_joined_answers_are_long_documents() -> None:
    """Answers that follow each other are one document, which is relevant for the question of each of them."""
    single, joined = evaluation.load_faq_dataset(3), evaluation.load_faq_dataset(3, joined=5)
    assert len(joined.documents) == -(-len(single.documents) // 5)
    for query, grades in joined.judgements.items():
        (document,) = grades
        assert single.documents[query] in joined.documents[document]
    with pytest.raises(ValueError, match="joined"):
        evaluation.load_faq_dataset(joined=0)
