"""The command line `hosted-rerank`: one file for each command, and `app` with the code that they share."""

import sys


def main() -> None:
    """Runs the command line; exits with status 2 if typer is not installed."""
    try:
        from hosted_rerank.cli.commands import commands  # noqa: PLC0415 - typer is an extra
    except ModuleNotFoundError as missing:
        if missing.name != "typer":
            raise
        print("hosted-rerank needs typer: pip install 'hosted-rerank[cli]'", file=sys.stderr)
        raise SystemExit(2) from None
    try:
        commands()
    except OSError as error:  # commands report all but that of their own output
        print(f"hosted-rerank: standard output: {error.strerror}", file=sys.stderr)
        raise SystemExit(1) from None
