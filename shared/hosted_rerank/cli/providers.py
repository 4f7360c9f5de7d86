"""`hosted-rerank providers` and `hosted-rerank check`."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from hosted_rerank.cli.app import commands, fail, row_of
from hosted_rerank.providers import PROVIDERS


@commands.command()
def providers(
    name: Annotated[str | None, typer.Argument(help="Show all of this one.")] = None,
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="Write the table as Markdown.")] = False,
) -> None:
    """List the rerank APIs, or show what one takes, with an example for each framework."""
    from hosted_rerank.cli import provider_table  # noqa: PLC0415 - imports the core

    if markdown:
        typer.echo(provider_table.markdown(), nl=False)
        return
    console = Console(width=None if sys.stdout.isatty() else 200)  # in a pipe, nothing is cut
    if name is None:
        table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
        for title in provider_table.COLUMNS:
            table.add_column(title, no_wrap=True)
        for row in PROVIDERS.values():
            table.add_row(*map(escape, provider_table.cells(row)))
        Console(width=max(console.width, 140)).print(table)  # a narrow terminal wraps lines; cut names help nobody
        return
    row = row_of(name)
    table = Table("", Column(overflow="fold"), box=None, show_header=False, padding=(0, 2, 0, 0))
    for fact in provider_table.facts(row):
        table.add_row(*map(escape, fact))
    console.print(f"[bold]{row.name}[/bold]", table, sep="\n")
    for framework, code in provider_table.examples(row).items():
        typer.echo(f"\n# {framework}\n{code}", nl=False)


@commands.command()
def check(
    provider: Annotated[str | None, typer.Option(help="Check this one; else all that have a key.")] = None,
    model: Annotated[str | None, typer.Option(help="Instead of the default model.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Another address of the same API.")] = None,
) -> None:
    """Tell whether keys are set, APIs answer, and two documents come back in the right order."""
    from hosted_rerank.cli.provider_check import check_provider, with_keys  # noqa: PLC0415 - imports the core

    if provider is None and (model or base_url):
        raise typer.BadParameter("say which one it is for.", param_hint="--provider")
    rows = with_keys() if provider is None else [row_of(provider)]
    if not rows:
        fail(
            "no key is set in the environment: set FIREWORKS_API_KEY, NEBIUS_API_KEY or another"
            " (`hosted-rerank providers` lists them), or check --provider local, which needs none"
        )
    failed = False
    for row in rows:
        found = check_provider(row, model, base_url)
        failed |= not found.fine
        typer.echo(f"{row.name}: {found.says}", err=not found.fine)
    if failed:
        raise typer.Exit(1)
