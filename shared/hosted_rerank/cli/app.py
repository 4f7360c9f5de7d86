"""The typer application of `hosted-rerank`, what its commands share, its errors and its exit statuses.

A command imports its modules when it runs, so that `--help` is fast and a missing extra is an error of one line.
"""

import re
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from importlib.metadata import version
from shutil import get_terminal_size
from typing import Annotated, NoReturn, TypeAlias

import typer

from hosted_rerank.errors import AuthenticationError, MalformedResponseError, PermissionDeniedError, RerankError
from hosted_rerank.providers import PROVIDERS, Provider, find_provider
from hosted_rerank.providers.endpoint import Endpoint

EXIT_FAILED, EXIT_NO_RESULTS, EXIT_FAILED_ROWS, EXIT_UNAVAILABLE, EXIT_DENIED = 1, 3, 65, 75, 77
"""Exit statuses: failure; no results; some rows failed; what may pass, so that it is worth to try again; there is no
API key, or the API refuses it. 2 is a wrong command line. Statuses from 64 on are those of sysexits.h."""
EXIT_INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""

OPTIONS = ("model", "base_url", "instruction", "top_n")
"""The parameters of the library that commands have as options of the same name."""
SHELL_WORDS = ((r", or pass [^;]*[=(][^;]*", ""), (r"\b\w+(=True)? \((--[\w-]+)\)", r"\2"))
"""Patterns of what only Python has, and what replaces them: what to pass, which is the last remedy of a message, and a
parameter before its option."""
BOXES_WIDTH = 100
"""Characters of a line from which help has boxes: in narrower ones they would cut the names of options."""

commands = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown" if get_terminal_size().columns >= BOXES_WIDTH else None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - as typer calls it
    if wanted:
        typer.echo(f"hosted-rerank {version('hosted-rerank')}")
        raise typer.Exit


@commands.callback()
def options_of_all(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Call hosted rerank APIs from the command line. --provider local runs a model without key and network."""


def complete_provider(incomplete: str) -> Iterable[str]:
    """Returns the names of providers that begin as the incomplete word does, for completion in a shell."""
    return [name for name in PROVIDERS if name.startswith(incomplete)]


ProviderOption: TypeAlias = Annotated[
    str,
    typer.Option(help="The provider to call; `hosted-rerank providers` lists them.", autocompletion=complete_provider),
]
ModelOption: TypeAlias = Annotated[
    str | None, typer.Option(help="The id of the model, in place of the provider's default.")
]
BaseUrlOption: TypeAlias = Annotated[str | None, typer.Option(help="Another URL of the same API.")]
InstructionOption: TypeAlias = Annotated[
    str | None, typer.Option(help='What "relevant" means, for models that take an instruction.')
]


def parse_provider(name: str) -> Provider:
    """Returns the provider with a name.

    Raises:
        typer.BadParameter: The name is unknown.
    """
    try:
        return find_provider(name)
    except ValueError as error:
        raise typer.BadParameter(use_shell_words(str(error))) from None


def check_key(provider: Provider, model: str | None, base_url: str | None) -> None:
    """Checks that there is a key where one is needed, before a command reads its input.

    Raises:
        AuthenticationError: There is none. The message names the variables to set.
        ValueError: The URL lacks a setting, or is none.
    """
    Endpoint(provider=provider, model=model, base_url=base_url).key()


@contextmanager
def report_errors(after_interrupt: str = "") -> Generator[None]:
    """Turns an error of the API, a missing extra or a wrong file into one line on stderr, and ends the command.

    Args:
        after_interrupt: How to go on after Ctrl-C.
    """
    try:
        yield
    except RerankError as error:
        fail(str(error), exit_status(error))
    except BrokenPipeError:  # typer ends the command without a word
        raise
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))
    except (ImportError, ValueError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail(f"interrupted{after_interrupt and ': '}{after_interrupt}", EXIT_INTERRUPTED)


def exit_status(error: RerankError | type[RerankError]) -> int:
    """Returns the exit status for an error, or for errors of a class."""
    kind = error if isinstance(error, type) else type(error)
    if issubclass(kind, (AuthenticationError, PermissionDeniedError)):
        return EXIT_DENIED
    passes = issubclass(kind, ConnectionError) and not issubclass(kind, MalformedResponseError)
    return EXIT_UNAVAILABLE if passes else EXIT_FAILED


def joint_status(statuses: Iterable[int]) -> int:
    """Returns the exit status for several failures: theirs if they have the same one, else `EXIT_FAILED`."""
    different = set(statuses)
    return different.pop() if len(different) == 1 else EXIT_FAILED


def fail(reason: str, status: int = EXIT_FAILED) -> NoReturn:
    """Ends the command with one line on stderr.

    Args:
        reason: The error message.
        status: The exit status.
    """
    print(f"hosted-rerank: {use_shell_words(' '.join(reason.split()))}", file=sys.stderr)
    raise typer.Exit(status)


def use_shell_words(message: str) -> str:
    """Returns a message of the library in which parameters are called as the options are: `--base-url`."""
    for library, shell in SHELL_WORDS:
        message = re.sub(library, shell, message)
    for name in OPTIONS:
        sign = "=?" if "_" in name else "="  # "model" alone may be a word of the message
        message = re.sub(rf"\b{name}{sign}(?!\w)", f"--{name.replace('_', '-')}", message)
    return message
