"""`hosted-rerank rerank`: files of each format in, a table or JSON lines out, exit statuses that scripts can use."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hosted_rerank.cli.commands import commands
from hosted_rerank.providers import PROVIDERS
from tests.bounded import patience
from tests.conftest import DOCUMENTS, KEY, QUERY
from tests.hostile import HostileServer, reply

ASK = ["rerank", "--query", QUERY, "--provider", "local"]
BEST = DOCUMENTS[2]


def run(*arguments: str, stdin: str | None = None) -> Any:
    return CliRunner().invoke(commands, list(arguments), input=stdin, catch_exceptions=False)


@pytest.fixture
def lines() -> str:
    return "\n".join(DOCUMENTS) + "\n\n"


def test_lines_in_a_pipe(lines: str) -> None:
    """Each line of standard input is a document; JSON lines come out, best first; blank lines are none."""
    done = run(*ASK, "--top-n", "2", stdin=lines)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [set(row) for row in found] == [{"index", "relevance_score", "document"}] * 2
    assert (found[0]["index"], found[0]["document"]) == (2, BEST)


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.jsonl", "".join(json.dumps({"id": 1, "body": text}) + "\n" for text in DOCUMENTS), ["--field", "body"]),
        ("a.csv", "\ufeffid,text\r\n" + "".join(f'{n},"{text}"\r\n' for n, text in enumerate(DOCUMENTS)), []),
        ("a.dat", "".join(json.dumps(text) + "\n" for text in DOCUMENTS), ["--format", "jsonl"]),
    ],
)  # fmt: skip
def test_formats(tmp_path: Path, name: str, content: str, options: list[str]) -> None:
    """Rows come back whole, with their score."""
    (tmp_path / name).write_text(content, encoding="utf-8")
    done = run(*ASK, str(tmp_path / name), *options)
    best = json.loads(done.stdout.splitlines()[0])
    assert best["index"] == 2
    assert BEST in (best["document"], *(best["document"].values() if isinstance(best["document"], dict) else ()))


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        ('{"text": 1}', [], "document 1 has no text in the field 'text': name the field with --field (it has: text)"),
        ("what?", [], "line 1 is not JSON: pass --format text for plain lines"),
        ('["a"]', [], "document 1 has no text in the field 'text': name the field with --field (it has: none)"),
    ],
)
def test_wrong_files(tmp_path: Path, content: str, options: list[str], says: str) -> None:
    """An error is one line on stderr, with the remedy."""
    (tmp_path / "a.jsonl").write_text(content)
    done = run(*ASK, str(tmp_path / "a.jsonl"), *options)
    assert (done.exit_code, done.stderr) == (1, f"hosted-rerank: {says}\n")


def test_missing_file() -> None:
    """The message says which file, and no number of the system."""
    done = run(*ASK, "no/such/file")
    assert (done.exit_code, done.stderr) == (1, "hosted-rerank: no/such/file: No such file or directory\n")


def test_nothing_left(lines: str) -> None:
    """A threshold that leaves nothing, and no document at all, end with status 3."""
    assert run(*ASK, "--threshold", "1.5", stdin=lines).exit_code == 3
    done = run(*ASK, stdin="\n\n")
    assert (done.exit_code, done.stdout, done.stderr) == (
        3,
        "",
        "hosted-rerank: there are no documents: the input is empty\n",
    )


@pytest.mark.parametrize(
    ("status", "exits"), [(500, 75), (429, 75), (401, 77), (403, 77), (422, 1), (413, 1), (200, 1)]
)
def test_exit_statuses(
    server: HostileServer, lines: str, monkeypatch: pytest.MonkeyPatch, status: int, exits: int
) -> None:
    """An outage, a refused key and a refused request can be told apart; stdout stays empty, stderr is one line."""
    monkeypatch.setenv("FIREWORKS_API_KEY", KEY)
    server.play(*(reply(status, {"error": "no"}, retry_after="3600") for _ in range(9)))
    done = run("rerank", "-q", QUERY, "--base-url", server.url, stdin=lines)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (exits, "", 1)
    assert KEY not in done.stderr
    assert not re.search(r"\w=", done.stderr)


def test_wrong_command_lines() -> None:
    """Status 2, as of every wrong command line."""
    assert run("rerank", "--query", QUERY, "--provider", "nobody").exit_code == 2
    assert run("rerank").exit_code == 2
    assert run(*ASK, "--format", "xml").exit_code == 2


def run_on_a_terminal(*arguments: str) -> str:
    code = (
        "import sys, os, pty; pid, fd = pty.fork()\n"
        "if pid == 0:\n"
        "    from hosted_rerank.cli import main; sys.argv[1:] = %r; main()\n"
        "out = b''\n"
        "try:\n"
        "    while part := os.read(fd, 4096): out += part\n"
        "except OSError: pass\n"
        "sys.stdout.buffer.write(out)"
    )
    command = [sys.executable, "-c", code % list(arguments)]
    shown = subprocess.run(command, capture_output=True, check=True, timeout=patience(60)).stdout.decode()
    return re.sub(r"\x1b\[[\d;]*m", "", shown)


def test_table_on_a_terminal() -> None:
    """On a terminal it is a table, in which a document's markup is text."""
    shown = run_on_a_terminal(*ASK, str(Path(__file__).with_name("conftest.py")), "--top-n", "2")
    assert "rank" in shown
    assert "▲" in shown


