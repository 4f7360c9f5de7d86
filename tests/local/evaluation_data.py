"""Small datasets and outcomes for the tests of the evaluation."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

try:
    from hosted_rerank import evaluation
except ImportError:  # the tests that need it are skipped
    evaluation = None  # type: ignore[assignment]

DOCUMENTS = {"d1": "The heron fishes.", "d2": "The swift flies.", "d3": "Salmon return to the river.", "d4": "Moss."}
QUERIES = {"q1": "Which bird fishes?", "q2": "Who returns to the river?", "unjudged": "What?"}


def write_folder(folder: Path) -> Path:
    (folder / "qrels").mkdir()
    rows = [json.dumps({"_id": name, "title": "", "text": text}) for name, text in DOCUMENTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(rows))
    (folder / "queries.jsonl").write_text("\n".join(json.dumps({"_id": n, "text": t}) for n, t in QUERIES.items()))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t1\nq2\td3\t1\n")
    return folder


def make_dataset(judgements: Mapping[str, Mapping[str, int]], candidates: Mapping[str, Sequence[str]]) -> Any:
    """Return a dataset whose texts are the ids."""
    names = {name for found in candidates.values() for name in found}
    return evaluation.Dataset("made", {q: f"{q}?" for q in judgements}, {n: n for n in names}, judgements, candidates)


def make_evaluation(dataset: Any, scores: Mapping[str, Mapping[str, float | None]], **settings: Any) -> Any:
    """Return the evaluation in which documents got these scores; a query without scores failed."""
    outcomes = {}
    for query in dataset.queries:
        if query in scores:
            of = scores[query]
            order = sorted(of, key=lambda name: (of[name] is not None, of[name] or 0.0), reverse=True)
            of_order = tuple(of[name] for name in order)
            outcomes[query] = evaluation.Outcome(
                query, tuple(order), of_order, 0.5, 1, tokens=len(order) * 100, model="m"
            )
        else:
            outcomes[query] = evaluation.Outcome(query, requests=1, error="ServerError", reason="acme: out of order")
    return evaluation.Evaluation("acme", dataset, outcomes, settings)
