"""What was paid for is kept, whatever ends the driver: counted at a server, with the output of an undisturbed run."""

import os
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


LARGE = os.environ.get("BULK_ROWS") == "large"
"""Whether `make test-bulk` runs this."""


@pytest.mark.parametrize(
    ("how", "lost", "status", "count", "times"),
    [
        (signal.SIGKILL, IN_FLIGHT, -9, *((20_000, 6) if LARGE else (1_000, 2))),
        (signal.SIGTERM, 0, 143, *((4_000, 5) if LARGE else (1_000, 2))),
        (signal.SIGINT, 0, 130, *((4_000, 5) if LARGE else (1_000, 2))),
    ],
)
def test_an_ended_driver(
    how: signal.Signals, lost: int, status: int, count: int, times: int, rows: Rows, tmp_path: Path
) -> None:
    """`kill -9` loses the requests under way and no other; SIGTERM and Ctrl-C lose none, and say how to go on."""
    source = rows(count, documents=3)
    with counting() as server:
        line = command(source, tmp_path / "out", server, "--part-rows", "400", "--trec")
        ends = end_midway(line, server, how, times=times, rows=count // 7, check=lambda: None)
        assert [end[0] for end in ends] == [status] * times
        assert how == signal.SIGKILL or all("--resume" in said for _, said in ends)
        subprocess.run([*line, "--resume"], check=True, timeout=patience(600), capture_output=True)
        assert len(server.queries) == count
        assert server.repeated <= times * lost
        run_job(job(source, tmp_path / "whole", server.url, part_rows=400, trec=True))
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
