"""Evaluation of rerankers on labelled queries: quality, latency and cost, compared with the first stage.

    from hosted_rerank import Reranker
    from hosted_rerank.evaluation import Report, evaluate, load_faq_dataset

    dataset = load_faq_dataset()
    print(Report(dataset, [evaluate(Reranker("local"), dataset)]).json())

`dataset` reads datasets, `run` reranks them, `measures` computes measures and `report` shows them. `bm25` is the
default first stage.
"""

try:
    from hosted_rerank.evaluation.bm25 import Bm25
    from hosted_rerank.evaluation.dataset import Dataset, load_dataset, load_faq_dataset
    from hosted_rerank.evaluation.measures import Gain, measure, measure_gain
    from hosted_rerank.evaluation.report import Report, ReportRow
    from hosted_rerank.evaluation.run import Evaluation, Outcome, aevaluate, evaluate
except ModuleNotFoundError as missing:
    raise ImportError(
        f"an evaluation needs {missing.name}: pip install 'hosted-rerank[eval]'", name=missing.name
    ) from missing

__all__ = [
    "Bm25",
    "Dataset",
    "Evaluation",
    "Gain",
    "Outcome",
    "Report",
    "ReportRow",
    "aevaluate",
    "evaluate",
    "load_dataset",
    "load_faq_dataset",
    "measure",
    "measure_gain",
]
