"""The commands `hosted-rerank providers` and `hosted-rerank check`."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from hosted_rerank.cli.app import commands, fail, parse_provider
from hosted_rerank.providers import PROVIDERS


@commands.command()
def providers(
    name: Annotated[str | None, typer.Argument(help="Show everything about this provider.")] = None,
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
    models: Annotated[bool, typer.Option("--models", help="Print what is known of models, as Markdown.")] = False,
) -> None:
    """List the rerank APIs, or describe one, with an example for each framework."""
    from hosted_rerank.cli import provider_table  # noqa: PLC0415 - imports the core

    if markdown or models:
        typer.echo(provider_table.models_markdown() if models else provider_table.markdown(), nl=False)
        return
    console = Console(width=None if sys.stdout.isatty() else 200)  # a pipe gets whole lines
    if name is None:
        table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
        for title in provider_table.COLUMNS:
            table.add_column(title, no_wrap=True)
        for provider in PROVIDERS.values():
            table.add_row(*map(escape, provider_table.cells(provider)))
        Console(width=max(console.width, 140)).print(
            table
        )  # a narrow terminal wraps the lines, which is better than cut names
        return
    provider = parse_provider(name)
    table = Table("", Column(overflow="fold"), box=None, show_header=False, padding=(0, 2, 0, 0))
    for fact in provider_table.facts(provider):
        table.add_row(*map(escape, fact))
    console.print(f"[bold]{provider.name}[/bold]", table, sep="\n")
    for framework, code in provider_table.examples(provider).items():
        typer.echo(f"\n# {framework}\n{code}", nl=False)


@commands.command()
def check(
    provider: Annotated[
        str | None, typer.Option(help="The provider to check; all whose key is set by default.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The id of the model, in place of the default.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Another URL of the same API.")] = None,
) -> None:
    """Check that keys are set, APIs answer, and two documents come back in the right order."""
    from hosted_rerank.cli.provider_check import check_provider, providers_with_key  # noqa: PLC0415 - imports the core

    if provider is None and (model or base_url):
        raise typer.BadParameter("--model and --base-url need a provider.", param_hint="--provider")
    checked = providers_with_key() if provider is None else [parse_provider(provider)]
    if not checked:
        fail(
            "no API key is set in the environment: set FIREWORKS_API_KEY, NEBIUS_API_KEY or another one"
            " (`hosted-rerank providers` lists them), or check --provider local, which needs no key"
        )
    failed = False
    for each in checked:
        result = check_provider(each, model, base_url)
        failed |= not result.passed
        typer.echo(f"{each.name}: {result.message}", err=not result.passed)
    if failed:
        raise typer.Exit(1)
