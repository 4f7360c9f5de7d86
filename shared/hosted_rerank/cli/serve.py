"""The command `hosted-rerank serve`."""

import ipaddress
from typing import Annotated

import typer

from hosted_rerank.cli.app import commands, fail, report_errors


@commands.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 for a free one.")] = 8787,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="HOSTED_RERANK_API_KEY",
            show_envvar=True,
            help="The key that requests must have; no check by default.",
        ),
    ] = None,
    latency: Annotated[str, typer.Option(help="The shortest time of a response: 100ms, 2s.")] = "0s",
    jitter: Annotated[str, typer.Option(help="The largest random addition to it.")] = "0s",
    rate: Annotated[str | None, typer.Option(help="The rate limit: 60/min, 50/s. Requests above it get a 429.")] = None,
    burst: Annotated[int | None, typer.Option(min=1, help="Requests at once; those of one second by default.")] = None,
    growing: Annotated[bool, typer.Option("--growing", help="Raise the rate limit while it is used.")] = False,
    max_documents: Annotated[
        int | None, typer.Option(min=1, help="Documents of a request. A request with more gets a 413.")
    ] = None,
    instant: Annotated[
        bool, typer.Option("--instant", help="Score by a hash of the texts, without the model.")
    ] = False,
    fault: Annotated[
        str, typer.Option(help="Faults and their probabilities: 429=0.05,reset=0.01,truncated=0.01.")
    ] = "",
    seed: Annotated[int | None, typer.Option(help="The seed of random times and faults, to repeat a run.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not log requests.")] = False,
) -> None:
    """Serve the embedded model as rerank APIs. Each API is below /PROVIDER; at / is a page to try rerankers on.

    The page is there on a loopback address and without --api-key, because it uses the API keys of this environment.
    """
    with report_errors():
        from hosted_rerank.local import conditions  # noqa: PLC0415 - slow, and an extra
        from hosted_rerank.local.server import serve as serve_apis  # noqa: PLC0415 - as above
        from hosted_rerank.playground.page import routes  # noqa: PLC0415 - as above

        if rate is None and (burst or growing):
            raise typer.BadParameter("--burst and --growing need a rate.", param_hint="--rate")
        try:
            limit = rate and conditions.RateLimit(conditions.parse_rate(rate), burst, growing=growing)
            simulated = conditions.Conditions(
                latency=conditions.parse_duration(latency),
                jitter=conditions.parse_duration(jitter),
                limit=limit or None,
                max_documents=max_documents,
                faults=conditions.parse_faults(fault),
                score=conditions.score_by_hash if instant else None,
                seed=seed,
            )
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

        if not api_key and not _is_loopback(host):
            typer.echo(f"Anyone who reaches {host} can use this server: set --api-key to require a key.", err=True)
        pages = routes(host) if _is_loopback(host) and not api_key else []  # the page spends keys
        try:
            serve_apis(port, host, api_key or None, simulated, log_requests=not quiet, pages=pages)
        except OSError as error:
            reason = str(error.strerror).partition(" (")[0]  # the rest repeats the address
            fail(f"cannot listen on {host}, port {port}: {reason}. Pass another --port or --host.")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
