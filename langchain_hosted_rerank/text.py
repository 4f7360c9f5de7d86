"""The text to send for a document."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from langchain_core.documents import Document
from langchain_core.messages import HumanMessage

from hosted_rerank._text import is_blank
from hosted_rerank._validation import check_list
from hosted_rerank.providers.document_parts import DocumentParts

_REMEDIES: Mapping[type[Any], str] = {
    str: "wrap them in Document(page_content=...), or call .rerank(texts, query)",
    object: "pass Document(page_content=...)",
}

Parts: TypeAlias = str | Mapping[str, Any]
"""The content to send for a document: a text, or a mapping of parts."""


def document_texts(
    documents: Sequence[Document],
    to_text: Callable[[Document], Any] | None,
    metadata_fields: Sequence[str] | None,
    image_key: str | None,
    images: DocumentParts,
) -> list[Parts]:
    """Return the text to send for each document.

    Args:
        documents: The documents.
        to_text: Returns the text, the parts or the content blocks of a document; `None` uses `page_content`.
        metadata_fields: The metadata keys to put before `page_content`, as `name: value` lines.
        image_key: The metadata key of an image; `None` for none.
        images: How the API takes images.

    Returns:
        One text for each document, or its parts.

    Raises:
        TypeError: An item is not a `Document`.
    """
    check_list("documents", documents, Document, _REMEDIES)
    if to_text is not None:
        return [_to_parts(to_text(document)) for document in documents]
    if not metadata_fields:
        texts = [document.page_content for document in documents]
    else:
        texts = [_with_metadata(document, metadata_fields) for document in documents]
    if image_key is None:
        return [*texts]
    return [_with_image(document, text, image_key, images) for document, text in zip(documents, texts, strict=True)]


def _with_image(document: Document, text: str, image_key: str, images: DocumentParts) -> Parts:
    """Return a text, with the image that the metadata has: a URL, a data URI or a content block."""
    image = document.metadata.get(image_key)
    if image is None:
        return text
    given = _to_parts([image]) if isinstance(image, Mapping) else {"image": image}
    return images.with_text(cast("Mapping[str, Any]", given), text)


def _to_parts(given: Any) -> Any:
    """Return the parts of a list of LangChain's content blocks, and anything else as it is.

    Raises:
        ValueError: There are several images.
    """
    if not isinstance(given, list):
        return given
    content = cast("list[str | dict[Any, Any]]", given)
    parts: dict[str, Any] = {}
    texts: list[str] = []
    for block in cast("list[dict[str, Any]]", HumanMessage(content=content).content_blocks):
        kind = block["type"]
        if kind == "text":
            texts.append(block["text"])
        elif kind in parts:
            raise ValueError(f"a document has several content blocks of type {kind}: it may have one")
        else:
            parts[kind] = block.get("url") or f"data:{block.get('mime_type', '')};base64,{block.get('base64', '')}"
    return {**parts, **({"text": "\n".join(texts)} if texts else {})}


def _with_metadata(document: Document, fields: Sequence[str]) -> str:
    if is_blank(document.page_content):
        return ""  # a document with only metadata counts as blank
    lines = [f"{name}: {document.metadata[name]}" for name in fields if name in document.metadata]
    return "\n".join([*lines, document.page_content])


def mixed_texts(
    documents: Sequence[str | Document | Mapping[str, Any] | list[Any]],
    texts_of_documents: Callable[[Sequence[Document]], list[Parts]],
    rank_fields: Sequence[str] | None,
) -> list[Parts]:
    """Return the text to send for each item of a mixed list.

    Args:
        documents: Texts, documents, mappings, or lists of content blocks.
        texts_of_documents: Returns the texts of documents.
        rank_fields: The keys of a mapping to send; `None` sends all.

    Returns:
        One text for each item, or its parts.

    Raises:
        TypeError: An item is not a text, a document or a mapping.
    """
    check_list("documents", documents, object)
    texts: list[Parts] = []
    for index, document in enumerate(documents):
        if isinstance(document, str):
            texts.append(document)
        elif isinstance(document, Mapping):
            names = document.keys() if rank_fields is None else [name for name in rank_fields if name in document]
            texts.append({name: document[name] for name in names})
        elif isinstance(document, list):
            texts.append(_to_parts(document))
        elif isinstance(document, Document):
            texts.extend(texts_of_documents([document]))
        else:
            kind = type(document).__name__
            raise TypeError(f"documents[{index}] must be a text, a Document, a mapping or content blocks, not {kind}")
    return texts
