"""An evaluation's run: nothing is asked twice, failures are counted apart, and files are of one evaluation."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hosted_rerank import InvalidRequestError, NotFoundError, Reranker
from hosted_rerank.local.conditions import Conditions, score_by_hash
from hosted_rerank.local.server import running
from hosted_rerank.providers.dialect import Dialect
from tests.conftest import Acme
from tests.hostile import HostileServer, ranking, reply
from tests.local.evaluation_data import make_dataset, make_evaluation

evaluation = pytest.importorskip("hosted_rerank.evaluation", exc_type=ImportError)

OPEN = Dialect(instruction="task", allows_extra_fields=True)


def test_concurrency_changes_nothing() -> None:
    """The rankings and scores are the same one by one and all at once, in the dataset's order."""
    data = evaluation.load_faq_dataset(5)
    with running(conditions=Conditions(score=score_by_hash)) as url:
        reranker = Reranker("vllm", "m", base_url=f"{url}/vllm/v1")
        runs = ["".join(evaluation.evaluate(reranker, data, concurrency=n).trec_run()) for n in (1, 16)]
    assert runs[0] == runs[1]


def test_failed_queries_count_apart_and_are_asked_again(
    server: HostileServer, acme: Acme, data: Any, tmp_path: Path
) -> None:
    """An outage fails its query, which is no loss and named with its reason; a resumed evaluation asks for it alone."""
    path = tmp_path / "kept.jsonl"
    server.play(ranking(0.9, 0.1, 0.2, 0.3), reply(500, "no"))
    first = evaluation.evaluate(acme(), data, checkpoint=path, concurrency=1)
    report = evaluation.Report(data, [first])
    row = report.rows[1]
    assert (row.failures, row.failed, row.requests, row.queries) == ({"ServerError": 1}, 1, 2, 1)
    assert report.after[0]["nDCG@10"].keys() == {"q1"}
    assert (row.measures["nDCG@10"], row.gains["nDCG@10"].losses) == (report.after[0]["nDCG@10"]["q1"], 0)
    for shown in (repr(report), report.html(), report.json(), report.csv()):
        assert "ServerError" in shown
    for shown in (" ".join(repr(report).split()), report.html(), report.json()):
        assert first.outcomes["q2"].reason[:30] in shown
    server.play(ranking(0.9, 0.1, 0.2, 0.3))
    seen: list[str] = []
    again = evaluation.evaluate(acme(), data, checkpoint=path, on_progress=lambda outcome: seen.append(outcome.query))
    assert len(server.requests) == 3
    assert seen == ["q1", "q2"]
    assert again.outcomes["q1"] == first.outcomes["q1"]
    assert not again.failed


def test_a_reranker_that_never_answers_is_reported(acme: Acme, server: HostileServer, data: Any) -> None:
    """Without an answer there are no figures, and the report says so."""
    server.play(reply(500, "no"), reply(500, "no"))
    report = evaluation.Report(data, [evaluation.evaluate(acme(), data)])
    assert (report.rows[1].measures, report.rows[1].failed) == ({}, 2)
    assert "No query was answered" in report.html()
    assert "2 of 2 queries failed" in repr(report)


def test_a_cut_line_is_asked_again(server: HostileServer, acme: Acme, data: Any, tmp_path: Path) -> None:
    """A line half written at a kill is not read, and the file is whole afterwards."""
    path = tmp_path / "kept.jsonl"
    evaluation.evaluate(acme(), data, checkpoint=path, concurrency=1)
    path.write_bytes(path.read_bytes()[:-9])
    evaluation.evaluate(acme(), data, checkpoint=path)
    assert len(server.requests) == 3
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 3


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"model": "b"}, "model is None there and 'b' here"),
        ({"instruction": "Find birds."}, "instruction is None there and 'Find birds.' here"),
        ({"max_document_chars": 9}, "max_document_chars is None there and 9 here"),
        ({"passage_chars": 9, "long_documents": "passages"}, "long_documents is None there and 'passages' here"),
        ({"base_url": "http://127.0.0.1:1/v2"}, "url is "),
        (
            {
                "extra_body": {"secret": "s3cr3t"},
                "row": {"dialect": OPEN},
            },
            "extra_body is None there",
        ),
        ({"score_transform": "sigmoid"}, "score_transform is None there"),
        ({"fallbacks": ["cohere"]}, "fallbacks is None there"),
    ],
)
def test_another_evaluations_file_is_refused(
    acme: Acme, server: HostileServer, data: Any, tmp_path: Path, setting: dict[str, Any], says: str
) -> None:
    """Outcomes of other settings are not mixed in, and the message names the difference, and no secret."""
    evaluation.evaluate(acme(), data, checkpoint=tmp_path / "kept.jsonl")
    with pytest.raises(ValueError, match="another evaluation") as refused:
        evaluation.evaluate(acme(**setting), data, checkpoint=tmp_path / "kept.jsonl")
    assert says in str(refused.value)
    assert "s3cr3t" not in str(refused.value)
    assert len(server.requests) == 2


