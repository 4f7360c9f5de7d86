"""`hosted-rerank bulk`: its summary, statuses, log lines and standard streams."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hosted_rerank.bulk.job import Progress
from hosted_rerank.cli.bulk_report import ProgressLines
from hosted_rerank.cli.commands import commands
from tests.bulk.counted import counting
from tests.bulk.jobs import Rows
from tests.hostile import HostileServer, reply

OPTIONS = ["--provider", "vllm", "--model", "m", "--base-url"]


def test_json(rows: Rows, tmp_path: Path) -> None:
    """`--json` prints the counts on standard output."""
    with counting(0) as server:
        done = CliRunner().invoke(
            commands, ["bulk", str(rows(5)), str(tmp_path / "out"), *OPTIONS, server.url, "--json"]
        )
    assert json.loads(done.stdout) == {
        "rows": 5,
        "failed": 0,
        "tokens": 100,
        "parts": 1,
        "resumed": 0,
        "output": str(tmp_path / "out"),
    }


@pytest.mark.parametrize(("status", "code"), [(401, 77), (404, 1)])
def test_statuses(status: int, code: int, server: HostileServer, rows: Rows, tmp_path: Path) -> None:
    """A refused key has the exit status of every command."""
    server.play(reply(status, "no"))
    done = CliRunner().invoke(commands, ["bulk", str(rows(5)), str(tmp_path / "out"), *OPTIONS, server.url])
    assert (done.exit_code, len(done.stderr.splitlines())) == (code, 1)


def test_words_of_the_shell(rows: Rows, tmp_path: Path) -> None:
    """A missing key and a folder that has the job are said by variables and options, not by parameters."""
    out = str(tmp_path / "out")
    done = CliRunner().invoke(commands, ["bulk", str(rows(5)), out])
    assert done.exit_code == 77
    assert "key for fireworks: set FIREWORKS_API_KEY" in done.stderr
    assert "pickle" not in done.stderr
    with counting(0) as server:
        again = [CliRunner().invoke(commands, ["bulk", str(rows(5)), out + "2", *OPTIONS, server.url]) for _ in "12"]
    assert [each.exit_code for each in again] == [0, 1]
    assert again[1].stderr.endswith("already holds this job: pass --resume to continue it\n")


def test_standard_streams(tmp_path: Path) -> None:
    """`-` reads rows from standard input and writes them to standard output, in their order."""
    rows = [{"id": number, "query": f"q{number}", "documents": ["a"]} for number in range(9)]
    with counting(0) as server:
        content = "".join(json.dumps(row) + "\n" for row in rows)
        done = CliRunner().invoke(commands, ["bulk", "-", "-", *OPTIONS, server.url, "--part-rows", "2"], input=content)
    assert done.exit_code == 0
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == list(range(9))


def test_lines_of_progress() -> None:
    """Where there is no terminal a line every half minute says rows, rate, tokens, limit and time left."""
    now, lines = [0.0], list[str]()
    show = ProgressLines(lambda line, err: lines.append(line), lambda: now[0])
    for now[0] in (0.0, 10.0, 30.0, 50.0, 61.0):
        show(Progress(1_000, int(now[0]) * 2, 1, 5_000, 20.0))
    assert lines == [
        "60 of 1,000 rows, 2 rows/s, 5,000 tokens, limit 20 requests/s, 1 failed, 8 min left",
        "122 of 1,000 rows, 2 rows/s, 5,000 tokens, limit 20 requests/s, 1 failed, 7 min left",
    ]
