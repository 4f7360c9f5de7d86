"""Checks the arguments of a call, once for all rerankers that may answer it, and makes its texts valid Unicode."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, cast

from hosted_rerank._text import has_surrogates, is_blank, replace_surrogates
from hosted_rerank._validation import check_count, check_list, check_sequence
from hosted_rerank.errors import InvalidRequestError
from hosted_rerank.providers.document_parts import Parts
from hosted_rerank.wire import Call

logger = logging.getLogger("hosted_rerank")


def check_arguments(call: Call) -> Call:
    """Returns a call whose arguments an API can neither refuse nor misunderstand.

    Its texts are valid Unicode: what reads PDF files produces surrogates, which cannot be sent. A warning in the log
    names the texts that were changed.

    Args:
        call: The arguments of the caller.

    Raises:
        InvalidRequestError: An argument has an impossible value.
        TypeError: An argument has the wrong type.
    """
    query: Any = call.query
    if not isinstance(query, str):
        raise TypeError(f"query must be a str, not {type(query).__name__}")
    if is_blank(query):
        raise InvalidRequestError("query is blank: pass the text to compare the documents with")
    check_sequence("documents", call.documents)
    if call.top_n is not None:
        check_count("top_n", call.top_n, least=1)
    documents = cast("Sequence[str]", call.documents)
    try:
        valid = not has_surrogates(chain((query, call.instruction or ""), documents))
    except TypeError:  # not all are texts
        documents = _with_parts(documents)
        call = replace(call, documents=documents, has_parts=True)
        valid = not has_surrogates((query, call.instruction or "", *documents))
    return call if valid else _with_valid_texts(call, documents)


def _with_parts(documents: Sequence[Any]) -> Sequence[str]:
    """Returns documents with `Parts` for each mapping; a mapping without content becomes a blank text."""
    checked = [
        _to_parts(cast("Mapping[str, Any]", each), index) if isinstance(each, Mapping) else each
        for index, each in enumerate(documents)
    ]
    check_list("documents", checked, str)
    return checked


def _to_parts(document: Mapping[str, Any], index: int) -> str:
    try:
        parts = Parts.of(document)
    except (TypeError, ValueError, RecursionError) as problem:
        raise InvalidRequestError(f"documents[{index}] cannot be written as JSON: {problem}") from None
    return "" if parts.is_blank else parts


def _with_valid_texts(call: Call, texts: Sequence[str]) -> Call:
    """Returns a call without surrogates, and logs which texts had some."""
    names = [name for name in ("query", "instruction") if has_surrogates([getattr(call, name) or ""])]
    wrong = [index for index, text in enumerate(texts) if has_surrogates([text])]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        names.append(f"documents[{wrong[0]}]{more}")
    logger.warning("Surrogates are sent joined if they are a pair, else as U+FFFD: %s", ", ".join(names))
    documents = list(texts)
    for index in wrong:
        documents[index] = replace_surrogates(documents[index])
    instruction = None if call.instruction is None else replace_surrogates(call.instruction)
    return replace(call, query=replace_surrogates(call.query), instruction=instruction, documents=documents)
