"""The command line `hosted-rerank`: one file for each command, and `app` with the code that they share."""

import sys


def main() -> None:
    """Runs the command line; exits with status 2 if typer is not installed."""
    try:
        from hosted_rerank.cli.commands import commands  # noqa: PLC0415 - typer is an extra
        from hosted_rerank.cli.standard_streams import checked_output  # noqa: PLC0415 - with the command line
    except ModuleNotFoundError as missing:
        if missing.name != "typer":
            raise
        print("hosted-rerank needs typer: pip install 'hosted-rerank[cli]'", file=sys.stderr)
        raise SystemExit(2) from None
    try:
        with checked_output():  # commands report their other errors themselves
            commands()
    except OSError as error:
        print(f"hosted-rerank: {error.filename}: {error.strerror}", file=sys.stderr)
        raise SystemExit(1) from None
