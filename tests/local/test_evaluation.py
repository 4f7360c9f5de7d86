"""Judging rerankers: the layouts that are read, figures that others get too, and nothing asked twice."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hosted_rerank import InvalidRequestError, NotFoundError, Reranker
from hosted_rerank.cli.commands import commands
from hosted_rerank.local.conditions import Conditions, score_by_hash
from hosted_rerank.local.server import running
from tests.bounded import patience
from tests.conftest import Acme
from tests.hostile import HostileServer, eventually, ranking, reply

evaluation = pytest.importorskip("hosted_rerank.evaluation", exc_type=ImportError)
ir_measures = pytest.importorskip("ir_measures")

MEASURES = (ir_measures.nDCG @ 10, ir_measures.RR @ 10, ir_measures.R @ 10, ir_measures.AP)
DOCUMENTS = {"d1": "The heron fishes.", "d2": "The swift flies.", "d3": "Salmon return to the river.", "d4": "Moss."}
QUERIES = {"q1": "Which bird fishes?", "q2": "Who returns to the river?", "unjudged": "What?"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small dataset in BEIR's layout."""
    (tmp_path / "qrels").mkdir()
    rows = [json.dumps({"_id": name, "title": "", "text": text}) for name, text in DOCUMENTS.items()]
    (tmp_path / "corpus.jsonl").write_text("\n".join(rows))
    (tmp_path / "queries.jsonl").write_text("\n".join(json.dumps({"_id": n, "text": t}) for n, t in QUERIES.items()))
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t1\nq2\td3\t1\n")
    return tmp_path


@pytest.fixture
def data(folder: Path) -> Any:
    return evaluation.load_dataset(folder)


def test_beir_folder(data: Any) -> None:
    """Queries without a judgement are left out; BM25 finds the candidates."""
    assert data.queries == {name: QUERIES[name] for name in ("q1", "q2")}
    assert data.documents == DOCUMENTS
    assert data.judgements == {"q1": {"d1": 2, "d2": 1}, "q2": {"d3": 1}}
    assert data.candidates["q1"][0] == "d1"
    assert data.candidates["q2"][0] == "d3"


def test_trec_files(folder: Path) -> None:
    """A TREC run is the first stage, by its scores whatever its ranks; TREC's qrels are read as BEIR's are."""
    (folder / "first.run").write_text("q1 Q0 d4 1 1.5 bm25\nq1 Q0 d2 2 3.5 bm25\nq1 Q0 d1 3 2.5 bm25\n")
    (folder / "trec.qrels").write_text("q1 0 d1 1\nq2 0 d3 0\n")
    found = evaluation.load_dataset(folder, run=folder / "first.run", qrels=folder / "trec.qrels", candidates=2)
    assert found.candidates == {"q1": ["d2", "d1"], "q2": ()}
    assert found.judgements == {"q1": {"d1": 1}, "q2": {"d3": 0}}


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("corpus.jsonl", '{"_id": "d1"}\n{"text": 1}', "corpus.jsonl, line 2: not a JSON object with an _id"),
        ("queries.jsonl", "what?", "queries.jsonl, line 1: not a JSON object"),
        ("qrels/test.tsv", "q1\td1\tmuch", "test.tsv, line 1: not a judgement"),
        ("qrels/test.tsv", "q9\td1\t1", "none of the 3 queries"),
        ("first.run", "q1 Q0 d1 1", "first.run, line 1: not a line of a TREC run"),
        ("first.run", "q1 Q0 d99 1 0.5 x", "first.run, line 1: document 'd99' is not in the corpus"),
    ],
)
def test_wrong_files(folder: Path, file: str, content: str, says: str) -> None:
    """An error in a file names the file and the line."""
    (folder / file).write_text(content)
    run = folder / file if file.endswith(".run") else None
    with pytest.raises(ValueError, match=".*".join(map(str, says.split("@")))):
        evaluation.load_dataset(folder, run=run)


def test_measures_are_those_of_ir_measures_by_hand(data: Any, tmp_path: Path) -> None:
    """The report's figures are what ir-measures says of the run file and the judgements."""
    done = evaluation.evaluate(Reranker("local"), data)
    path = tmp_path / "done.run"
    path.write_text("".join(done.trec_run()))
    report = evaluation.Report(data, [done])
    kinds = dict(zip(report.rows[1].measures, MEASURES, strict=True))
    by_hand = ir_measures.calc_aggregate(
        list(kinds.values()),
        [ir_measures.Qrel(q, d, grade) for q, grades in data.judgements.items() for d, grade in grades.items()],
        ir_measures.read_trec_run(str(path)),
    )
    expected = {name: by_hand[kind] for name, kind in kinds.items()}
    assert report.rows[1].measures == pytest.approx(expected)


