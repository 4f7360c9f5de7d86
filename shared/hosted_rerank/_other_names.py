"""What the other rerankers of both frameworks call our parameters, for the message that refuses such a name."""

from collections.abc import Callable, Collection, Mapping
from functools import wraps
from inspect import signature
from typing import ParamSpec

from hosted_rerank._validation import closest

P = ParamSpec("P")

_OTHER_NAMES: Mapping[str, str] = {
    "auth_token": "api_key",
    "aclient": "async_client",
    "http_async_client": "async_client",
    "async_http_client": "async_client",
    "http_client": "client",
    "session": "client",
    "default_headers": "headers",
    "extra_headers": "headers",
    "user_agent": "headers",
    "callbacks": "callback_manager",
    "httpx_client": "client",
    "httpx_async_client": "async_client",
    "max_batch_size": "batch_size",
    "choice_batch_size": "batch_size",
    "embed_batch_size": "batch_size",
    "model_id": "model",
    "model_name": "model",
    "model_name_or_path": "model",
    "task": "instruction",
    "query_instruction": "instruction",
    "choice_select_prompt": "instruction",
    "text_instruction": "text_fn",
    "threshold": "score_threshold",
    "request_timeout": "timeout",
    "top_k": "top_n",
    "top_results": "top_n",
    "max_length": "max_document_chars",
    "max_tokens_per_doc": "max_document_chars",
    "truncate_text": "max_document_chars",
    "truncation": "max_document_chars",
    "truncate": "max_document_chars",
    "base_compressor": "reranker",
    "compressor": "reranker",
    "retriever": "base_retriever",
    "api_base": "base_url",
    "api_url": "base_url",
    "endpoint": "base_url",
}
"""Our parameter by the other name. Keys of all vendors end alike, and are not in it."""

NOT_HERE: Mapping[str, str] = {
    "return_documents": "results always come with your own documents",
    "callbacks": "pass them in the config of a call",
    "device": "the server has the model",
    "llm": "no language model is asked: pass provider and model",
}
"""What to do about a parameter of other rerankers that these classes have not."""

_OF_A_CALL: Mapping[str, str] = {
    "top_n": "pass top_n to rerank",
    "score_threshold": "compare the scores of the response",
}
"""What to do about a parameter of the frameworks' classes that `Reranker` has not."""
_NONE: Mapping[str, str] = {}


def remedy_for(
    name: str, known: Collection[str], options: Collection[str] = (), not_here: Mapping[str, str] = _NONE
) -> str | None:
    """Returns what to do about an unknown argument: what it is called here, for names of other rerankers and typos.

    Args:
        name: The argument.
        known: Our arguments in its place.
        options: The options of the provider's API.
        not_here: The remedies for parameters that have no name here.

    Returns:
        The remedy, such as "did you mean `top_n`?"; `None` if none is known.
    """
    if name in options and "options" in known:
        return f"pass options={{{name!r}: ...}}"
    other = "api_key" if name.endswith(("api_key", "api_token")) else _OTHER_NAMES.get(name)
    for ours in filter(None, (other, name, closest(name, [*known, *not_here]))):
        if ours in known:
            return f"did you mean `{ours}`?"
        if ours in not_here:
            return not_here[ours]
    return None


def explain_unknown(constructor: Callable[P, None]) -> Callable[P, None]:
    """Makes a constructor's error for an unknown argument say what it is called here, where that is known.

    Args:
        constructor: The `__init__` of a class.

    Returns:
        The same `__init__`; it raises a `TypeError` for an unknown argument.
    """
    known = list(signature(constructor).parameters)[1:]

    @wraps(constructor)
    def checked(*values: P.args, **named: P.kwargs) -> None:
        for name in named:
            if name not in known and (remedy := remedy_for(name, known, not_here=_OF_A_CALL)):
                raise TypeError(f"{type(values[0]).__name__} takes no {name}: {remedy}")
        constructor(*values, **named)

    return checked