def test_other_candidates_are_another_evaluation(acme: Acme, data: Any, tmp_path: Path) -> None:
    """The file is of its candidates, and of `top_n`."""
    evaluation.evaluate(acme(), data, checkpoint=tmp_path / "kept.jsonl")
    with pytest.raises(ValueError, match="its queries, texts or candidates are others"):
        evaluation.evaluate(acme(), data.cut(2), checkpoint=tmp_path / "kept.jsonl")
    with pytest.raises(ValueError, match="top_n is None there and 2 here"):
        evaluation.evaluate(acme(), data, top_n=2, checkpoint=tmp_path / "kept.jsonl")


def test_options_are_part_of_the_settings() -> None:
    """Options of the request are what answers depend on."""
    settings = [
        evaluation.describe_settings(Reranker("nebius", "m", options=o)) for o in ({}, {"service_tier": "flex"})
    ]
    assert settings[1] == {**settings[0], "options": {"service_tier": "flex"}}


@pytest.mark.parametrize(("status", "error"), [(422, InvalidRequestError), (404, NotFoundError)])
def test_a_wrong_request_ends_it(
    server: HostileServer, acme: Acme, data: Any, status: int, error: type[Exception]
) -> None:
    """An error that would fail every query is raised at once."""
    server.play(reply(status, "no"))
    with pytest.raises(error):
        evaluation.evaluate(acme(), data, concurrency=1)
    assert len(server.requests) == 1


def test_ties_are_written_in_the_order_that_was_judged() -> None:
    """Equal and missing scores decrease in the written run, as numbers of 32 bits, and the report counts the query."""
    found = {"q1": {"b": 0.5, "a": 0.5, "c": 0.5 - 1e-12, "d": None, "e": None}, "q2": {"a": 1.0, "b": 0.0}}
    data = make_dataset({"q1": {"a": 1}, "q2": {"a": 1}}, {query: list(scores) for query, scores in found.items()})
    done = make_evaluation(data, found)
    lines = [line.split() for line in done.trec_run() if line.startswith("q1")]
    assert [line[2] for line in lines] == ["b", "a", "c", "d", "e"]
    scores = [float(line[4]) for line in lines]
    assert all(float(f"{one:.9g}") > two for one, two in itertools.pairwise(scores))
    assert scores[0] == 0.5
    assert math.isclose(scores[-1], 0.5, rel_tol=1e-5)
    assert evaluation.Report(data, [done]).rows[1].ties == 1


def test_ids_with_spaces_are_escaped_in_both_files() -> None:
    """Columns of the written files are apart, whatever the ids hold."""
    done = make_evaluation(
        make_dataset({"the q": {"a\u2003b": 1}}, {"the q": ["a\u2003b"]}), {"the q": {"a\u2003b": 1.0}}
    )
    for lines, count in (
        (done.trec_run(), 6),
        (evaluation.write_judgements(done.dataset), 4),
        (evaluation.write_candidates(done.dataset), 6),
    ):
        (line,) = lines
        assert len(line.split()) == count
        assert line.startswith("the%20q ")


def test_times_leave_out_the_warm_up_and_what_was_computed_before() -> None:
    """The first query is not timed, a few queries of the embedded model are, and those compute all vectors."""
    data = evaluation.load_faq_dataset(3)
    few = replace(data, queries=dict(itertools.islice(data.queries.items(), 8)))
    done = evaluation.evaluate(Reranker("local"), few)
    timed = [outcome.timed for outcome in done.outcomes.values()]
    assert timed[:8] == [False, True, True, True, True, True, False, False]
    assert sum(timed) == 5
    assert len(done.times) == 5


def test_the_embedded_model_has_no_timeout() -> None:
    """What is slow on this machine is no failure of a query."""
    data = evaluation.load_faq_dataset(3)
    few = replace(data, queries=dict(itertools.islice(data.queries.items(), 2)))
    done = evaluation.evaluate(Reranker("local", timeout=0.001), few)
    assert [outcome.error for outcome in done.outcomes.values()] == [None, None]


def test_times_of_an_api_begin_with_the_first_answer(acme: Acme, data: Any) -> None:
    """What is in flight before the first answer may wait for the API to warm up."""
    one_by_one = evaluation.evaluate(acme(), data, concurrency=1)
    assert [outcome.timed for outcome in one_by_one.outcomes.values()] == [False, True]
    at_once = evaluation.evaluate(acme(), data, concurrency=2)
    assert len(at_once.times) == 2
