"""What an evaluation shows: a table at any width, a page, JSON and CSV."""

import csv
import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from hosted_rerank import Reranker
from tests.local.evaluation_data import make_dataset, make_evaluation

evaluation = pytest.importorskip("hosted_rerank.evaluation", exc_type=ImportError)


def make_report(systems: int = 4) -> Any:
    names = [f"doc-{number}" for number in range(30)]
    judgements = {f"q{n}": {names[n]: 1} for n in range(25)}
    data = make_dataset(judgements, dict.fromkeys(judgements, names))
    scores = {q: {name: (name in judgements[q]) + 1 / (2 + n) for n, name in enumerate(names)} for q in judgements}
    done = make_evaluation(data, scores, provider="acme", model="m")
    evaluations = [replace(done, name=f"acme accounts/acme/models/a-long-name-{n}") for n in range(systems)]
    prices = {each.name: evaluation.Price.parse("0.05/Mtokens") for each in evaluations}
    return evaluation.Report(data, evaluations, prices=prices)


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
    assert page.count("<svg") == 4
    assert "http" not in page.replace("http://www.w3.org", "")
    assert json.loads(report.json())["by_query"].keys() == queries.keys()


@pytest.mark.parametrize("width", [60, 80, 100, 140, 300])
@pytest.mark.parametrize("systems", [1, 4])
def test_nothing_is_cut_off(width: int, systems: int) -> None:
    """Each number and name is whole, and no line is wider than the terminal."""
    report, text = make_report(systems), io.StringIO()
    Console(file=text, width=width).print(report)
    shown = text.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    for row in report.rows:
        for value in row.measures.values():
            assert re.search(rf"(?<![\d.]){value:.3f}(?!\d)", shown)
    for number in ("75,000", "nDCG@10", "requests"):
        assert number in shown
    letters = re.sub(r"[^a-z0-9-]", "", shown)
    assert letters.count(f"-long-name-{systems - 1}") >= 1


def test_wide_terminals_have_a_row_for_each_system() -> None:
    """A row for each system where that fits, else a column for each."""
    for width, heads in ((300, ["nDCG@10", "failed"]), (80, ["BM25"])):
        text = io.StringIO()
        Console(file=text, width=width).print(make_report(1))
        head = next(line for line in text.getvalue().splitlines() if "\N{BOX DRAWINGS HEAVY VERTICAL}" in line)
        assert all(heading in head for heading in heads)
        assert ("BM25" in head) == (width == 80)


def test_the_report_says_what_was_measured() -> None:
    """Page, table and JSON name the first stage, candidates, date, version, models, settings and what has no match."""
    report = make_report(1)
    report.dataset.dropped["queries without a judgement"] = 7
    report = evaluation.Report(report.dataset, report.evaluations)
    table = " ".join(repr(report).split())
    about = json.loads(report.json())
    for shown in (table, report.html()):
        for part in (about["date"], about["version"], "BM25, up to 30 candidates", "7 queries without a judgement"):
            assert part in shown
    assert "provider='acme', model='m'; answered by m" in table
    assert about["dropped"] == {"queries without a judgement": 7}
    (settings,) = about["rerankers"].values()
    assert settings == {"provider": "acme", "model": "m", "answered by": ["m"], "listwise": False}


def test_csv_has_a_row_for_each_query_and_ranking() -> None:
    """The table by query holds the measures of JSON."""
    report = make_report(1)
    rows = list(csv.DictReader(io.StringIO(report.csv())))
    by_query = json.loads(report.json())["by_query"]
    assert len(rows) == 50
    for row in rows:
        assert float(row["MRR@10"]) == by_query[row["query"]][row["ranking"]]["MRR@10"]


def test_json_has_what_decides() -> None:
    """Curves, thresholds and comparisons are in the JSON as in the report."""
    report = make_report(2)
    found = json.loads(report.json())
    assert [curve["enough"] for curve in found["curves"]] == [curve.enough for curve in report.curves]
    assert len(found["comparisons"]) == 3
    (threshold, _) = found["thresholds"].values()
    assert 0.53 < threshold["score_threshold"] < 1.52
    assert threshold["kept_interval"]["low"] <= threshold["kept"]
    assert f"score_threshold={threshold['score_threshold']}" in report.html()


def test_report_without_an_answer() -> None:
    """Where every query failed, there is the reason, and neither a comparison of nothing nor an empty table."""
    data = make_dataset({"q1": {"d1": 1}}, {"q1": ["d1", "d2"]})
    shown = repr(evaluation.Report(data, [make_evaluation(data, {})]))
    assert "1 of 1 queries failed" in shown
    assert "no query was answered by both" in shown
    assert "may be chance" not in shown
    assert "95 % interval ┃" not in shown
