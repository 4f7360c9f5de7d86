"""The query and the documents in a request, as the embedded model reads them: texts."""

import re
from collections.abc import Mapping
from typing import Any

from hosted_rerank.providers import Provider
from hosted_rerank.providers.document_parts import MEDIA, TEXT_ONLY, DocumentParts
from hosted_rerank.providers.json_path import at, is_array, is_object
from hosted_rerank.providers.prompt import Prompt

_NOT_TEXT = ("type", *MEDIA)
"""Fields of a document that are not read as text."""


class InvalidError(Exception):
    """A request is invalid; the message is for the client."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def read_texts(provider: Provider, body: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Returns the query and the texts of the documents of a request.

    Args:
        provider: Whose API the request is for.
        body: The body.

    Raises:
        InvalidError: The request has no texts where the API has them.
    """
    dialect = provider.dialect
    items = at(body, dialect.documents)
    if not is_array(items) or not items:
        raise InvalidError(f"{dialect.documents} must be a list that is not empty")
    texts = [_get_text(provider, item, at(body, "rank_fields")) for item in items]
    if dialect.prompt is not None:
        pairs = [_parse_prompt(dialect.prompt, text) for text in texts]
        return pairs[0][0], [document for _, document in pairs]
    in_pairs = dialect.document_query is not None
    query = at(items[0], dialect.document_query or "") if in_pairs else at(body, dialect.query or "")
    if not isinstance(query, str):
        raise InvalidError(f"{dialect.query or 'the query of a pair'} must be a string")
    return query, texts


def _get_text(provider: Provider, item: Any, rank_fields: Any) -> str:
    dialect = provider.dialect
    if isinstance(item, str) and not dialect.document:
        return item
    if is_object(item) and is_array(rank_fields) and (found := [item[name] for name in rank_fields if name in item]):
        return "\n".join(map(str, found))
    if isinstance(text := at(item, dialect.document or "text"), str):
        return text
    words = _get_text_of_parts(dialect.document_parts, at(item, dialect.document_parts.path))
    if words is None:
        raise InvalidError(f"an item of {dialect.documents} has no text")
    return words


def _get_text_of_parts(parts: DocumentParts, value: Any) -> str | None:
    """Returns the texts in a document of parts, as the embedded model sees no image; `None` if it is none."""
    if parts.content == "typed":
        words = at(value, "value")
        return (words if at(value, "type") == "text" else "") if isinstance(words, str) else None
    blocks = value if is_array(value) and parts.content == "blocks" else [value]
    texts = (text for block in blocks if is_object(block) for name, text in block.items() if name not in _NOT_TEXT)
    if parts == TEXT_ONLY or not all(map(is_object, blocks)):
        return None
    return "\n".join(text for text in texts if isinstance(text, str))


def _parse_prompt(prompt: Prompt, text: str) -> tuple[str, str]:
    """Returns the query and the document in a prompt."""
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.*)", re.escape(prompt.template))
    match = re.fullmatch(pattern, text, re.DOTALL)
    if match is None:
        raise InvalidError("the prompt does not follow the template of the reranker")
    return match["query"], match["document"]
