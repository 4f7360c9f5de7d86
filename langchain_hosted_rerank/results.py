"""The results of a rerank as LangChain documents, and as indexes and scores."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.documents import Document

from hosted_rerank import RerankResponse
from hosted_rerank.frameworks.settings import EXTRA_KEY, PASSAGE_KEY, PASSTHROUGH_KEY
from hosted_rerank.response import PASSAGE


def ranked_documents(
    documents: Sequence[Document], response: RerankResponse, score_key: str, *, keep_extra: bool = False
) -> list[Document]:
    """Return copies of the documents in their new order.

    The metadata of a copy holds its score, or the name of the error if an outage left it unscored, and the place of the
    best passage of a long document. What an earlier reranker left under the same keys is removed, so that the scores of
    two rerankers never mix.

    Args:
        documents: The candidates, which stay unchanged.
        response: The response for these documents.
        score_key: The metadata key of the score.
        keep_extra: Whether the metadata holds the other fields of the result too.

    Returns:
        One copy for each result. Its metadata is new, with the dicts, lists and sets in it; other values are the same.
    """
    earlier = {PASSTHROUGH_KEY, PASSAGE_KEY, EXTRA_KEY, score_key}
    copies: list[Document] = []
    for index, score, error, extra in response.results:
        document = documents[index]
        metadata = _copy_dict(document.metadata)
        for key in earlier & metadata.keys():
            del metadata[key]
        if error is not None:
            metadata[PASSTHROUGH_KEY] = error
        elif score is not None:
            metadata[score_key] = score
        if passage := extra.get(PASSAGE):
            metadata[PASSAGE_KEY] = passage
        if keep_extra and extra:
            metadata[EXTRA_KEY] = dict(extra)
        copies.append(document.model_copy(update={"metadata": metadata}))
    return copies


def copy_nested(value: Any) -> Any:
    """Return a copy of a dict, list, set or tuple with copies of those in it; other values stay the same objects."""
    kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType] - the type of Any
    copy_of = _COPIES.get(kind)
    return value if copy_of is None else copy_of(value)


def _copy_dict(value: dict[Any, Any]) -> dict[Any, Any]:
    if _COPIES.keys().isdisjoint(map(type, value.values())):  # a loop in C for the usual, flat metadata
        return dict(value)
    return {name: copy_nested(each) for name, each in value.items()}


def _copy_list(value: list[Any]) -> list[Any]:
    return [copy_nested(each) for each in value]


def _copy_tuple(value: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(map(copy_nested, value))


_COPIES: Mapping[type[Any], Callable[[Any], Any]] = {
    dict: _copy_dict,
    list: _copy_list,
    set: set,
    tuple: _copy_tuple,
}


def ranked_pairs(response: RerankResponse) -> list[dict[str, Any]]:
    """Return one `{"index": int, "relevance_score": float | None}` for each result, in the format of Cohere."""
    return [{"index": index, "relevance_score": score} for index, score, *_ in response.results]
