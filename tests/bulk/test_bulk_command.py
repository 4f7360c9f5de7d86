"""`hosted-rerank bulk`: its summary, statuses, log lines and standard streams."""

import json
import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from hosted_rerank.bulk.job import Progress
from hosted_rerank.cli.bulk_report import ProgressLines
from hosted_rerank.cli.commands import commands
from hosted_rerank.cli.progress_bar import fit, progress_bar
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


@pytest.mark.parametrize("width", [44, 60, 80, 100, 140])
def test_bar_of_any_width(width: int) -> None:
    """The numbers of the bar are whole, and what has no place beside it is left out."""
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=width)
    with progress_bar(console) as bar:
        more = fit(["3 failed", "8,100 tokens", "limit 12.5 requests/s"], 3000, width)
        bar.add_task("a model with a long name", total=3000, completed=1200, more=more)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()).splitlines()
    assert max(map(len, lines)) <= width
    assert "1200/3000" in "".join(lines)
    assert " 40%" in "".join(lines)
    assert f"{more}left -:--:--" in "".join(lines)
    assert more.count(",") == {44: 0, 60: 1, 80: 3, 100: 4, 140: 4}[width]


def test_lines_of_progress() -> None:
    """Where there is no terminal a line every half minute says rows, rate, tokens, limit and time left."""
    now, lines = [0.0], list[str]()
    show = ProgressLines(lambda line, err: lines.append(line), lambda: now[0])
    for now[0] in (0.0, 10.0, 30.0, 50.0, 61.0):
        show(Progress(1_000, int(now[0]) * 2, 1, 5_000, 20.0))
    assert lines == [
        "60 of 1,000 rows, 2 rows/s, 1 failed, 5,000 tokens, limit 20 requests/s, 8 min left",
        "122 of 1,000 rows, 2 rows/s, 1 failed, 5,000 tokens, limit 20 requests/s, 7 min left",
    ]
