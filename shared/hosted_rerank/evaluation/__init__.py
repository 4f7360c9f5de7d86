"""Evaluation of rerankers on labelled queries: quality, latency and cost, compared with the first stage.

    from hosted_rerank import Reranker
    from hosted_rerank.evaluation import Report, evaluate, load_faq_dataset

    dataset = load_faq_dataset()
    print(Report(dataset, [evaluate(Reranker("local"), dataset)]).json())

`dataset` reads datasets, `run` reranks them, `measures` computes measures, `curves` and `threshold` what to set, and
`report` shows them. `bm25` is the default first stage.
"""

try:
    from hosted_rerank.evaluation.bm25 import Bm25
    from hosted_rerank.evaluation.comparison import Comparison, compare_all
    from hosted_rerank.evaluation.curves import Curve, CurvePoint, Sweep, list_depths
    from hosted_rerank.evaluation.dataset import Dataset, load_dataset, load_faq_dataset
    from hosted_rerank.evaluation.ir_dataset import load_ir_dataset
    from hosted_rerank.evaluation.measures import Gain, measure, measure_gain
    from hosted_rerank.evaluation.outcome import (
        Evaluation,
        Outcome,
        append_rest,
        rerank_to_depth,
        write_candidates,
        write_judgements,
    )
    from hosted_rerank.evaluation.price import Price
    from hosted_rerank.evaluation.report import Report
    from hosted_rerank.evaluation.rows import ReportRow
    from hosted_rerank.evaluation.run import aevaluate, evaluate
    from hosted_rerank.evaluation.settings import describe_settings
    from hosted_rerank.evaluation.threshold import Threshold, find_threshold
except ModuleNotFoundError as missing:
    raise ImportError(
        f"an evaluation needs {missing.name}: pip install 'hosted-rerank[eval]'", name=missing.name
    ) from missing

__all__ = [
    "Bm25",
    "Comparison",
    "Curve",
    "CurvePoint",
    "Dataset",
    "Evaluation",
    "Gain",
    "Outcome",
    "Price",
    "Report",
    "ReportRow",
    "Sweep",
    "Threshold",
    "aevaluate",
    "append_rest",
    "compare_all",
    "describe_settings",
    "evaluate",
    "find_threshold",
    "list_depths",
    "load_dataset",
    "load_faq_dataset",
    "load_ir_dataset",
    "measure",
    "measure_gain",
    "rerank_to_depth",
    "write_candidates",
    "write_judgements",
]
