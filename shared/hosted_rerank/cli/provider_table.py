"""The provider table as people read it: for the command line and the README."""

from hosted_rerank.providers import PROVIDERS, Provider
from hosted_rerank.providers.auth import KeyHeader
from hosted_rerank.providers.dialect import OptionType
from hosted_rerank.providers.url import url_param_names

COLUMNS = ("name", "key", "documents", "instruction", "scores", "default model")
SCORES = {"unit": "0 to 1", "logit": "logit", "unknown": "the model's"}


def cells(row: Provider) -> tuple[str, ...]:
    """Return what a row's line of the table says, in the order of `COLUMNS`."""
    return (
        row.name,
        _key(row),
        f"{row.max_documents:,}" if row.max_documents else "",
        (row.dialect.instruction or "").rpartition(".")[2] or ("prompt" if row.dialect.prompt else ""),
        SCORES[row.score_kind],
        row.default_model or ("the server's" if row.dialect.model is None else "choose one"),
    )


def _key(row: Provider) -> str:
    if row.api_key_env:
        return row.api_key_env[0]
    return "none needed" if isinstance(row.auth, KeyHeader) else f"{row.auth.needs[0].split()[0]} finds it"


def markdown() -> str:
    """Return the whole table in Markdown."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(_coded(cells(row)) for row in PROVIDERS.values())]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _coded(line: tuple[str, ...]) -> tuple[str, ...]:
    """The line with what one types as code."""
    return tuple(
        f"`{cell}`" if cell and " " not in cell and place not in (2, 4) else cell for place, cell in enumerate(line)
    )


def facts(row: Provider) -> list[tuple[str, str]]:
    """Return all that a user may want to know of a row, as names and values."""
    dialect = row.dialect
    options = ", ".join(f"{name} ({_kind(kind)})" for name, kind in dialect.options.items())
    variables = ", ".join(f"{name} ({' or '.join(env)})" for name, env in row.settings_env.items())
    found = [
        ("described at", row.docs),
        ("address", row.url),
        ("key", " or ".join(row.api_key_env) or _key(row)),
        ("key's header", row.auth.name if isinstance(row.auth, KeyHeader) and row.api_key_env else ""),
        ("settings from the environment", variables),
        ("params", ", ".join(f"{name}={value}" for name, value in row.params.items())),
        ("default model", row.default_model or ""),
        (
            "instruction",
            dialect.instruction or cells(row)[3] or "no field; instruction_in_query=True puts it before the query",
        ),
        ("options", options),
        ("extra_body", "taken: fields that it does not know are ignored" if dialect.allows_extra_fields else "refused"),
        ("documents of a request", f"up to {row.max_documents:,}" if row.max_documents else ""),
        ("bytes of a request", f"up to {row.max_bytes:,}" if row.max_bytes else ""),
        ("tokens of a request", f"up to {row.max_tokens:,}" if row.max_tokens else ""),
        ("scores", SCORES[row.score_kind] + (", made 0 to 1 by their sigmoid" if row.score_kind == "logit" else "")),
        ("listwise models", ", ".join(row.listwise_models)),
    ]
    return [(name, value) for name, value in found if value]


def _kind(kind: OptionType) -> str:
    return " | ".join(kind) if isinstance(kind, tuple) else kind.__name__


def examples(row: Provider) -> dict[str, str]:
    """Return a program for each framework, as code; `documents` and `nodes` are what a retriever found."""
    arguments = [f'provider="{row.name}"']
    if row.default_model is None and row.dialect.model is not None:
        arguments.append('model="BAAI/bge-reranker-v2-m3"')
    if parts := [name for name in url_param_names(row.url) if name not in row.params]:
        arguments.append(f"params={{{', '.join(f'{name!r}: {name.upper()!r}' for name in parts)}}}".replace("'", '"'))
    made = f"reranker = HostedRerank({', '.join([*arguments, 'top_n=3'])})"
    return {
        "LangChain": f"from langchain_hosted_rerank import HostedRerank\n\n{made}\n"
        'best = reranker.compress_documents(documents, "Why are there tides?")\n',
        "LlamaIndex": f"from llamaindex_hosted_rerank import HostedRerank\n\n{made}\n"
        'best = reranker.postprocess_nodes(nodes, query_str="Why are there tides?")\n',
    }
