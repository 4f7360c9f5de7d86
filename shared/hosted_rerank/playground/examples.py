"""Programs that rerank with a provider, for each framework and for the core."""

import json

from hosted_rerank.providers import Provider
from hosted_rerank.providers.url import url_param_names


def examples(provider: Provider, model: str | None = None, query: str = "Why are there tides?") -> dict[str, str]:
    """Returns a program for each framework and for the core, by its name.

    Args:
        provider: The provider.
        model: The model's id; `None` for the default one.
        query: The question. `documents`, `nodes` and `texts` of the programs are the results of a retriever.
    """
    arguments = [f'provider="{provider.name}"']
    if model is None and provider.needs_model:
        model = "BAAI/bge-reranker-v2-m3"
    if model is not None:
        arguments.append(f"model={_literal(model)}")
    if names := [name for name in url_param_names(provider.url) if name not in provider.params]:
        arguments.append(f"params={{{', '.join(f'{name!r}: {name.upper()!r}' for name in names)}}}".replace("'", '"'))
    construction, question = f"reranker = HostedRerank({', '.join([*arguments, 'top_n=3'])})", _literal(query)
    return {
        "LangChain": f"from langchain_hosted_rerank import HostedRerank\n\n{construction}\n"
        f"best = reranker.compress_documents(documents, {question})\n",
        "LlamaIndex": f"from llamaindex_hosted_rerank import HostedRerank\n\n{construction}\n"
        f"best = reranker.postprocess_nodes(nodes, query_str={question})\n",
        "Core": f"from hosted_rerank import Reranker\n\nreranker = Reranker({', '.join(arguments)})\n"
        f"best = reranker.rerank({question}, texts, top_n=3).results\n",
    }


def _literal(text: str) -> str:
    """Returns a text as a Python literal in double quotes."""
    return json.dumps(text, ensure_ascii=False)
