"""What decides: curves against candidates, characters and money, and the threshold that separates."""

import random
from dataclasses import replace
from typing import Any

import pytest

from tests.local.evaluation_data import make_dataset, make_evaluation

evaluation = pytest.importorskip("hosted_rerank.evaluation", exc_type=ImportError)

NAMES = [f"d{number}" for number in range(60)]


def make(*, place: int = 15, queries: int = 40, spread: float = 0.3) -> Any:
    """An evaluation in which the first stage has the answer at about `place`, and the reranker puts it first."""
    chance = random.Random(1)
    judgements, candidates, scores = {}, {}, {}
    for number in range(queries):
        query, order = f"q{number}", chance.sample(NAMES, len(NAMES))
        answer = order[(place + number) % (place + 5)]
        judgements[query], candidates[query] = {answer: 1}, order
        scores[query] = {d: chance.random() * spread + (1 - spread) * (d == answer) for d in order}
    return make_evaluation(make_dataset(judgements, candidates), scores)


def test_depths_from_one_pass_are_those_of_a_pass_for_each() -> None:
    """The best of the deepest pass, cut to fewer candidates, is what a rerank of these answers."""
    done = make()
    cut = evaluation.rerank_to_depth(done, 10)
    for query, outcome in cut.outcomes.items():
        best, scores = done.dataset.candidates[query][:10], dict(zip(*pair(done, query), strict=True))
        assert list(outcome.ranking[:10]) == sorted(best, key=scores.__getitem__, reverse=True)
        assert list(outcome.ranking[10:]) == done.dataset.candidates[query][10:]
    assert done.tokens is not None
    assert cut.tokens == pytest.approx(done.tokens / 6, rel=0.05)


def pair(done: Any, query: str) -> tuple[Any, Any]:
    return done.outcomes[query].ranking, done.outcomes[query].scores


def test_smallest_depth_that_is_enough() -> None:
    """The curve climbs to where the answers are, and the smallest depth there is the one that is enough."""
    (curve,) = evaluation.Report(make().dataset, [make()], depths=[5, 20, 40]).curves
    assert [point.x for point in curve.points] == [5, 20, 40, 60]
    assert [round(point.value, 2) for point in curve.points[1:]] == [1.0, 1.0, 1.0]
    assert curve.points[0].high < 0.6
    assert (curve.enough, curve.passes) == (20, 1)


def test_listwise_models_have_no_curve_from_one_pass_and_no_threshold() -> None:
    """Scores that compare only within a request give neither; a pass for each depth gives the curve."""
    done = replace(make(), listwise=True)
    cuts = {depth: evaluation.rerank_to_depth(done, depth) for depth in (5, 20)}
    report = evaluation.Report(
        done.dataset, [done], sweeps=[evaluation.Sweep("acme", "candidates", {**cuts, 60: done})]
    )
    assert [(curve.passes, curve.enough) for curve in report.curves] == [(3, 20)]
    assert report.thresholds["acme"].score_threshold is None
    assert "only within one request" in repr(report)


def test_characters_and_failures() -> None:
    """A curve against characters compares the queries that were answered at every length."""
    whole, cut = make(), make(place=30, spread=1.0)
    cut = replace(cut, outcomes={**cut.outcomes, "q3": evaluation.Outcome("q3", error="ServerError")})
    sweep = evaluation.Sweep("acme", "characters", {500: cut, None: whole})
    curve = evaluation.Report(whole.dataset, [whole], sweeps=[sweep]).curves[1]
    assert ([point.x for point in curve.points], curve.queries, curve.enough) == ([500, None], 39, None)


@pytest.mark.parametrize(
    ("price", "cost"), [("0.5/Mtokens", 0.5 * 60 * 100 / 1000), ("2/Ksearches", 2.0), ("2/ksearches", 2.0)]
)
def test_money(price: str, cost: float) -> None:
    """Money for 1,000 queries: by their tokens, or by searches of up to 100 documents."""
    done = make()
    report = evaluation.Report(done.dataset, [done], prices={"acme": evaluation.Price.parse(price)})
    assert report.rows[1].cost == pytest.approx(cost)
    costs = [point.cost for point in report.curves[0].points]
    assert costs[-1] == pytest.approx(cost)
    assert costs == sorted(costs)
    assert "money" in report.html()


@pytest.mark.parametrize("price", ["2", "2/tokens", "x/Mtokens", "-1/Mtokens"])
def test_wrong_prices(price: str) -> None:
    """A text that is not a price is refused, and the message shows the form of a price."""
    with pytest.raises(ValueError, match="Mtokens or"):
        evaluation.Price.parse(price)


def test_threshold_separates() -> None:
    """A threshold between two groups of scores keeps the relevant documents and lets no other through."""
    done = make()
    found = evaluation.find_threshold(done)
    assert 0.3 < found.score_threshold <= 0.75
    assert (found.kept, found.let_through, found.doubt) == (pytest.approx(0.95, abs=0.03), 0.0, "")
    assert found.kept_interval.low <= 0.95 <= found.kept_interval.high
    assert (found.relevant, found.others) == (40, 40 * 59)
    assert f"HostedRerank(score_threshold={found.score_threshold})" in repr(evaluation.Report(done.dataset, [done]))


def test_no_clean_separation() -> None:
    """Scores that say nothing, and few relevant documents, give no code to paste."""
    chance = evaluation.find_threshold(make(spread=1.0))
    assert "lets through up to" in chance.doubt
    assert chance.let_through > 0.8
    few = make(queries=5)
    assert "too few" in evaluation.find_threshold(few).doubt
    assert "HostedRerank(" not in repr(evaluation.Report(few.dataset, [few]))