def test_reference_figures(tmp_path: Path) -> None:
    """The embedded model lifts 503 questions on building permits from 0.539 to 0.700 nDCG@10, within 0.005."""
    zaragoza = pytest.importorskip("zaragoza_construction_faq")
    rows = zaragoza.load(lang="en")
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text("\n".join(json.dumps({"_id": r["id"], "text": r["a"]}) for r in rows))
    (tmp_path / "queries.jsonl").write_text("\n".join(json.dumps({"_id": r["id"], "text": r["q"]}) for r in rows))
    (tmp_path / "qrels" / "test.tsv").write_text("".join(f"{r['id']}\t{r['id']}\t1\n" for r in rows))
    done = CliRunner().invoke(commands, ["evaluate", "--data", str(tmp_path), "--json"], catch_exceptions=False)
    before, after = (row["measures"]["nDCG@10"] for row in json.loads(done.stdout)["rows"])
    assert before == pytest.approx(0.539, abs=0.005)
    assert after == pytest.approx(0.700, abs=0.005)


def test_concurrency_changes_nothing(data: Any) -> None:
    """The rankings and scores are the same one by one and all at once, in the dataset's order."""
    runs = ["".join(evaluation.evaluate(Reranker("local"), data, concurrency=n).trec_run()) for n in (1, 8)]
    assert runs[0] == runs[1]


def test_failed_queries_count_as_zero_and_are_asked_again(
    server: HostileServer, acme: Acme, data: Any, tmp_path: Path
) -> None:
    """An outage fails its query; a resumed evaluation asks for that alone."""
    path = tmp_path / "kept.jsonl"
    server.play(ranking(0.9, 0.1, 0.2, 0.3), reply(500, "no"))
    first = evaluation.evaluate(acme(), data, checkpoint=path, concurrency=1)
    report = evaluation.Report(data, [first])
    assert (report.rows[1].failures, report.rows[1].requests) == (1, 2)
    assert report.after[0]["nDCG@10"]["q2"] == 0
    server.play(ranking(0.9, 0.1, 0.2, 0.3))
    seen: list[str] = []
    again = evaluation.evaluate(acme(), data, checkpoint=path, on_progress=lambda outcome: seen.append(outcome.query))
    assert len(server.requests) == 3
    assert seen == ["q1", "q2"]
    assert again.outcomes["q1"] == first.outcomes["q1"]
    assert not any(outcome.error for outcome in again.outcomes.values())


def test_a_cut_line_is_asked_again(server: HostileServer, acme: Acme, data: Any, tmp_path: Path) -> None:
    """A line half written at a kill is not read, and the file is whole afterwards."""
    path = tmp_path / "kept.jsonl"
    evaluation.evaluate(acme(), data, checkpoint=path, concurrency=1)
    path.write_bytes(path.read_bytes()[:-9])
    evaluation.evaluate(acme(), data, checkpoint=path)
    assert len(server.requests) == 3
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 3


def test_another_evaluations_file_is_refused(acme: Acme, data: Any, tmp_path: Path) -> None:
    """Outcomes of another model are not mixed in."""
    evaluation.evaluate(acme(model="a"), data, checkpoint=tmp_path / "kept.jsonl")
    with pytest.raises(ValueError, match="another provider, model or dataset"):
        evaluation.evaluate(acme(model="b"), data, checkpoint=tmp_path / "kept.jsonl")


@pytest.mark.parametrize(("status", "error"), [(422, InvalidRequestError), (404, NotFoundError)])
def test_a_wrong_request_ends_it(
    server: HostileServer, acme: Acme, data: Any, status: int, error: type[Exception]
) -> None:
    """An error that would fail every query is raised at once."""
    server.play(reply(status, "no"))
    with pytest.raises(error):
        evaluation.evaluate(acme(), data, concurrency=1)
    assert len(server.requests) == 1


