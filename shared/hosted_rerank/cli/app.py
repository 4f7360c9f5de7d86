"""The typer application of `hosted-rerank`, its errors and its exit statuses.

A command imports its modules when it runs, so that `--help` is fast and a missing extra is an error of one line.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import NoReturn

import typer

from hosted_rerank.errors import AVAILABILITY_ERRORS, AuthenticationError, PermissionDeniedError, RerankError
from hosted_rerank.providers import Provider, find_provider

EXIT_FAILED, EXIT_NO_RESULTS, EXIT_FAILED_ROWS, EXIT_UNAVAILABLE, EXIT_DENIED = 1, 3, 65, 75, 77
"""Exit statuses: failure; no results; some rows failed; the API is unavailable; the API refuses the key. 2 is a wrong
command line. Statuses from 64 on are those of sysexits.h."""

commands = typer.Typer(
    help="Call hosted rerank APIs from the command line. --provider local runs a model without key and network.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def parse_provider(name: str) -> Provider:
    """Returns the provider with a name.

    Raises:
        typer.BadParameter: The name is unknown.
    """
    try:
        return find_provider(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@contextmanager
def report_errors() -> Generator[None]:
    """Turns an error of the API, a missing extra or a wrong file into one line on stderr, and ends the command."""
    try:
        yield
    except RerankError as error:
        fail(str(error), _exit_status(error))
    except (ImportError, ValueError, OSError) as error:
        fail(str(error))


def _exit_status(error: RerankError) -> int:
    """Returns the exit status for an error."""
    if isinstance(error, (AuthenticationError, PermissionDeniedError)):
        return EXIT_DENIED
    return EXIT_UNAVAILABLE if isinstance(error, AVAILABILITY_ERRORS) else EXIT_FAILED


def fail(reason: str, status: int = EXIT_FAILED) -> NoReturn:
    """Ends the command with one line on stderr.

    Args:
        reason: The error message.
        status: The exit status.
    """
    print(f"hosted-rerank: {' '.join(reason.split())}", file=sys.stderr)
    raise typer.Exit(status)
