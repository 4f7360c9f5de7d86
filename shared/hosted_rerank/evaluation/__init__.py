"""What a reranker is worth on one's own questions: quality, time and cost, beside the first stage.

    from hosted_rerank import Reranker
    from hosted_rerank.evaluation import Report, evaluate, faq_dataset

    dataset = faq_dataset()
    print(Report(dataset, [evaluate(Reranker("local"), dataset)]).json())

`dataset` reads, `run` asks, `measures` judges, `report` shows; `bm25` is the first stage where none is given.
"""

try:
    from hosted_rerank.evaluation.bm25 import Bm25
    from hosted_rerank.evaluation.dataset import Dataset, faq_dataset, load_dataset
    from hosted_rerank.evaluation.measures import Gain, gain, measure
    from hosted_rerank.evaluation.report import Report, Row
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
    "Row",
    "aevaluate",
    "evaluate",
    "faq_dataset",
    "gain",
    "load_dataset",
    "measure",
]