def test_gain() -> None:
    """The interval holds the mean, wins and losses are counted, and the same numbers give the same interval."""
    before, after = ({str(n): value(n) for n in range(100)} for value in (lambda n: 0.5, lambda n: n % 3 / 2))
    found = evaluation.measure_gain(before, after)
    assert (found.wins, found.losses) == (33, 34)
    assert found.low < found.mean < found.high
    assert found.mean == pytest.approx(sum(after.values()) / 100 - 0.5)
    assert found == evaluation.measure_gain(before, after)


def test_report_pages(data: Any) -> None:
    """The page is of one piece, with its plots in it; a query's HTML never runs."""
    queries = {**data.queries, "q1": "<script>alert(1)</script> Which bird fishes?"}
    hostile = evaluation.Dataset(
        "<x>", queries, data.documents, data.judgements, {q: ["d4", "d3", "d2", "d1"] for q in queries}
    )
    report = evaluation.Report(hostile, [evaluation.evaluate(Reranker("local"), hostile)])
    page = report.html()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<svg") == 2
    assert "http" not in page.replace("http://www.w3.org", "")
    assert json.loads(report.json())["by_query"].keys() == queries.keys()


@pytest.fixture
def slow() -> Iterator[str]:
    """The local server on a slow day."""
    with running(conditions=Conditions(latency=0.2, score=score_by_hash)) as url:
        yield url


def test_interrupted_and_resumed(slow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C keeps what is done, without a traceback; --resume asks for the rest, and the result is whole."""
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's `&` ignores Ctrl-C
        "from hosted_rerank.cli import main; main()"
    )
    monkeypatch.setenv("TOGETHER_BASE_URL", f"{slow}/together")
    monkeypatch.setenv("TOGETHER_API_KEY", "k")
    command = [sys.executable, "-c", code, "evaluate", "--provider", "together", "--output", str(tmp_path / "out")]
    begun = subprocess.Popen(
        [*command, "--concurrency", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    file = tmp_path / "out" / "together.jsonl"
    assert eventually(lambda: file.exists() and len(file.read_bytes().splitlines()) > 3, 60)
    begun.send_signal(signal.SIGINT)
    _, errors = begun.communicate(timeout=patience(30))
    assert "Traceback" not in errors
    done = len(file.read_bytes().splitlines()) - 1
    assert 0 < done < 172
    resumed = subprocess.run(
        [*command, "--resume", "--concurrency", "64", "--json"], capture_output=True, text=True, timeout=120, check=True
    )
    report = json.loads(resumed.stdout)
    assert report["queries"] == 172
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "together.jsonl",
        "together.run",
        "report.json",
        "report.html",
    }
    assert len(file.read_bytes().splitlines()) == 173
    refused = subprocess.run(command, capture_output=True, text=True, timeout=patience(60), check=False)
    assert refused.returncode == 1
    assert "exists" in refused.stderr.splitlines()[-1].lower()


def test_missing_extra(run_python: Callable[..., "subprocess.CompletedProcess[str]"]) -> None:
    """Without its extra, the command says what to install."""
    missing = {"bm25s": "raise ModuleNotFoundError('No module named bm25s', name='bm25s')"}
    done = run_python("-m", "hosted_rerank.cli", "evaluate", modules=missing)
    assert (done.returncode, done.stderr) == (
        1,
        "hosted-rerank: an evaluation needs bm25s: pip install 'hosted-rerank[eval]'\n",
    )


def test_joined_answers_are_long_documents() -> None:
    """Answers that follow each other are one document, which is relevant for the question of each of them."""
    single, joined = evaluation.load_faq_dataset(3), evaluation.load_faq_dataset(3, joined=5)
    assert len(joined.documents) == -(-len(single.documents) // 5)
    for query, grades in joined.judgements.items():
        (document,) = grades
        assert single.documents[query] in joined.documents[document]
    with pytest.raises(ValueError, match="joined"):
        evaluation.load_faq_dataset(joined=0)


def test_command_evaluates_passages(folder: Path) -> None:
    """`--long-documents passages` sends passages, and the report and the files have a name of their own."""
    arguments = ["evaluate", "--data", str(folder), "--output", str(folder / "out"), "--json"]
    done = CliRunner().invoke(commands, [*arguments, "--long-documents", "passages"])
    assert done.exit_code == 0, done.output
    assert "local by passages" in done.stdout
    assert (folder / "out" / "local-by-passages.run").exists()
