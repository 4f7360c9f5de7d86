"""The provider table as text, for the command line and the README."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from hosted_rerank.providers import PROVIDERS, Provider
from hosted_rerank.providers.auth import KeyHeader
from hosted_rerank.providers.dialect import OptionType
from hosted_rerank.providers.models import MODELS, ModelFacts

COLUMNS = ("name", "key", "documents", "instruction", "scores", "default model")
MODEL_COLUMNS = ("models", "at", "listwise", "documents", "tokens of a request", "tokens of a document", "scores")
WIDE = 130
"""Characters of a line that has room for all columns of the table."""
NARROW_COLUMNS = (0, 1, 5)
"""The columns of a narrow table: name, key and default model."""
SCORES = {"unit": "0 to 1", "logit": "logit", "unknown": "the model's"}


def cells(provider: Provider) -> tuple[str, ...]:
    """Returns the cells of a provider's line in the table, in the order of `COLUMNS`."""
    known = provider.facts(provider.default_model)
    return (
        provider.name,
        _describe_key(provider),
        _describe_count(known.max_documents),
        (provider.dialect.instruction or "").rpartition(".")[2] or ("prompt" if provider.dialect.prompt else ""),
        SCORES[known.score_kind or "unknown"],
        provider.default_model or ("choose one" if provider.needs_model else "the server's"),
    )


def terminal_table(width: int) -> Table:
    """Returns the table for a terminal: all columns where they have room, else the most important ones.

    Args:
        width: The characters of a line.
    """
    columns = range(len(COLUMNS)) if width >= WIDE else NARROW_COLUMNS
    caption = None if width >= WIDE else "`hosted-rerank providers NAME` shows the rest."
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0), caption=caption, caption_justify="left")
    for column in columns:
        table.add_column(COLUMNS[column], no_wrap=column == 0, overflow="fold")
    for provider in PROVIDERS.values():
        line = cells(provider)
        table.add_row(*(escape(line[column]) for column in columns))
    return table


def model_cells(facts: ModelFacts) -> tuple[str, ...]:
    """Returns the cells of a line in the table of models, in the order of `MODEL_COLUMNS`."""
    return (
        facts.pattern.replace("|", "\\|"),
        ", ".join(facts.providers),
        "yes" if facts.listwise else "",
        _describe_count(facts.max_documents),
        _describe_count(facts.max_tokens),
        _describe_count(facts.max_document_tokens),
        SCORES[facts.score_kind] if facts.score_kind else "",
    )


def _describe_count(count: int | None) -> str:
    return f"{count:,}" if count else ""


def _describe_key(provider: Provider) -> str:
    if provider.api_key_env:
        return provider.api_key_env[0]
    return "none needed" if isinstance(provider.auth, KeyHeader) else f"{provider.auth.needs[0].split()[0]} finds it"


def markdown() -> str:
    """Returns the whole table in Markdown, with links to the pages that describe the APIs, and where they run."""
    return _table(
        (*COLUMNS[:-1], "runs at", COLUMNS[-1]), [_markdown_cells(provider) for provider in PROVIDERS.values()]
    )


def models_markdown() -> str:
    """Returns the table of models in Markdown."""
    return _table(MODEL_COLUMNS, [(f"`{first}`", *others) for first, *others in map(model_cells, MODELS)])


def _table(columns: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in (columns, ("---",) * len(columns), *lines))


def _markdown_cells(provider: Provider) -> tuple[str, ...]:
    name, *others, model = _mark_code(cells(provider))
    return (f"[{name}]({provider.docs})" if provider.docs else name, *others, _describe_place(provider), model)


def _describe_place(provider: Provider) -> str:
    """Returns where documents go: the host of the API, or this process, or a server of the caller's."""
    if provider.name == "local":
        return "this process"
    host = provider.url.split("/")[2]
    for name, value in provider.params.items():
        host = host.replace(f"{{{name}}}", value)
    return "your server" if host.startswith(("localhost", "127.0.0.1")) else host


def _mark_code(line: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the line with names, variables and models marked as code."""
    return tuple(
        f"`{cell}`" if cell and " " not in cell and place not in (2, 4) else cell for place, cell in enumerate(line)
    )


def facts(provider: Provider) -> list[tuple[str, str]]:
    """Returns all facts about a provider, as names and values; a fact without a value is left out."""
    dialect = provider.dialect
    options = ", ".join(f"{name} ({_describe_type(kind)})" for name, kind in dialect.options.items())
    variables = ", ".join(f"{name} ({' or '.join(env)})" for name, env in provider.settings_env.items())
    known = provider.facts(provider.default_model)
    facts = [
        ("described at", provider.docs),
        ("address", provider.url),
        ("key", " or ".join(provider.api_key_env) or _describe_key(provider)),
        ("key's header", provider.auth.name if isinstance(provider.auth, KeyHeader) and provider.api_key_env else ""),
        ("base URL from the environment", " or ".join(provider.base_url_env)),
        ("settings from the environment", variables),
        ("params", ", ".join(f"{name}={value}" for name, value in provider.params.items())),
        ("default model", provider.default_model or ""),
        ("seen", _describe_sighting(provider)),
        ("other models", ", ".join(provider.other_models)),
        (
            "instruction",
            dialect.instruction or cells(provider)[3] or "no field; instruction_in_query=True puts it before the query",
        ),
        ("options", options),
        ("extra_body", "accepted: the API ignores unknown fields" if dialect.allows_extra_fields else "refused"),
        ("listwise", "yes: its scores are comparable only within one request" if known.listwise else ""),
        ("documents of a request", f"up to {known.max_documents:,}" if known.max_documents else ""),
        ("bytes of a request", f"up to {provider.max_bytes:,}" if provider.max_bytes else ""),
        ("tokens of a request", f"up to {known.max_tokens:,}" if known.max_tokens else ""),
        ("tokens of a document", f"up to {known.max_document_tokens:,}" if known.max_document_tokens else ""),
        (
            "scores",
            SCORES[known.score_kind or "unknown"]
            + (", converted to 0 to 1 by the sigmoid" if known.score_kind == "logit" else ""),
        ),
    ]
    return [(name, value) for name, value in facts if value]


def _describe_sighting(provider: Provider) -> str:
    if provider.default_model_seen is None:
        return ""
    ends = f"; it ends on {provider.default_model_ends}" if provider.default_model_ends else ""
    return f"on {provider.default_model_seen} at {provider.default_model_source or provider.docs}{ends}"


def _describe_type(kind: OptionType) -> str:
    return " | ".join(kind) if isinstance(kind, tuple) else kind.__name__
