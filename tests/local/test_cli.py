"""The command line, as a user meets it."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import httpx
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from hosted_rerank.cli.commands import commands
from tests.bounded import patience

Run = Callable[..., "subprocess.CompletedProcess[str]"]
MAIN = ("-m", "hosted_rerank.cli")


@contextmanager
def serving(*options: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A `serve` process on a free port, and its base URL."""
    command = [sys.executable, *MAIN, "serve", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found
            yield process, found.group()
        finally:
            process.kill()


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["demo", "--help"]])
def test_help_needs_no_model(arguments: list[str]) -> None:
    """Every command explains itself."""
    result = CliRunner().invoke(commands, arguments)
    assert result.exit_code == 0
    assert "Usage" in result.output


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)], ids=["SIGINT", "SIGTERM"]
)
def test_serve_runs_until_it_is_told_to_stop(number: signal.Signals, status: int) -> None:
    """It says where it listens, answers, and ends on Ctrl-C or SIGTERM without a traceback."""
    with serving() as (process, url):
        assert httpx.get(url + "/health").status_code == 200
        process.send_signal(number)
        output, errors = process.communicate(timeout=patience(60))
        assert process.returncode == status
    assert "GET /health" in output
    assert "Traceback" not in errors


def test_serve_asks_for_the_key_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key comes from the option or the environment, and is never printed."""
    monkeypatch.setenv("HOSTED_RERANK_API_KEY", "sk-from-environment")
    for options, key in (((), "sk-from-environment"), (("--api-key", "sk-from-option"), "sk-from-option")):
        with serving(*options) as (process, url):
            assert httpx.get(url + "/v1/models").status_code == 401
            assert httpx.get(url + "/v1/models", headers={"authorization": f"Bearer {key}"}).status_code == 200
            process.send_signal(signal.SIGINT)
            assert key not in "".join(process.communicate(timeout=patience(60)))


def test_a_taken_port_is_one_line_with_the_remedy(run_python: Run) -> None:
    """A port in use is said in one line, with the option that helps, and exit status 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run_python(*MAIN, "serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "Address already in use" in line
    assert "--port" in line


def test_serving_others_without_a_key_is_said(run_python: Run) -> None:
    """An address that others may reach is worth a warning when no key is asked for."""
    done = run_python(*MAIN, "serve", "--host", "192.0.2.1")  # reserved for documentation: nobody can listen there
    assert "--api-key" in done.stderr.splitlines()[0]
    assert done.returncode == 1


@pytest.mark.parametrize("package", ["uvicorn", "starlette", "onnxruntime"])
def test_a_missing_extra_is_one_line_with_the_remedy(run_python: Run, package: str) -> None:
    """Without the extra, `serve` says what to install, without a traceback."""
    missing = {package: f"raise ModuleNotFoundError('No module named {package}', name='{package}')"}
    done = run_python(*MAIN, "serve", "--port", "0", modules=missing)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith("pip install 'hosted-rerank[local]'")


def test_without_typer_the_remedy_is_one_line(run_python: Run) -> None:
    """Without the extra `cli`, the command says so and exits with status 2."""
    missing = {"typer": "raise ModuleNotFoundError('No module named typer', name='typer')"}
    done = run_python(*MAIN, modules=missing)
    assert done.returncode == 2
    assert done.stderr == "hosted-rerank needs typer: pip install 'hosted-rerank[cli]'\n"


@pytest.mark.parametrize("width", [60, 100])
def test_help_is_whole(run_python: Run, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Without boxes and with them, no line is too long, and no option, word or sentence of a command is cut."""
    monkeypatch.setenv("COLUMNS", str(width))
    group: Any = get_command(commands)
    code = (
        "from hosted_rerank.cli.commands import commands\n"
        f"for name in {['', *group.commands]}: commands([*name.split(), '-h'], standalone_mode=False)"
    )
    pages = run_python("-c", code).stdout
    assert max(map(len, pages.splitlines())) <= width
    assert re.findall(r"…|[a-z,]\.\.\.\s", pages) == []
    words = " ".join(pages.replace("│", " ").split())
    for command in group.commands.values():
        wanted = [*command.help.split(), *(option for each in command.params for option in each.opts)]
        assert [word for word in wanted if word not in words] == []


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_flags(flag: str) -> None:
    """Help has a short name."""
    assert "Usage" in CliRunner().invoke(commands, ["rerank", flag]).stdout


def test_version() -> None:
    """`--version` prints the version of the package."""
    assert CliRunner().invoke(commands, ["--version"]).stdout == f"hosted-rerank {metadata.version('hosted-rerank')}\n"