def test_retries_on_a_terminal(server: HostileServer) -> None:
    """On a terminal each retry is told, for a wait without a word looks like a fault."""
    server.play(*(reply(503, {}, retry_after="0") for _ in range(9)))
    shown = run_on_a_terminal("rerank", "-q", QUERY, "--provider", "tei", "--base-url", server.url, __file__)
    assert "tei: attempt 1 failed (status 503), the next in" in " ".join(shown.split())


@pytest.mark.parametrize("command", ["rerank", "serve", "demo", "providers", "check", "evaluate"])
def test_help_reads_in_one_screen(command: str) -> None:
    """Of each command, 60 lines of 100 characters at most."""
    done = CliRunner(env={"COLUMNS": "100", "TERMINAL_WIDTH": "100"}).invoke(commands, [command, "--help"])
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) <= 60


def test_completion() -> None:
    """The shell's completion is there."""
    assert "--show-completion" in run("--help").stdout


def test_names_of_the_shell(lines: str) -> None:
    """A message names the options of the command, not the parameters of a function."""
    done = run("rerank", "-q", QUERY, "--provider", "vllm", "--model", "m", "--base-url", "ftp://host", stdin=lines)
    assert done.exit_code == 1
    assert done.stderr.startswith("hosted-rerank: --base-url must be an http or https URL")


def test_no_key(lines: str) -> None:
    """Without a key the variable to set is named, and nothing that a shell does not have."""
    done = run("rerank", "-q", QUERY, "--provider", "cohere", stdin=lines)
    assert done.exit_code == 77
    assert done.stderr == "hosted-rerank: there is no API key for cohere: set CO_API_KEY or COHERE_API_KEY\n"


def test_settings_of_the_shell(lines: str) -> None:
    """What each provider lacks is said with the variable to set; status 77 is for keys alone."""
    for name, provider in PROVIDERS.items():
        keys = provider.api_key_env
        settings = [each for names in provider.settings_env.values() for each in names]
        if "localhost" in provider.url or (not keys and not settings):
            continue
        done = run("rerank", "-q", QUERY, "--provider", name, "--model", "m", stdin=lines)
        assert done.exit_code == (77 if "no API key" in done.stderr else 1), done.stderr
        assert any(f"set {each}" in done.stderr for each in (*keys, *settings)), done.stderr
        assert not re.search(r"\w=|pickle|\(\.\.\.\)", done.stderr), done.stderr


def test_refused_key(server: HostileServer, lines: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused key names the variable, and no parameter."""
    monkeypatch.setenv("CO_API_KEY", KEY)
    server.play(reply(401, {"message": "invalid api token"}))
    done = run("rerank", "-q", QUERY, "--provider", "cohere", "--base-url", server.url, stdin=lines)
    assert done.exit_code == 77
    assert "check the API key (CO_API_KEY or COHERE_API_KEY)" in done.stderr


def test_unknown_host(lines: str) -> None:
    """A host without an address says what to look at, without a number of the system."""
    done = run("rerank", "-q", QUERY, "--provider", "tei", "--base-url", "http://host.invalid", stdin=lines)
    assert done.exit_code == 75
    assert "the host is not found" in done.stderr
    assert "Errno" not in done.stderr


def test_own_server_needs_no_key(lines: str) -> None:
    """A server on this machine is asked without a key, at its usual port, where one may listen."""
    done = run("rerank", "-q", QUERY, "--provider", "vllm", "--model", "m", stdin=lines)
    assert done.exit_code != 77
    assert "key" not in done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--base-url", "http://example.com"], "use https or a private host (10.0.0.1, vllm, vllm.default.svc,"),
        (["--base-url", "https://me:word@host"], "contains a user name or password: leave it out"),
        (["--instruction", "be brief"], "leave instruction out, or use a provider that takes one"),
    ],
)
def test_remedies_of_the_shell(lines: str, monkeypatch: pytest.MonkeyPatch, options: list[str], says: str) -> None:
    """A remedy is one that a shell has."""
    monkeypatch.setenv("CO_API_KEY", KEY)
    done = run("rerank", "-q", QUERY, "--provider", "cohere", *options, stdin=lines)
    assert says in done.stderr
    assert not re.search(r"\w=|\(\.\.\.", done.stderr)


def test_text_in_another_encoding(tmp_path: Path) -> None:
    """A file that is no UTF-8, as some programs of Windows write, is named with what to do."""
    (tmp_path / "a.txt").write_text("für", encoding="utf-16")
    done = run(*ASK, str(tmp_path / "a.txt"))
    assert (done.exit_code, done.stderr) == (1, f"hosted-rerank: {tmp_path / 'a.txt'} is not UTF-8 text: convert it\n")


def test_nobody_listens(lines: str) -> None:
    """A refused connection may pass, and the message says what to look at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"  # free again where the block ends
    done = run("rerank", "-q", QUERY, "--provider", "vllm", "--model", "m", "--base-url", address, stdin=lines)
    assert done.exit_code == 75
    assert "connection refused: is the server running?" in done.stderr
    assert f"the URL is {address}/v1/rerank" in done.stderr


def test_closed_pipe(tmp_path: Path) -> None:
    """A reader that has read enough ends the command without a word."""
    file = tmp_path / "many.txt"
    file.write_text("".join(f"line {number}{' of many' * 300}\n" for number in range(100)))
    command = [sys.executable, "-m", "hosted_rerank.cli", *ASK, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
