"""What was paid for is kept, whatever ends the driver: counted at a server, with the output of an undisturbed run."""

import signal
import subprocess
from pathlib import Path

import pytest

from hosted_rerank.bulk import run_job
from tests.bounded import patience
from tests.bulk.counted import command, counting, end_midway
from tests.bulk.jobs import Rows, job

IN_FLIGHT = 8
"""The drivers' `--concurrency`."""


def contents(folder: Path) -> dict[str, bytes]:
    """The output's parts and runs."""
    return {path.name: path.read_bytes() for kind in ("parts", "runs") for path in (folder / kind).iterdir()}


@pytest.mark.parametrize(
    ("how", "lost", "status"), [(signal.SIGKILL, IN_FLIGHT, -9), (signal.SIGTERM, 0, 143), (signal.SIGINT, 0, 130)]
)
def test_an_ended_driver(how: signal.Signals, lost: int, status: int, rows: Rows, tmp_path: Path) -> None:
    """`kill -9` loses the requests under way and no other; SIGTERM and Ctrl-C lose none, and say how to go on."""
    source = rows(1_000, documents=3)
    with counting() as server:
        line = command(source, tmp_path / "out", server, "--part-rows", "400", "--trec")
        ends = end_midway(line, server, how, times=2, rows=150, check=lambda: None)
        assert [end[0] for end in ends] == [status] * 2
        assert how == signal.SIGKILL or all("--resume" in said for _, said in ends)
        subprocess.run([*line, "--resume"], check=True, timeout=patience(120), capture_output=True)
        assert len(server.queries) == 1_000
        assert server.repeated <= 2 * lost
        run_job(job(source, tmp_path / "whole", server.url, part_rows=400, trec=True))
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
