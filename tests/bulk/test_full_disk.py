"""A disk that is full, or a file that may not grow: the file is named, and what was paid for is kept."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.bounded import patience
from tests.bulk.counted import command, counting
from tests.bulk.jobs import Rows

LITTLE = ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh"]
"""Runs a command whose files may have 4 KiB, or 8."""
FULL = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
"""Runs a line in a namespace of its own, where it may mount a small file system."""


def end(line: Sequence[str]) -> str:
    """The one line on standard error with which a command fails."""
    done = subprocess.run(line, capture_output=True, text=True, timeout=patience(60), check=False)
    assert done.returncode == 1, done.stderr
    (said,) = done.stderr.splitlines()
    return said


def test_a_log_that_cannot_grow(rows: Rows, tmp_path: Path) -> None:
    """The log is named; a resumed job sends the requests that were under way again, and no other."""
    with counting(0) as server:
        line = command(rows(200, documents=2), tmp_path / "out", server)
        assert "File too large" in (said := end([*LITTLE, *line]))
        assert str(tmp_path / "out" / "log") in said
        subprocess.run([*line, "--resume"], check=True, timeout=patience(60), capture_output=True)
        assert (len(server.queries), server.repeated <= 8) == (200, True)


@pytest.mark.parametrize("kind", ["rows", "beir"])
def test_a_file_system_that_is_full(kind: str, rows: Rows, tmp_path: Path) -> None:
    """The file of a part, and the index of a corpus, are named when no space is left."""
    mounted = subprocess.run([*FULL, "mount -t tmpfs none /mnt"], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("no namespace with a file system of its own is allowed here")
    more: list[str] = []
    source = rows(100, documents=30)
    if kind == "beir":
        source = tmp_path / "data"
        source.mkdir()
        for name in ("corpus", "queries"):
            lines = (json.dumps({"_id": str(number), "text": "a"}) + "\n" for number in range(5_000))
            (source / f"{name}.jsonl").write_text("".join(lines))
        (tmp_path / "first.run").write_text("1 Q0 2 1 0.5 x\n")
        more = ["--run", str(tmp_path / "first.run")]
    with counting(0) as server:
        line = command(source, "/mnt/out", server, *more)
        said = end([*FULL, 'mount -t tmpfs -o size=200k none /mnt && exec "$@"', "sh", *line])
    if kind == "beir":
        assert said == "hosted-rerank: /mnt/out/texts.sqlite: database or disk is full"
    else:
        assert said == "hosted-rerank: /mnt/out/parts/00000000.jsonl: No space left on device"


def test_standard_output_that_is_full(rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is named, by `bulk` after the folder that has the rows, and by any other command."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # the rest of a buffer is written when Python ends
    with counting(0) as server, Path("/dev/full").open("w") as full:
        lines = command(rows(2), "-", server), [sys.executable, "-m", "hosted_rerank.cli", "providers"]
        ended = [subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, check=False) for line in lines]
    assert [done.returncode for done in ended] == [1, 1]
    of_bulk, of_providers = (done.stderr.splitlines() for done in ended)
    assert f"the finished rows are in {tmp_path}" in of_bulk[0]
    assert of_bulk[1:] == of_providers == ["hosted-rerank: standard output: No space left on device"]
