"""The commands of `hosted-rerank`: the provider table, a check of one's keys, a local server, and a demonstration.

What they need is imported when they run, so that `--help` is quick and a missing extra is one line.
"""

import ipaddress
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from hosted_rerank.providers import PROVIDERS, Provider, find_provider

commands = typer.Typer(
    help="Rerank APIs, tried out on this machine: a real model, no key, no network.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@commands.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8787,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="HOSTED_RERANK_API_KEY", show_envvar=True, help="Key to ask for; none by default."),
    ] = None,
    latency: Annotated[str, typer.Option(help="Time that an answer takes at least: 100ms, 2s.")] = "0s",
    jitter: Annotated[str, typer.Option(help="Time that it takes more, by chance.")] = "0s",
    rate: Annotated[str | None, typer.Option(help="Requests taken: 60/min, 50/s. More get a 429.")] = None,
    burst: Annotated[
        int | None, typer.Option(min=1, help="Requests taken at once; a second's worth by default.")
    ] = None,
    growing: Annotated[bool, typer.Option("--growing", help="Let the rate grow with its use.")] = False,
    max_documents: Annotated[int | None, typer.Option(min=1, help="Documents of a request. More get a 413.")] = None,
    instant: Annotated[bool, typer.Option("--instant", help="Score by a hash, which costs nothing.")] = False,
    fault: Annotated[
        str, typer.Option(help="What goes wrong, and how often: 429=0.05,reset=0.01,truncated=0.01.")
    ] = "",
    seed: Annotated[int | None, typer.Option(help="Of the chances, to have them again.")] = None,
) -> None:
    """Serve the embedded model through every rerank API of the table, each below /<provider>."""
    with _explained():
        from hosted_rerank.local import conditions  # noqa: PLC0415 - heavy, and an extra
        from hosted_rerank.local.server import serve as serve_apis  # noqa: PLC0415 - likewise

        if rate is None and (burst or growing):
            raise typer.BadParameter("--burst and --growing are about a rate.", param_hint="--rate")
        try:
            limit = rate and conditions.Limit(conditions.rate(rate), burst, growing=growing)
            day = conditions.Conditions(
                latency=conditions.duration(latency),
                jitter=conditions.duration(jitter),
                limit=limit or None,
                max_documents=max_documents,
                faults=conditions.faults(fault),
                score=conditions.instant if instant else None,
                seed=seed,
            )
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

        if not api_key and not _is_loopback(host):
            typer.echo(f"Anyone who reaches {host} can use this server: --api-key asks for a key.", err=True)
        try:
            serve_apis(port, host, api_key or None, day)
        except OSError as error:
            reason = str(error.strerror).partition(" (")[0]  # what follows repeats the address
            _fail(f"cannot listen on {host}, port {port}: {reason}. Another --port or --host may be free.")


@commands.command()
def providers(
    name: Annotated[str | None, typer.Argument(help="Show all of this one.")] = None,
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="Write the table as Markdown.")] = False,
) -> None:
    """List the rerank APIs, or show what one takes, with an example for each framework."""
    from hosted_rerank import catalogue  # noqa: PLC0415 - imports the core

    if markdown:
        typer.echo(catalogue.markdown(), nl=False)
        return
    console = Console(width=None if sys.stdout.isatty() else 200)  # in a pipe, nothing is cut
    if name is None:
        table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
        for title in catalogue.COLUMNS:
            table.add_column(title, no_wrap=True)
        for row in PROVIDERS.values():
            table.add_row(*map(escape, catalogue.cells(row)))
        Console(width=max(console.width, 140)).print(table)  # a narrow terminal wraps lines; cut names help nobody
        return
    row = _row(name)
    table = Table("", Column(overflow="fold"), box=None, show_header=False, padding=(0, 2, 0, 0))
    for fact in catalogue.facts(row):
        table.add_row(*map(escape, fact))
    console.print(f"[bold]{row.name}[/bold]", table, sep="\n")
    for framework, code in catalogue.examples(row).items():
        typer.echo(f"\n# {framework}\n{code}", nl=False)


@commands.command()
def check(
    provider: Annotated[str | None, typer.Option(help="Check this one; else all that have a key.")] = None,
    model: Annotated[str | None, typer.Option(help="Instead of the default model.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Another address of the same API.")] = None,
) -> None:
    """Tell whether keys are set, APIs answer, and two documents come back in the right order."""
    from hosted_rerank.checkup import check_provider, with_keys  # noqa: PLC0415 - imports the core

    if provider is None and (model or base_url):
        raise typer.BadParameter("say which one it is for.", param_hint="--provider")
    rows = with_keys() if provider is None else [_row(provider)]
    if not rows:
        _fail(
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


@commands.command()
def demo(
    query: Annotated[str | None, typer.Option(help="Ask this instead of the sample questions.")] = None,
    top_n: Annotated[int, typer.Option(min=1, help="Answers to show.")] = 5,
) -> None:
    """Rerank the Python FAQ in LangChain and LlamaIndex, and measure what it is worth."""
    if query is not None and not query.strip():
        raise typer.BadParameter("it is blank.", param_hint="--query")
    with _explained():
        from hosted_rerank import demo as demonstration  # noqa: PLC0415 - heavy, and an extra

        demonstration.run(query, top_n)


def _row(name: str) -> Provider:
    try:
        return find_provider(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@contextmanager
def _explained() -> Generator[None]:
    """Turns the lack of an extra, whose message says what to install, into one line."""
    try:
        yield
    except ImportError as error:
        _fail(str(error))


def _fail(reason: str) -> NoReturn:
    print(f"hosted-rerank: {reason}", file=sys.stderr)
    raise typer.Exit(1)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
