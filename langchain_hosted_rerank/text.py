"""The text to send for a document."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.documents import Document

from hosted_rerank._text import is_blank
from hosted_rerank._validation import check_list

_REMEDIES: Mapping[type[Any], str] = {str: "wrap them in Document(page_content=...), or call .rerank(texts, query)"}


def document_texts(
    documents: Sequence[Document], to_text: Callable[[Document], str] | None, metadata_fields: Sequence[str] | None
) -> list[str]:
    """Return the text to send for each document.

    Args:
        documents: The documents.
        to_text: Returns the text of a document; `None` uses `page_content`.
        metadata_fields: The metadata keys to put before `page_content`, as `name: value` lines.

    Returns:
        One text for each document.

    Raises:
        TypeError: An item is not a `Document`.
    """
    check_list("documents", documents, Document, _REMEDIES)
    if to_text is not None:
        return [to_text(document) for document in documents]
    if not metadata_fields:
        return [document.page_content for document in documents]
    return [_with_metadata(document, metadata_fields) for document in documents]


def _with_metadata(document: Document, fields: Sequence[str]) -> str:
    if is_blank(document.page_content):
        return ""  # a document with only metadata counts as blank
    lines = [f"{name}: {document.metadata[name]}" for name in fields if name in document.metadata]
    return "\n".join([*lines, document.page_content])


def mixed_texts(
    documents: Sequence[str | Document | Mapping[str, Any]],
    texts_of_documents: Callable[[Sequence[Document]], list[str]],
    rank_fields: Sequence[str] | None,
) -> list[str]:
    """Return the text to send for each item of a mixed list.

    Args:
        documents: Texts, documents or mappings.
        texts_of_documents: Returns the texts of documents.
        rank_fields: The keys of a mapping to send; `None` sends all.

    Returns:
        One text for each item. The text of a mapping is JSON.

    Raises:
        TypeError: An item is not a text, a document or a mapping.
    """
    check_list("documents", documents, object)
    texts: list[str] = []
    for document in documents:
        if isinstance(document, str):
            texts.append(document)
        elif isinstance(document, Mapping):
            names = document.keys() if rank_fields is None else [name for name in rank_fields if name in document]
            texts.append(json.dumps({name: document[name] for name in names}, ensure_ascii=False, default=str))
        else:
            texts.extend(texts_of_documents([document]))
    return texts
