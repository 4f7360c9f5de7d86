"""The commands of `hosted-rerank`: a local server to develop against, and a demonstration of the whole.

What they need is imported when they run, so that `--help` is quick and a missing extra is one line.
"""

import ipaddress
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, NoReturn

import typer

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
) -> None:
    """Serve the embedded model through the Fireworks and the Nebius rerank API."""
    with _explained():
        from hosted_rerank.local.server import serve as serve_apis  # noqa: PLC0415 - heavy, and an extra

        if not api_key and not _is_loopback(host):
            typer.echo(f"Anyone who reaches {host} can use this server: --api-key asks for a key.", err=True)
        try:
            serve_apis(port, host, api_key or None)
        except OSError as error:
            reason = str(error.strerror).partition(" (")[0]  # what follows repeats the address
            _fail(f"cannot listen on {host}, port {port}: {reason}. Another --port or --host may be free.")


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
