"""Checks the arguments of a call, once for all rerankers that may answer it, and makes its texts valid Unicode."""

import logging
from dataclasses import replace
from itertools import chain
from typing import Any

from hosted_rerank._text import has_surrogates, is_blank, replace_surrogates
from hosted_rerank._validation import check_count, check_list, check_sequence
from hosted_rerank.errors import InvalidRequestError
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
    try:
        valid = not has_surrogates(chain((query, call.instruction or ""), call.documents))
    except TypeError:
        check_list("documents", call.documents, str)
        raise
    return call if valid else _with_valid_texts(call)


def _with_valid_texts(call: Call) -> Call:
    """Returns a call without surrogates, and logs which texts had some."""
    names = [name for name in ("query", "instruction") if has_surrogates([getattr(call, name) or ""])]
    wrong = [index for index, text in enumerate(call.documents) if has_surrogates([text])]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        names.append(f"documents[{wrong[0]}]{more}")
    logger.warning("Surrogates are sent joined if they are a pair, else as U+FFFD: %s", ", ".join(names))
    documents = list(call.documents)
    for index in wrong:
        documents[index] = replace_surrogates(documents[index])
    instruction = None if call.instruction is None else replace_surrogates(call.instruction)
    return replace(call, query=replace_surrogates(call.query), instruction=instruction, documents=documents)
