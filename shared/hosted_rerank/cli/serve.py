"""`hosted-rerank serve`."""

import ipaddress
from typing import Annotated

import typer

from hosted_rerank.cli.app import commands, explained, fail


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
    quiet: Annotated[bool, typer.Option("--quiet", help="Log no requests.")] = False,
) -> None:
    """Serve the embedded model through every rerank API of the table, each below /<provider>."""
    with explained():
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
            serve_apis(port, host, api_key or None, day, log_requests=not quiet)
        except OSError as error:
            reason = str(error.strerror).partition(" (")[0]  # what follows repeats the address
            fail(f"cannot listen on {host}, port {port}: {reason}. Another --port or --host may be free.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
