"""The commands `hosted-rerank providers` and `hosted-rerank check`."""

import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from hosted_rerank.cli.app import (
    EXIT_DENIED,
    EXIT_FAILED,
    BaseUrlOption,
    ModelOption,
    commands,
    complete_provider,
    exit_status,
    fail,
    joint_status,
    parse_provider,
    use_shell_words,
)
from hosted_rerank.errors import RerankError
from hosted_rerank.providers import PROVIDERS, providers_with_key


@commands.command()
def providers(
    name: Annotated[
        str | None, typer.Argument(help="Show everything about this provider.", autocompletion=complete_provider)
    ] = None,
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all that is known as JSON.")] = False,
    models: Annotated[bool, typer.Option("--models", help="Print what is known of models, as Markdown.")] = False,
) -> None:
    """List the rerank APIs, or describe one. A description has an example for each framework."""
    from hosted_rerank.cli import provider_table  # noqa: PLC0415 - imports the core
    from hosted_rerank.playground.examples import examples  # noqa: PLC0415 - as above

    if markdown or models:
        typer.echo(provider_table.models_markdown() if models else provider_table.markdown(), nl=False)
        return
    console = Console(width=None if sys.stdout.isatty() else 200)  # a pipe gets whole lines
    if as_json:
        shown = PROVIDERS.values() if name is None else [parse_provider(name)]
        typer.echo(json.dumps({each.name: dict(provider_table.facts(each)) for each in shown}, ensure_ascii=False))
        return
    if name is None:
        console.print(provider_table.terminal_table(console.width))
        return
    provider = parse_provider(name)
    table = Table("", Column(overflow="fold"), box=None, show_header=False, padding=(0, 2, 0, 0))
    for fact in provider_table.facts(provider):
        table.add_row(*map(escape, fact))
    console.print(f"[bold]{provider.name}[/bold]", table, sep="\n")
    for framework, code in examples(provider).items():
        typer.echo(f"\n# {framework}\n{code}", nl=False)


@commands.command()
def check(
    provider: Annotated[
        str | None,
        typer.Option(help="The provider to check; all whose key is set by default.", autocompletion=complete_provider),
    ] = None,
    model: ModelOption = None,
    base_url: BaseUrlOption = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Check that the rerank APIs work. Keys are set, APIs answer, and of two documents the right one comes first.

    Exit status: 0 if all work; 75 if each that does not is unavailable for now, 77 if each lacks a valid key; else 1.
    """
    from hosted_rerank.cli.provider_check import check_provider  # noqa: PLC0415 - imports the core

    if provider is None and (model or base_url):
        raise typer.BadParameter("--model and --base-url need a provider.", param_hint="--provider")
    checked = providers_with_key() if provider is None else [parse_provider(provider)]
    if not checked:
        fail(
            "no API key is set in the environment: set FIREWORKS_API_KEY, NEBIUS_API_KEY or another one"
            " (`hosted-rerank providers` lists them), or check --provider local, which needs no key",
            EXIT_DENIED,
        )
    results = {each.name: check_provider(each, model, base_url) for each in checked}
    said = {name: use_shell_words(result.message) for name, result in results.items()}
    if as_json:
        typer.echo(json.dumps({name: {"passed": results[name].passed, "message": said[name]} for name in results}))
    else:
        for name, result in results.items():
            typer.echo(f"{name}: {said[name]}", err=not result.passed)
    errors = [result.error for result in results.values() if not result.passed]
    if errors:
        raise typer.Exit(
            joint_status(exit_status(error) if isinstance(error, RerankError) else EXIT_FAILED for error in errors)
        )
