"""Datasets of the package ir_datasets (https://ir-datasets.com)."""

from importlib import import_module
from pathlib import Path
from typing import Any

from hosted_rerank.evaluation.dataset import DEFAULT_CANDIDATES, Dataset, join_rows


def load_ir_dataset(
    name: str,
    *,
    run: Path | str | None = None,
    candidates: int = DEFAULT_CANDIDATES,
    ignore_identical_ids: bool = False,
) -> Dataset:
    """Return a dataset of the package ir_datasets (https://ir-datasets.com), which has to be installed.

    Args:
        name: The name, such as "beir/scifact/test". ir_datasets finds its files, or downloads them.
        run: A TREC run file to use as the first stage; `None` for BM25 over the documents.
        candidates: The maximum number of candidates of each query.
        ignore_identical_ids: Whether a document with the id of the query is no candidate.

    Returns:
        The queries that have a judgement and a text, with all documents. `dropped` counts what has no match.

    Raises:
        ModuleNotFoundError: ir_datasets is not installed.
        ValueError: ir_datasets has no queries, documents and judgements of this name, or nothing in the run matches.
        FileNotFoundError: ir_datasets has not all files, and cannot download them.
    """
    try:
        package: Any = import_module("ir_datasets")
        source = package.load(name)
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError("ir_datasets is not installed: pip install ir_datasets", name=missing.name) from None
    except KeyError:
        raise ValueError(f"ir_datasets has no dataset {name!r}") from None
    if not (source.has_docs() and source.has_queries() and source.has_qrels()):
        raise ValueError(f"the dataset {name!r} of ir_datasets lacks documents, queries or judgements: pass a split")
    try:
        queries = [(each.query_id, each.default_text()) for each in source.queries_iter()]
        documents = [(each.doc_id, each.default_text()) for each in source.docs_iter()]
        judgements = [(each.query_id, each.doc_id, int(each.relevance)) for each in source.qrels_iter()]
    except (OSError, RuntimeError) as error:  # ir_datasets logs which files, and raises either
        home = package.util.home_path()
        raise FileNotFoundError(
            f"ir_datasets has not all files of {name!r} in {home}, and cannot download them: put them there, or pass"
            " a folder in BEIR's layout as data (--data)"
        ) from error
    return join_rows(
        name, queries, documents, judgements, None if run is None else Path(run), candidates, ignore_identical_ids
    )
