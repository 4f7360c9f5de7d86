"""What the commands of `hosted-rerank` share: the application, how they fail, and what their exit status says.

What a command needs is imported when it runs, so that `--help` is quick and a missing extra is one line.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import NoReturn

import typer

from hosted_rerank.errors import AVAILABILITY_ERRORS, AuthenticationError, PermissionDeniedError, RerankError
from hosted_rerank.providers import Provider, find_provider

FAILED, NOTHING, BAD_ROWS, AGAIN, DENIED = 1, 3, 65, 75, 77
"""Exit statuses: it failed; there is nothing to show; some rows failed; the API is out, and later it may work; the key
is refused. 2 is a wrong command line. (From 64 on they are those of sysexits.h.)"""

commands = typer.Typer(
    help="Hosted rerank APIs from the command line; with --provider local a real model, no key, no network.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def row_of(name: str) -> Provider:
    """The row of a provider; an unknown name is a wrong command line."""
    try:
        return find_provider(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@contextmanager
def explained() -> Generator[None]:
    """Turns what a user can mend into one line, which says how: a missing extra, a wrong file, an error of the API."""
    try:
        yield
    except RerankError as error:
        denied = isinstance(error, (AuthenticationError, PermissionDeniedError))
        fail(str(error), DENIED if denied else AGAIN if isinstance(error, AVAILABILITY_ERRORS) else FAILED)
    except (ImportError, ValueError, OSError) as error:
        fail(str(error))


def fail(reason: str, status: int = FAILED) -> NoReturn:
    """Ends the command with one line on stderr."""
    print(f"hosted-rerank: {' '.join(reason.split())}", file=sys.stderr)
    raise typer.Exit(status)
