"""Figures of an evaluation: those of other tools, for any ties, gaps and ids."""

import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hosted_rerank.cli.commands import commands
from tests.local.evaluation_data import make_dataset, make_evaluation

evaluation = pytest.importorskip("hosted_rerank.evaluation", exc_type=ImportError)
ir_measures = pytest.importorskip("ir_measures")

MEASURES = {
    "nDCG@10": ir_measures.nDCG @ 10,
    "MRR@10": ir_measures.RR @ 10,
    "R@10": ir_measures.R @ 10,
    "MAP": ir_measures.AP,
    "Judged@10": ir_measures.Judged @ 10,
}
RANX = {"nDCG@10": "ndcg@10", "MRR@10": "mrr@10", "R@10": "recall@10", "MAP": "map"}
SETS = {
    "two scores": {"levels": 2, "form": 'the "№ {}"'},
    "all tied": {"levels": 1, "form": "{}\tof\u2003ß", "fail": 0.5},
    "many gaps": {"levels": 3, "form": "0{}", "fail": 0.6, "unscored": 0.7},
    "ids of pages": {"levels": 4, "form": "https://a.example/?q={}&x=%20#1,2"},
    "deep": {"levels": 20, "form": "-{}.0e5", "count": 150},
}
"""Five sets, each with ties, with failed queries and documents without a score, and with odd ids."""


def make_set(*, form: str, levels: int, fail: float = 0.3, unscored: float = 0.3, count: int = 30) -> Any:
    """A dataset, and an evaluation with few different scores, failures and documents without a score."""
    chance = random.Random(levels)
    names = [form.format(number) for number in range(count)]
    queries = [form.format(f"q{number}") for number in range(12)]
    judgements = {q: {name: chance.choice((0, 0, 1, 3)) for name in chance.sample(names, 9)} for q in queries}
    dataset = make_dataset(judgements, {q: chance.sample(names, count) for q in queries})
    scores = {
        query: {name: None if chance.random() < unscored else -chance.randrange(levels) / 7 for name in names[:-3]}
        for query in queries
        if chance.random() >= fail
    }
    done = make_evaluation(dataset, scores)
    assert 0 < len(done.answered) < len(queries)
    assert all(outcome.has_ties and None in outcome.scores for outcome in done.answered.values())
    return done


def escape(name: str) -> str:
    """An id as it is in the files."""
    return "".join(f"%{ord(letter):02X}" if letter.isspace() else letter for letter in name)


def write_files(done: Any, folder: Path) -> tuple[str, str]:
    run, qrels = folder / "a.run", folder / "a.qrels"
    run.write_text("".join(done.trec_run()), encoding="utf-8")
    qrels.write_text("".join(evaluation.write_judgements(done.dataset)), encoding="utf-8")
    return str(run), str(qrels)


@pytest.mark.parametrize("name", SETS)
def test_figures_are_those_of_ir_measures(name: str, tmp_path: Path) -> None:
    """What ir-measures says of the written files is what the report says, query by query."""
    done = make_set(**SETS[name])
    report = evaluation.Report(done.dataset, [done])
    run, qrels = write_files(done, tmp_path)
    rows = ir_measures.iter_calc(
        MEASURES.values(), list(ir_measures.read_trec_qrels(qrels)), list(ir_measures.read_trec_run(run))
    )
    theirs: dict[str, dict[str, float]] = defaultdict(dict)
    names = {kind: measure for measure, kind in MEASURES.items()}
    for row in rows:
        theirs[names[row.measure]][row.query_id] = row.value
    for measure, ours in report.after[0].items():
        assert {escape(query): value for query, value in ours.items()} == pytest.approx(
            {escape(query): theirs[measure][escape(query)] for query in done.answered}
        )
        assert report.rows[1].measures[measure] == pytest.approx(sum(theirs[measure].values()) / len(done.answered))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaTypeSafetyWarning")  # ranx' own
@pytest.mark.parametrize("name", SETS)
def test_figures_are_those_of_ranx(name: str, tmp_path: Path) -> None:
    """What ranx says of the written files is what the report says."""
    ranx = pytest.importorskip("ranx")
    done = make_set(**SETS[name])
    run, qrels = write_files(done, tmp_path)
    theirs = ranx.evaluate(
        ranx.Qrels.from_file(qrels, kind="trec"),
        ranx.Run.from_file(run, kind="trec"),
        list(RANX.values()),
        make_comparable=True,
    )
    share = len(done.answered) / len(done.outcomes)  # ranx counts a query without an answer as 0
    ours = evaluation.Report(done.dataset, [done]).rows[1].measures
    for measure, called in RANX.items():
        assert ours[measure] * share == pytest.approx(theirs[called])


@pytest.mark.slow
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


def test_gain() -> None:
    """The interval holds the mean, wins and losses are counted, and the same numbers give the same interval."""
    before, after = ({str(n): value(n) for n in range(100)} for value in (lambda n: 0.5, lambda n: n % 3 / 2))
    found = evaluation.measure_gain(before, after)
    assert (found.wins, found.losses) == (33, 34)
    assert found.low < found.mean < found.high
    assert found.mean == pytest.approx(sum(after.values()) / 100 - 0.5)
    assert found == evaluation.measure_gain(before, after)


def test_rerankers_are_compared_with_holms_correction() -> None:
    """A difference in all queries is one, noise is none, and each p is corrected for the number of tests."""
    chance = random.Random(3)
    base = {str(n): chance.random() / 2 for n in range(40)}
    better = {query: value + 0.2 + chance.random() / 10 for query, value in base.items()}
    noisy = {query: value + chance.uniform(-0.1, 0.1) for query, value in base.items()}
    found = evaluation.compare_all([("base", base), ("better", better), ("noisy", noisy)])
    assert [(c.first, c.second, c.is_significant) for c in found] == [
        ("base", "better", True),
        ("base", "noisy", False),
        ("better", "noisy", True),
    ]
    (alone,) = evaluation.compare_all([("base", base), ("better", better)])
    assert found[0].p == pytest.approx(3 * alone.p)
    assert alone.difference == pytest.approx(-0.25, abs=0.02)


def test_only_shared_queries_are_compared() -> None:
    """A query that one of two rerankers did not answer does not count in their comparison."""
    (found,) = evaluation.compare_all([("a", {"1": 1.0, "2": 1.0}), ("b", {"2": 1.0, "3": 0.0})])
    assert (found.queries, found.difference, found.p) == (1, 0.0, 1.0)
