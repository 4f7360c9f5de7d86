"""The documents of a call as the API of an endpoint takes them."""

from collections.abc import Sequence
from typing import cast

from hosted_rerank._text import is_blank
from hosted_rerank.errors import InvalidRequestError
from hosted_rerank.providers import PROVIDERS
from hosted_rerank.providers.document_parts import Parts
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.wire import Call


def prepare_documents(endpoint: Endpoint, call: Call, max_chars: int | None) -> Sequence[str]:
    """Returns the documents of a call, of which each is a text, or `Parts` that the API takes.

    Args:
        endpoint: Where they are sent.
        call: The call, which `check_arguments` has checked.
        max_chars: The number of characters of a text to send; `None` for all.

    Raises:
        InvalidRequestError: A document has a part that the API does not take.
    """
    documents = cast("Sequence[str]", call.documents)
    if "rank_fields" in endpoint.options:
        _check_fields(endpoint, documents)
    if call.has_parts:
        documents = [
            _prepare(endpoint, index, document) if isinstance(document, Parts) else document
            for index, document in enumerate(documents)
        ]
    return documents if max_chars is None else [_shorten(document, max_chars) for document in documents]


def _prepare(endpoint: Endpoint, index: int, document: Parts) -> str:
    try:
        return endpoint.provider.dialect.document_parts.prepare(document, endpoint.model)
    except ValueError as problem:
        name = endpoint.provider.name
        others = [row.name for row in PROVIDERS.values() if row.dialect.document_parts.takes("image", None)]
        raise InvalidRequestError(
            f"documents[{index}] {problem} ({name}): pass a text in its place, or use a model that takes it"
            f" (at {', '.join(others)} are models for images)",
            provider=name,
        ) from None


def _check_fields(endpoint: Endpoint, documents: Sequence[str]) -> None:
    """Raises the error for texts where `rank_fields` names the fields of documents."""
    for index, document in enumerate(documents):
        if not isinstance(document, Parts) and not is_blank(document):
            raise InvalidRequestError(
                f"documents[{index}] is a text, and options has rank_fields, which names fields: pass documents such as"
                " {'title': ..., 'text': ...}, or leave rank_fields out",
                provider=endpoint.provider.name,
            )


def _shorten(document: str, max_chars: int) -> str:
    return document.shortened(max_chars) if isinstance(document, Parts) else document[:max_chars]
